//! A coordinator in a folder, which can die and come back at the same address.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use serde_json::Value;

use crate::process::Daemon;
use crate::program::{Answer, Program};

/// A coordinator and its folder.
#[derive(Debug)]
pub struct Coordinator {
    program: Program,
    home: PathBuf,
    address: String,
    daemon: Option<Daemon>,
}

impl Coordinator {
    /// Makes a folder a coordinator's and starts it on a port of the system's choice.
    pub fn create(program: &Program, home: &Path) -> Self {
        program.document(&["coordinator", "init", "--dir", &home.to_string_lossy()]);
        let mut coordinator = Self {
            program: program.clone(),
            home: home.to_owned(),
            address: "127.0.0.1:0".to_owned(),
            daemon: None,
        };
        coordinator.start();
        coordinator
    }

    /// A coordinator that the test serves by other means, as its researchers see it.
    pub fn elsewhere(program: &Program, home: &Path, url: &str) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        Self { program: program.clone(), home: home.to_owned(), address, daemon: None }
    }

    /// Starts it, at the address that it had before.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// Starts it so that it stands still where an experiment enters a state.
    pub fn start_pausing_at(&mut self, state: &str) {
        self.start_with(&["--pause-at", state]);
    }

    fn start_with(&mut self, more: &[&str]) {
        assert!(self.daemon.is_none(), "the coordinator runs already");
        let home = self.home.to_string_lossy();
        let start = [
            "coordinator",
            "start",
            "--dir",
            &home,
            "--insecure-loopback",
            "--listen",
            &self.address,
        ];
        let log = self.log();
        let arguments = [&start[..], more].concat();
        let daemon = Daemon::start("the coordinator", &self.program, &arguments, &log);
        let listening = daemon.await_named("listening");
        let address = listening["address"].as_str().expect("is a text");
        self.address = address.trim_start_matches("http://").to_owned();
        self.daemon = Some(daemon);
    }

    /// Where nodes and researchers reach it.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The file with its log.
    pub fn log(&self) -> PathBuf {
        self.home.with_extension("log")
    }

    /// The running process.
    ///
    /// # Panics
    ///
    /// Panics where none runs.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("the coordinator runs")
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    ///
    /// Panics where it does not run, or does not end in time.
    pub fn await_end(&mut self) -> ExitStatus {
        self.daemon.take().expect("the coordinator runs").await_end()
    }

    /// `kill -9`.
    ///
    /// # Panics
    ///
    /// Panics where it does not run.
    pub fn kill(&mut self) {
        self.daemon.take().expect("the coordinator runs").kill();
    }

    /// SIGTERM; gives how long the end took.
    ///
    /// # Panics
    ///
    /// Panics where it ends badly or too late.
    pub fn terminate(&mut self, patience: Duration) -> Duration {
        let daemon = self.daemon.take().expect("the coordinator runs");
        let (status, took) = daemon.terminate(patience);
        assert!(status.success(), "the coordinator ended with {status}");
        took
    }

    /// Runs a researcher's command to its end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.program.run(&self.addressed(arguments))
    }

    /// Runs a researcher's command that must succeed.
    pub fn document(&self, arguments: &[&str]) -> Value {
        self.program.document(&self.addressed(arguments))
    }

    /// Starts a researcher's command that follows something.
    pub fn follow(&self, name: &str, arguments: &[&str]) -> Daemon {
        let log = self.home.with_file_name("researcher.log");
        Daemon::start(name, &self.program, &self.addressed(arguments), &log)
    }

    fn addressed(&self, arguments: &[&str]) -> Vec<String> {
        let url = self.url();
        let who = ["--coordinator", &url, "--researcher", "ada"];
        arguments.iter().chain(&who).map(|one| (*one).to_owned()).collect()
    }
}
