//! A coordinator and hospitals, each with its share of the shipped table.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::coordinator::Coordinator;
use crate::experiment::{Experiment, ExperimentFile};
use crate::hospital::Hospital;
use crate::program::Program;

/// A federation in a temporary folder; dropping it ends its processes and deletes the folder.
#[derive(Debug)]
pub struct Federation {
    // Nodes end before the coordinator, and everything before its folder: fields are dropped in this order.
    /// The hospitals, in the order of the names that were given.
    pub hospitals: Vec<Hospital>,
    /// The coordinator.
    pub coordinator: Coordinator,
    program: Program,
    submitted: usize,
    folder: TempDir,
}

impl Federation {
    /// A coordinator and one connected node for each name, with the share of that name.
    pub fn of(names: &[&str]) -> Self {
        let mut federation = Self::without_hospitals();
        for name in names {
            federation.add_hospital(name);
        }
        federation
    }

    /// The three hospitals of the shipped example.
    pub fn of_three() -> Self {
        Self::of(&["north", "south", "east"])
    }

    /// A coordinator alone.
    pub fn without_hospitals() -> Self {
        Self::with_log_level("info")
    }

    /// A coordinator alone; it and all that comes write logs at this level.
    pub fn with_log_level(level: &str) -> Self {
        Self::with(&[("WARDROUND_LOG", level)], |_| {})
    }

    /// A coordinator alone, in a folder that is prepared before anything is in it; all programs see these variables.
    ///
    /// # Panics
    ///
    /// Panics where no temporary folder can be made.
    pub fn with(variables: &[(&str, &str)], prepare: impl FnOnce(&Path)) -> Self {
        Self::with_coordinator(variables, prepare, Coordinator::create)
    }

    /// A coordinator alone, which serves members with certificates only; researcher and hospitals join by tokens.
    pub fn encrypted() -> Self {
        Self::encrypted_with(&[])
    }

    /// As [`encrypted`](Self::encrypted); all programs see these variables.
    pub fn encrypted_with(variables: &[(&str, &str)]) -> Self {
        Self::with_coordinator(variables, |_| {}, Coordinator::create_encrypted)
    }

    fn with_coordinator(
        variables: &[(&str, &str)],
        prepare: impl FnOnce(&Path),
        create: impl FnOnce(&Program, &Path) -> Coordinator,
    ) -> Self {
        let folder = TempDir::with_prefix("wardround-federation-").expect("a folder can be made");
        prepare(folder.path());
        let program = Program::find(&folder.path().join("home"))
            .with_variable("WARDROUND_LOG", "info")
            .with_variable("WARDROUND_COORDINATOR_RETRY_DELAY_MILLISECONDS", "100")
            .with_variable("WARDROUND_COORDINATOR_SHUTDOWN_SECONDS", "2")
            .with_variable("WARDROUND_NODE_SHUTDOWN_SECONDS", "1");
        let program = variables
            .iter()
            .fold(program, |program, (name, value)| program.with_variable(name, value));
        let coordinator = create(&program, &folder.path().join("coordinator"));
        Self { hospitals: Vec::new(), coordinator, program, submitted: 0, folder }
    }

    /// Adds a hospital with its share of the table, and starts its node.
    pub fn add_hospital(&mut self, name: &str) {
        self.add_hospital_with(name, &share(name), &[]);
    }

    /// Adds a hospital with a table of its own and options of `dataset add`, and starts its node.
    pub fn add_hospital_with(&mut self, name: &str, table: &str, options: &[&str]) {
        self.prepare_hospital(name, table, options).start();
    }

    /// Adds a hospital whose node does not run yet.
    pub fn prepare_hospital(&mut self, name: &str, table: &str, options: &[&str]) -> &mut Hospital {
        if self.coordinator.is_encrypted() {
            let token = self.coordinator.token("node", name, &[]);
            let hospital = Hospital::join(&self.program, self.folder.path(), name, &token);
            return self.with_table(hospital, table, options);
        }
        let url = self.coordinator.url();
        self.prepare_hospital_at(&url, name, table, options)
    }

    fn with_table(&mut self, hospital: Hospital, table: &str, options: &[&str]) -> &mut Hospital {
        hospital.add_table(table, options);
        self.hospitals.push(hospital);
        self.hospitals.last_mut().expect("one was added")
    }

