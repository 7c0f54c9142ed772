//! Tensors that a Python plan keeps at a node: there again in the next round, gone with the experiment.
//!
//! It needs an interpreter with torch, which the variable `WARDROUND_TEST_PYTHON` names; a run without one says what
//! it left out.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use federation::{ExperimentFile, Federation, Hospital, PATIENCE, PythonPlan};

/// A tensor that stays at the node counts the batches of all rounds.
const COUNTING: &str = r#"
import torch
from torch import nn
from wardround.plans import DataManager, TabularDataset, TorchTrainingPlan


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(30, 1)
        self.seen = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, rows):
        return self.linear(rows / 1000)[:, 0]


class Counting(TorchTrainingPlan):
    metrics = ("Seen",)

    def init_model(self):
        return Model()

    def tag_parameters(self, name):
        return {"persistent": name == "seen"}

    def training_data(self):
        table = TabularDataset(target_columns="diagnosis", classes=["B", "M"])
        return DataManager(*table.arrays())

    def training_step(self, data, target):
        self.model().seen += 1
        return nn.functional.binary_cross_entropy_with_logits(self.model()(data), target)

    def testing_step(self, data, target):
        return {"Seen": float(self.model().seen)}
"#;

#[expect(clippy::print_stderr, reason = "a run says what it leaves out")]
fn interpreter() -> Option<PathBuf> {
    let found = std::env::var_os("WARDROUND_TEST_PYTHON").map(PathBuf::from);
    if found.is_none() {
        eprintln!("LEFT OUT: WARDROUND_TEST_PYTHON names no interpreter with torch");
    }
    found
}

/// What the plan counted before and after training, in each round that trained.
fn counted(hospital: &Hospital, experiment: &str) -> Vec<[f64; 2]> {
    let rounds = hospital.rounds(experiment);
    let trained = rounds.iter().rev().filter(|round| round["mode"] == "train");
    let counted = trained.map(|round| {
        let id = round["round_id"].as_str().expect("is a text");
        let reply = &hospital.document(&["node", "round", "show", id])["reply"];
        ["metrics_before", "metrics_after"].map(|when| {
            let metrics = reply[when]["metrics"].as_array().expect("was validated");
            let seen = metrics.iter().find(|metric| metric[0] == "Seen");
            seen.and_then(|metric| metric[1].as_f64()).expect("was measured")
        })
    });
    counted.collect()
}

#[test]
fn what_a_plan_keeps_is_there_in_the_next_round_and_goes_with_the_experiment() {
    let Some(interpreter) = interpreter() else { return };
    let mut federation = Federation::of(&["north"]);
    let hospital = &federation.hospitals[0];
    hospital.document(&["node", "python", "add", &interpreter.to_string_lossy()]);
    let file = ExperimentFile {
        min_nodes: 1,
        python: Some(PythonPlan { text: COUNTING.to_owned(), model_args: "", interpreter }),
        ..ExperimentFile::default()
    };
    let experiment = federation.submit_approved(&file);
    experiment.await_model();
    let counted = counted(&federation.hospitals[0], &experiment.id);
    let [[zero, once], [kept, twice]] = counted[..] else { panic!("two rounds: {counted:?}") };
    assert!(zero == 0.0 && once > 1.0, "{counted:?}");
    assert!(kept == once && twice == 2.0 * once, "{counted:?}");

    let hospital = federation.hospital("north");
    let state = hospital.home().join("state").join(&experiment.id);
    assert!(state.is_dir(), "{} was kept", state.display());
    hospital.terminate(PATIENCE);
    let file = hospital.home().join("node.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration can be read");
    let short = text.replace("keep_replies_days = 30", "keep_replies_days = 0");
    assert_ne!(text, short);
    std::fs::write(&file, short).expect("the configuration can be written");
    hospital.start();
    let until = Instant::now() + PATIENCE;
    while state.exists() {
        assert!(Instant::now() < until, "{} is still there", state.display());
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(hospital.rounds(&experiment.id), Vec::<serde_json::Value>::new());
}
