//! One round in three places: at a node of a federation, by `node round run`, and by `plan check` on a researcher's
//! machine. The same plan, data, arguments, seed and parameters give the same bytes.

use std::path::Path;

use federation::{ExperimentFile, Federation, Program, PythonPlan, share};
use protocol::Digest;
use serde_json::{Value, json};

use crate::python::interpreter;

/// What a round gave: the parameters that it started from, and those that it ended with.
#[derive(Debug, PartialEq, Eq)]
struct Bytes {
    parameters: Digest,
    update: Digest,
}

fn digest(value: &Value) -> Digest {
    value.as_str().and_then(|text| text.parse().ok()).expect("is a digest")
}

fn digest_of(file: &Path) -> Digest {
    Digest::of(&std::fs::read(file).expect("the file was written"))
}

/// Runs the first round of an experiment in a federation of one, then again in the two other places.
fn agree(file: ExperimentFile, plan: &str) {
    let file = ExperimentFile { rounds: 1, min_nodes: 1, ..file };
    let mut federation = Federation::without_hospitals();
    let hospital = federation.prepare_hospital("north", &share("north"), &[]);
    if let Some(python) = &file.python {
        hospital.document(&["node", "python", "add", &python.interpreter.to_string_lossy()]);
    }
    hospital.start();
    let experiment = federation.submit_approved(&file);
    experiment.await_model();
    let round = first_round(&federation, &experiment.id);
    let request = &round["request"];
    let federated = Bytes {
        parameters: digest(&request["parameters"]["digest"]),
        update: digest(&round["reply"]["update"]["digest"]),
    };
    let plan = federation.folder().join("experiment-1").join(plan);
    let kept = federation.folder().join("kept");
    let checked = check(&federation, &file, request, &plan, &kept);
    assert_eq!(checked, federated, "plan check and the federation");
    assert_eq!(digest_of(&kept.join("parameters.safetensors")), checked.parameters);
    assert_eq!(digest_of(&kept.join("update.safetensors")), checked.update);
    let run = run(&mut federation, request, &plan, &kept);
    assert_eq!(run, federated, "node round run and the federation");
}

/// What the node has kept of the round that trained.
fn first_round(federation: &Federation, experiment: &str) -> Value {
    let hospital = &federation.hospitals[0];
    let rounds = hospital.rounds(experiment);
    let first = rounds.last().expect("a round has run");
    let id = first["round_id"].as_str().expect("is a text");
    hospital.document(&["node", "round", "show", id])
}

/// `plan check`, told what the node was asked; it makes the parameters by itself.
fn check(
    federation: &Federation,
    file: &ExperimentFile,
    request: &Value,
    plan: &Path,
    kept: &Path,
) -> Bytes {
    let table = federation.hospitals[0].table();
    let training_args = request["training_args"].to_string();
    let model_args = request["model_args"].to_string();
    let (plan, kept) = (plan.to_string_lossy(), kept.to_string_lossy());
    let table = table.to_string_lossy();
    let mut command = vec!["plan", "check", &plan, "--data", &table, "--seed", "42"];
    command.extend(["--node", "north", "--dataset", "breast-cancer", "--round", "1"]);
    command.extend(["--training-args", &training_args, "--model-args", &model_args]);
    command.extend(["--keep", &kept]);
    let interpreter = file.python.as_ref().map(|python| python.interpreter.to_string_lossy());
    command.extend(interpreter.iter().flat_map(|path| ["--python", path]));
    let checked = Program::find(federation.folder()).document(&command);
    let round = &checked["round"];
    Bytes {
        parameters: digest(&round["parameters"]["digest"]),
        update: digest(&round["update"]["digest"]),
    }
}

/// `node round run` at the same node, which does not run meanwhile, of the same request.
fn run(federation: &mut Federation, request: &Value, plan: &Path, kept: &Path) -> Bytes {
    let output = federation.folder().join("output");
    let file = federation.folder().join("request.json");
    let hospital = &mut federation.hospitals[0];
    hospital.terminate(federation::PATIENCE);
    let mut request = request.clone();
    request["round_id"] = json!("01900000-0000-7000-8000-000000000001");
    std::fs::write(&file, request.to_string()).expect("the request can be written");
    std::fs::create_dir_all(&output).expect("the folder can be made");
    let parameters = kept.join("parameters.safetensors");
    let [file, plan, parameters, folder] =
        [&file, plan, &parameters, &output].map(|path| path.to_string_lossy().into_owned());
    let reply = hospital.document(&[
        "node",
        "round",
        "run",
        &file,
        "--plan",
        &plan,
        "--parameters",
        &parameters,
        "--output",
        &folder,
    ]);
    let update = digest(&reply["update"]["digest"]);
    let written = std::fs::read_dir(&output).expect("the folder is there");
    let written: Vec<Digest> =
        written.map(|entry| digest_of(&entry.expect("the folder can be read").path())).collect();
    assert_eq!(written, [update]);
    Bytes { parameters: digest(&request["parameters"]["digest"]), update }
}

#[test]
fn a_native_plan_gives_the_same_bytes_in_three_places() {
    agree(ExperimentFile::default(), "logistic.toml");
}

#[test]
fn a_plan_of_scikit_learn_gives_the_same_bytes_in_three_places() {
    let Some(interpreter) = interpreter() else { return };
    let model_args = "n_features = 30\nn_classes = 2\nloss = \"log_loss\"\n";
    let python = PythonPlan { text: SKLEARN.to_owned(), model_args, interpreter };
    agree(ExperimentFile { python: Some(python), ..ExperimentFile::default() }, "plan.py");
}

#[test]
fn a_plan_of_torch_gives_the_same_bytes_in_three_places() {
    let Some(interpreter) = interpreter() else { return };
    let python = PythonPlan { text: TORCH.to_owned(), model_args: "", interpreter };
    agree(ExperimentFile { python: Some(python), ..ExperimentFile::default() }, "plan.py");
}

const SKLEARN: &str = r#"
from wardround.plans import DataManager, FedSGDClassifier, TabularDataset


class Logistic(FedSGDClassifier):
    metrics = ("ACCURACY",)

    def training_data(self):
        table = TabularDataset(target_columns="diagnosis", classes=["B", "M"])
        measurements, diagnosis = table.arrays()
        return DataManager(measurements / 1000, diagnosis)
"#;

/// Its weights are drawn, so that the seed counts, and it drops units, so that the random numbers of an epoch do.
const TORCH: &str = r#"
from torch import nn
import torch
from wardround.plans import DataManager, TabularDataset, TorchTrainingPlan


class Layers(TorchTrainingPlan):
    metrics = ("ACCURACY",)

    def init_model(self):
        return nn.Sequential(
            nn.BatchNorm1d(30), nn.Linear(30, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)
        )

    def training_data(self):
        table = TabularDataset(target_columns="diagnosis", classes=["B", "M"])
        return DataManager(*table.arrays())

    def training_step(self, data, target):
        scores = self.model()(data)[:, 0]
        return nn.functional.binary_cross_entropy_with_logits(scores, target.float())

    def predict(self, data):
        return torch.sigmoid(self.model()(data)[:, 0])
"#;