    /// Adds a hospital that reaches the coordinator at another address; its node does not run yet.
    ///
    /// # Panics
    ///
    /// Panics where its folder or its table is refused.
    pub fn prepare_hospital_at(
        &mut self,
        url: &str,
        name: &str,
        table: &str,
        options: &[&str],
    ) -> &mut Hospital {
        let hospital = Hospital::create(&self.program, self.folder.path(), name, url);
        self.with_table(hospital, table, options)
    }

    /// Adds a hospital without any dataset, whose node does not run yet.
    ///
    /// # Panics
    ///
    /// Panics where its folder is refused.
    pub fn prepare_empty_hospital(&mut self, name: &str) -> &mut Hospital {
        let url = self.coordinator.url();
        let hospital = Hospital::create(&self.program, self.folder.path(), name, &url);
        self.hospitals.push(hospital);
        self.hospitals.last_mut().expect("one was added")
    }

    /// The hospital of a name.
    ///
    /// # Panics
    ///
    /// Panics where there is none.
    pub fn hospital(&mut self, name: &str) -> &mut Hospital {
        let found = self.hospitals.iter_mut().find(|hospital| hospital.name() == name);
        found.unwrap_or_else(|| panic!("no hospital {name}"))
    }

    /// Kills the coordinator and starts it again; it stands still where an experiment enters a state, if one is given.
    ///
    /// Waits until every running node has dialled again.
    pub fn restart_coordinator(&mut self, pause_at: Option<&str>) {
        let seen = self.events_of_nodes();
        self.coordinator.kill();
        match pause_at {
            Some(state) => self.coordinator.start_pausing_at(state),
            None => self.coordinator.start(),
        }
        self.await_reconnection(&seen);
    }

    /// How many events each running node has printed, for [`await_reconnection`](Self::await_reconnection).
    pub fn events_of_nodes(&self) -> Vec<(String, usize)> {
        let running = self.hospitals.iter().filter(|hospital| hospital.is_running());
        running.map(|one| (one.name().to_owned(), one.daemon().events().len())).collect()
    }

    /// Waits until these nodes have connected after the events that they had printed then.
    pub fn await_reconnection(&mut self, seen: &[(String, usize)]) {
        for (name, seen) in seen {
            let node = self.hospital(name).daemon();
            node.await_after(*seen, "another connection", |event| event["event"] == "connected");
        }
    }

    /// Submits an experiment.
    pub fn submit(&mut self, file: &ExperimentFile) -> Experiment {
        self.submitted += 1;
        let folder = self.folder.path().join(format!("experiment-{}", self.submitted));
        file.submit(&folder, &self.coordinator)
    }

    /// Submits an experiment that every owner approves.
    pub fn submit_approved(&mut self, file: &ExperimentFile) -> Experiment {
        let experiment = self.submit(file);
        self.approve(&experiment);
        experiment
    }

    /// Lets every owner approve an experiment's plan once the coordinator has asked all of them.
    pub fn approve(&self, experiment: &Experiment) {
        experiment.await_event("an answer from every owner or a round", |event| {
            let asked = event["event"] == "waiting-for-approval"
                && event["unanswered"].as_array().is_some_and(Vec::is_empty);
            asked || event["event"] == "round-started"
        });
        for hospital in &self.hospitals {
            hospital.approve(&experiment.plan);
        }
    }

    /// The program, for commands of people who are not among its members.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Where everything of it lies.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The files with the logs of the coordinator, the nodes and the researcher's commands.
    pub fn logs(&self) -> Vec<PathBuf> {
        let nodes = self.hospitals.iter().map(Hospital::log);
        let researcher = self.folder.path().join("researcher.log");
        nodes.chain([self.coordinator.log(), researcher]).collect()
    }
}

/// The shipped table's share of a hospital: north, south or east.
///
/// # Panics
///
/// Panics for another name.
pub fn share(name: &str) -> String {
    match name {
        "north" => include_str!("../../../examples/breast-cancer/north.csv"),
        "south" => include_str!("../../../examples/breast-cancer/south.csv"),
        "east" => include_str!("../../../examples/breast-cancer/east.csv"),
        other => panic!("no share of the example is {other}'s"),
    }
    .to_owned()
}
