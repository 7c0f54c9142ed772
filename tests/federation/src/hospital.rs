//! A hospital: a node in a folder, with one table.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::PATIENCE;
use crate::process::Daemon;
use crate::program::{Answer, Program};

/// A node, its folder and its table.
#[derive(Debug)]
pub struct Hospital {
    program: Program,
    name: String,
    home: PathBuf,
    daemon: Option<Daemon>,
}

impl Hospital {
    /// Makes a folder a node's over plain loopback; it has no dataset and does not run yet.
    pub fn create(program: &Program, folder: &Path, name: &str, coordinator: &str) -> Self {
        let plain = ["--insecure-loopback", "--name", name, "--coordinator", coordinator];
        Self::create_with(program, folder, name, &plain)
    }

    /// Makes a folder a node's by a token; it has no dataset and does not run yet.
    pub fn join(program: &Program, folder: &Path, name: &str, token: &str) -> Self {
        Self::create_with(program, folder, name, &["--join", token])
    }

    fn create_with(program: &Program, folder: &Path, name: &str, options: &[&str]) -> Self {
        let home = folder.join(name);
        let dir = home.to_string_lossy();
        program.document(&[&["node", "init", "--dir", &dir][..], options].concat());
        Self { program: program.clone(), name: name.to_owned(), home, daemon: None }
    }

    /// Joins once more in the same folder, with another token.
    pub fn join_again(&self, token: &str) -> Value {
        self.document(&["node", "init", "--join", token])
    }

    /// Writes a table and registers it under the name and tag `breast-cancer`.
    ///
    /// # Panics
    ///
    /// Panics where it cannot be written or is refused.
    pub fn add_table(&self, text: &str, options: &[&str]) {
        self.write_table(text);
        let table = self.table().to_string_lossy().into_owned();
        let add = ["node", "dataset", "add", &table, "--name", DATASET, "--tag", DATASET];
        self.document(&[&add[..], options].concat());
    }

    /// Replaces the table's file; nothing is registered.
    ///
    /// # Panics
    ///
    /// Panics where it cannot be written.
    pub fn write_table(&self, text: &str) {
        std::fs::write(self.table(), text).expect("the table can be written");
    }

    /// The table's file.
    pub fn table(&self) -> PathBuf {
        self.home.join("breast-cancer.csv")
    }

    /// The node's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node's folder.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The file with the node's log.
    pub fn log(&self) -> PathBuf {
        self.home.with_extension("log")
    }

    /// Starts the node and waits until the coordinator has welcomed it.
    pub fn start(&mut self) {
        self.launch();
        self.daemon().await_named("connected");
    }

    /// Starts the node and does not wait for the coordinator.
    pub fn launch(&mut self) {
        self.start_with(&[]);
    }

    /// Starts the node so that it stands still where a phase begins.
    pub fn start_pausing_at(&mut self, phase: &str) {
        self.start_with(&["--pause-at", phase]);
        self.daemon().await_named("connected");
    }

    fn start_with(&mut self, more: &[&str]) {
        assert!(self.daemon.is_none(), "{} runs already", self.name);
        let dir = self.home.to_string_lossy();
        let arguments = [&["node", "start", "--dir", &dir][..], more].concat();
        let daemon = Daemon::start(&self.name, &self.program, &arguments, &self.log());
        daemon.await_named("ready");
        self.daemon = Some(daemon);
    }

    /// Whether the node's process was started and not ended by its owner.
    pub fn is_running(&self) -> bool {
        self.daemon.is_some()
    }

    /// The running process.
    ///
    /// # Panics
    ///
    /// Panics where none runs.
    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name))
    }

    /// `kill -9`.
    ///
    /// # Panics
    ///
    /// Panics where the node does not run.
    pub fn kill(&mut self) {
        self.daemon.take().unwrap_or_else(|| panic!("{} does not run", self.name)).kill();
    }

    /// SIGTERM; gives how long the end took.
    ///
    /// # Panics
    ///
    /// Panics where it ends badly or too late.
    pub fn terminate(&mut self, patience: Duration) -> Duration {
        let daemon = self.daemon.take().unwrap_or_else(|| panic!("{} does not run", self.name));
        let (status, took) = daemon.terminate(patience);
        assert!(status.success(), "{} ended with {status}", self.name);
        took
    }

    /// Lets a plan run here.
    pub fn approve(&self, plan: &str) {
        self.document(&["node", "plan", "approve", plan]);
    }

    /// Keeps a plan from running here.
    pub fn reject(&self, plan: &str) {
        self.document(&["node", "plan", "reject", plan]);
    }

    /// Runs an owner's command to its end.
    pub fn run(&self, arguments: &[&str]) -> Answer {
        self.program.run(&self.housed(arguments))
    }

    /// The program that runs the owner's commands, for one that names its own folder.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Runs an owner's command that must succeed.
    pub fn document(&self, arguments: &[&str]) -> Value {
        self.program.document(&self.housed(arguments))
    }

    /// The node's rounds of one experiment, newest first.
    ///
    /// # Panics
    ///
    /// Panics where the node does not list them.
    pub fn rounds(&self, experiment: &str) -> Vec<Value> {
        let rounds = self.document(&["node", "round", "list", "--limit", "1000"]);
        let rounds = rounds.as_array().expect("rounds are a list").iter();
        rounds.filter(|round| round["experiment_id"] == experiment).cloned().collect()
    }

    /// Waits until each round has ended and cleaned up, so that a node started again takes none up.
    ///
    /// A model is there as soon as the coordinator has what it needs, which may be before that.
    ///
    /// # Panics
    ///
    /// Panics where a round stays open.
    pub fn await_idle(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let status = self.document(&["node", "status"]);
            if status["rounds_running"] == 0 && status["rounds_open"] == 0 {
                return;
            }
            assert!(Instant::now() < end, "{} has open rounds: {status}", self.name);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn housed(&self, arguments: &[&str]) -> Vec<String> {
        let dir = self.home.to_string_lossy();
        arguments.iter().chain(&["--dir", &dir]).map(|one| (*one).to_owned()).collect()
    }
}

const DATASET: &str = "breast-cancer";
