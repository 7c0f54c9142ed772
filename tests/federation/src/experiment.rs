//! What a researcher submits, and how it goes on.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::coordinator::Coordinator;
use crate::process::Daemon;

/// An experiment file: logistic regression on every dataset with the tag `breast-cancer`, validated before and after.
#[derive(Debug, Clone)]
pub struct ExperimentFile {
    /// The seed; without one the researcher's program draws it.
    pub seed: Option<u64>,
    /// Rounds of training.
    pub rounds: u32,
    /// Successes that a round needs.
    pub min_nodes: u32,
    /// How long a round may take.
    pub round_deadline: &'static str,
    /// Further lines of `[experiment]`.
    pub experiment: &'static str,
    /// The lines of `[training_args]`.
    pub training: &'static str,
    /// Replaces a text of the plan, for another plan with another digest.
    pub plan_change: Option<(&'static str, &'static str)>,
    /// A Python plan in place of the native one.
    pub python: Option<PythonPlan>,
}

/// A Python plan, and who makes its first parameters.
#[derive(Debug, Clone)]
pub struct PythonPlan {
    /// The plan's text.
    pub text: String,
    /// The lines of `[model_args]`.
    pub model_args: &'static str,
    /// The interpreter on the researcher's machine.
    pub interpreter: PathBuf,
}

/// A submitted experiment, followed by `experiment watch`.
#[derive(Debug)]
pub struct Experiment {
    /// Its identifier.
    pub id: String,
    /// Its plan's digest.
    pub plan: String,
    watch: Daemon,
}

impl Default for ExperimentFile {
    fn default() -> Self {
        Self {
            seed: Some(42),
            rounds: 2,
            min_nodes: 3,
            round_deadline: "60s",
            experiment: "",
            training: VALIDATED_TWICE,
            plan_change: None,
            python: None,
        }
    }
}

impl ExperimentFile {
    /// Writes the experiment and its plan into a folder, and submits it.
    ///
    /// # Panics
    ///
    /// Panics where a file cannot be written or the coordinator refuses.
    pub fn submit(&self, folder: &Path, coordinator: &Coordinator) -> Experiment {
        let file = self.write(folder);
        let file = file.to_string_lossy();
        let mut command = vec!["experiment", "submit", &file];
        let interpreter = self.python.as_ref().map(|python| python.interpreter.to_string_lossy());
        command.extend(interpreter.iter().flat_map(|path| ["--python", path]));
        let submitted = coordinator.document(&command);
        let id = submitted["experiment_id"].as_str().expect("is a text");
        let plan = submitted["plan"].as_str().expect("is a text");
        Experiment::follow(coordinator, id, plan)
    }

    /// Writes the experiment and its plan into a folder; gives the experiment's file.
    ///
    /// # Panics
    ///
    /// Panics where a file cannot be written.
    pub fn write(&self, folder: &Path) -> PathBuf {
        std::fs::create_dir_all(folder).expect("the folder can be made");
        let plan = match self.plan_change {
            None => PLAN.to_owned(),
            Some((from, to)) => {
                assert!(PLAN.contains(from), "the plan has no {from:?}");
                PLAN.replace(from, to)
            }
        };
        let file = folder.join("experiment.toml");
        if let Some(python) = &self.python {
            std::fs::write(folder.join("plan.py"), &python.text).expect("the file can be written");
        }
        for (path, text) in [
            (folder.join("logistic.toml"), plan.as_str()),
            (folder.join("scale.toml"), SCALE),
            (file.clone(), &self.text()),
        ] {
            std::fs::write(path, text).expect("the file can be written");
        }
        file
    }

    fn text(&self) -> String {
        let Self { seed, rounds, min_nodes, round_deadline, experiment, training, .. } = self;
        let (plan, model_args) = match &self.python {
            Some(python) => ("plan.py", python.model_args),
            None => ("logistic.toml", ""),
        };
        let mut text = String::from("[experiment]\nname = \"kept promises\"\n");
        if let Some(seed) = seed {
            let _ = writeln!(text, "seed = {seed}");
        }
        let _ = write!(
            text,
            "tags = [\"breast-cancer\"]\nplan = \"{plan}\"\nrounds = {rounds}\n\
             min_nodes = {min_nodes}\nround_deadline = \"{round_deadline}\"\n{experiment}\n\
             [strategy]\nkind = \"fed_avg\"\n[model_args]\n{model_args}\n[training_args]\n{training}"
        );
        text
    }
}

impl Experiment {
    /// Follows an experiment that the coordinator has; waits until it is heard.
    pub fn follow(coordinator: &Coordinator, id: &str, plan: &str) -> Self {
        let watch = coordinator.follow("experiment watch", &["experiment", "watch", id]);
        // From here on it is followed through restarts of the coordinator.
        watch.await_named("submitted");
        Self { id: id.to_owned(), plan: plan.to_owned(), watch }
    }

    /// Waits for the first event that matches; those that came before count.
    #[track_caller]
    pub fn await_event(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        self.watch.await_event(what, matches)
    }

    /// Waits for the first event that matches after the first `skipped` events.
    #[track_caller]
    pub fn await_after(
        &self,
        skipped: usize,
        what: &str,
        matches: impl Fn(&Value) -> bool,
    ) -> Value {
        self.watch.await_after(skipped, what, matches)
    }

    /// Waits for an event of this name.
    #[track_caller]
    pub fn await_named(&self, name: &str) -> Value {
        self.watch.await_named(name)
    }

    /// Every event so far.
    pub fn events(&self) -> Vec<Value> {
        self.watch.events()
    }

    /// Waits until the experiment is complete; gives its model's digest.
    ///
    /// # Panics
    ///
    /// Panics where it ends in another way, or not in time.
    #[track_caller]
    pub fn await_model(&self) -> String {
        let ended = self.await_event("end of the experiment", |event| {
            ["completed", "failed", "cancelled"].iter().any(|end| event["event"] == *end)
        });
        assert_eq!(ended["event"], "completed", "{ended}");
        ended["model"]["digest"].as_str().expect("is a text").to_owned()
    }

    /// What `experiment show` says.
    pub fn details(&self, coordinator: &Coordinator) -> Value {
        coordinator.document(&["experiment", "show", &self.id])
    }

    /// What `experiment history` says.
    pub fn history(&self, coordinator: &Coordinator) -> Value {
        coordinator.document(&["experiment", "history", &self.id])
    }

    /// The sites whose reply a round used, with the samples that they trained on.
    ///
    /// # Panics
    ///
    /// Panics where the history has no such round.
    pub fn used(&self, coordinator: &Coordinator, round: u32) -> Vec<(String, u64)> {
        let history = self.history(coordinator);
        let rounds = history["rounds"].as_array().expect("rounds are a list");
        let found = rounds.iter().find(|one| one["round"] == round);
        let sites = found.unwrap_or_else(|| panic!("no round {round} in {history}"));
        let sites = sites["sites"].as_array().expect("sites are a list").iter();
        let used = sites.filter(|site| site["used"] == true);
        used.map(|site| {
            let node = site["node"].as_str().expect("is a text").to_owned();
            (node, site["sample_count"].as_u64().expect("is a count"))
        })
        .collect()
    }
}

const VALIDATED_TWICE: &str = "\
epochs = 1
test_ratio = 0.2
test_on_global_updates = true
test_on_local_updates = true
[training_args.loader_args]
batch_size = 32
shuffle = true
[training_args.optimizer_args]
lr = 0.1
";
const PLAN: &str = include_str!("../../../examples/breast-cancer/logistic.toml");
const SCALE: &str = include_str!("../../../examples/breast-cancer/scale.toml");
