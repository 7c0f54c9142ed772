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
    scheme: &'static str,
    daemon: Option<Daemon>,
}

impl Coordinator {
    /// Makes a folder a coordinator's and starts it on a port of the system's choice, over plain loopback.
    pub fn create(program: &Program, home: &Path) -> Self {
        Self::create_with(program, home, PLAIN)
    }

    /// As [`create`](Self::create), for members with certificates only; the researcher `ada` joins.
    pub fn create_encrypted(program: &Program, home: &Path) -> Self {
        let coordinator = Self::create_with(program, home, ENCRYPTED);
        let token = coordinator.token("researcher", "ada", &[]);
        let keys = coordinator.keys("ada");
        program.document(&["researcher", "init", "--join", &token, "--identity", &keys]);
        coordinator
    }

    fn create_with(program: &Program, home: &Path, scheme: &'static str) -> Self {
        program.document(&["coordinator", "init", "--dir", &home.to_string_lossy()]);
        let (program, home) = (program.clone(), home.to_owned());
        let address = "127.0.0.1:0".to_owned();
        let mut coordinator = Self { program, home, address, scheme, daemon: None };
        coordinator.start();
        coordinator
    }

    /// Whether it serves members with certificates only.
    pub fn is_encrypted(&self) -> bool {
        self.scheme == ENCRYPTED
    }

    /// Invites somebody; gives the token.
    ///
    /// # Panics
    ///
    /// Panics where no token is made.
    pub fn token(&self, role: &str, name: &str, options: &[&str]) -> String {
        let token = ["coordinator", "token", "--role", role, "--name", name];
        let made = self.operate(&[&token[..], options].concat());
        made["token"].as_str().expect("is a text").to_owned()
    }

    /// Runs an operator's command on the coordinator's folder, which must succeed.
    pub fn operate(&self, arguments: &[&str]) -> Value {
        let home = self.home.to_string_lossy();
        self.program.document(&[arguments, &["--dir", &home]].concat())
    }

    /// The folder with the keys of a researcher.
    pub fn keys(&self, researcher: &str) -> String {
        let folder = self.home.with_file_name(format!("researcher-{researcher}"));
        folder.to_string_lossy().into_owned()
    }

    /// A coordinator that the test serves by other means, as its researchers see it.
    pub fn elsewhere(program: &Program, home: &Path, url: &str) -> Self {
        let address = url.trim_start_matches("http://").to_owned();
        let scheme = PLAIN;
        Self { program: program.clone(), home: home.to_owned(), address, scheme, daemon: None }
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
        let start = ["coordinator", "start", "--dir", &home, "--listen", &self.address];
        let log = self.log();
        let plain: &[&str] = if self.is_encrypted() { &[] } else { &["--insecure-loopback"] };
        let arguments = [&start[..], plain, more].concat();
        let daemon = Daemon::start("the coordinator", &self.program, &arguments, &log);
        let listening = daemon.await_named("listening");
        let address = listening["address"].as_str().expect("is a text");
        self.address = address.trim_start_matches(self.scheme).to_owned();
        self.daemon = Some(daemon);
    }

    /// Where nodes and researchers reach it.
    pub fn url(&self) -> String {
        format!("{}{}", self.scheme, self.address)
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
        let (url, keys) = (self.url(), self.keys("ada"));
        let who: &[&str] = if self.is_encrypted() {
            &["--identity", &keys]
        } else {
            &["--coordinator", &url, "--researcher", "ada"]
        };
        arguments.iter().chain(who).map(|one| (*one).to_owned()).collect()
    }
}

const PLAIN: &str = "http://";
const ENCRYPTED: &str = "https://";
