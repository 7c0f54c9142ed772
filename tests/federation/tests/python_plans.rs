//! Python plans in whole federations: submitted, approved, trained in the nodes' sandboxes, averaged.
//!
//! They need an interpreter with torch and scikit-learn, which the variable `WARDROUND_TEST_PYTHON` names; a run
//! without one says what it left out.

use std::path::{Path, PathBuf};
use std::process::Command;

use federation::{Experiment, ExperimentFile, Federation, PythonPlan};
use parameters::Reader;

/// One row a batch: then scikit-learn, which takes a step for each row, does what the others do.
const TRAINING: &str = "\
epochs = 1
test_ratio = 0.2
test_on_global_updates = true
test_on_local_updates = true
[training_args.loader_args]
batch_size = 1
[training_args.optimizer_args]
lr = 0.05
";

/// About 120 single-row steps a site and round, two rounds: some 240 roundings of a weight below 1 to single
/// precision, half a unit in the last place (3e-8) each. They add up as a random walk does, to about 5e-7; four times
/// that is allowed, because each rounding also moves the gradients that follow.
const SINGLE: f64 = 4.0 * 15.5 * 3e-8;

#[expect(clippy::print_stderr, reason = "a run says what it leaves out")]
fn interpreter() -> Option<PathBuf> {
    let found = std::env::var_os("WARDROUND_TEST_PYTHON").map(PathBuf::from);
    if found.is_none() {
        eprintln!(
            "LEFT OUT: WARDROUND_TEST_PYTHON names no interpreter with torch and scikit-learn"
        );
    }
    found
}

/// Three hospitals that run Python plans with this interpreter.
fn federation(interpreter: &Path) -> Federation {
    let federation = Federation::of_three();
    for hospital in &federation.hospitals {
        let path = interpreter.to_string_lossy();
        let added = hospital.document(&["node", "python", "add", &path]);
        assert_eq!(added["name"], "default");
    }
    federation
}

fn file(interpreter: &Path, text: String, model_args: &'static str) -> ExperimentFile {
    let interpreter = interpreter.to_owned();
    ExperimentFile {
        training: TRAINING,
        python: Some(PythonPlan { text, model_args, interpreter }),
        ..ExperimentFile::default()
    }
}

/// The scale that the native plan declares, as Python.
fn scale() -> String {
    let lines = include_str!("../../../examples/breast-cancer/scale.toml").lines();
    let entries = lines.filter_map(|line| {
        let (name, rest) = line.split_once(" = { mean = ")?;
        let (mean, rest) = rest.split_once(", deviation = ")?;
        Some(format!("    \"{name}\": ({mean}, {}),\n", rest.trim_end_matches(" }")))
    });
    format!("SCALE = {{\n{}}}\n", entries.collect::<String>())
}

const ROWS: &str = r#"
import numpy
import pandas

COLUMNS = sorted(SCALE)


def read(path):
    frame = pandas.read_csv(path)
    mean = numpy.array([SCALE[name][0] for name in COLUMNS])
    deviation = numpy.array([SCALE[name][1] for name in COLUMNS])
    rows = (frame[COLUMNS].to_numpy() - mean) / deviation
    return rows, (frame["diagnosis"] == "M").to_numpy().astype(float)
"#;

const TORCH: &str = r#"
import torch
from wardround.plans import DataManager, TorchTrainingPlan


class Logistic(TorchTrainingPlan):
    metrics = ("ACCURACY", "ROC_AUC", "LOG_LOSS")

    def init_model(self):
        model = torch.nn.Linear(len(COLUMNS), 1)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        return model

    def init_optimizer(self, optimizer_args):
        return torch.optim.SGD(self.model().parameters(), **optimizer_args)

    def training_data(self):
        rows, target = read(self.dataset_path)
        rows = torch.tensor(rows, dtype=torch.float32)
        return DataManager(torch.utils.data.TensorDataset(rows, torch.tensor(target, dtype=torch.float32)))

    def predict(self, data):
        return torch.sigmoid(self.model()(data)).squeeze(1)

    def training_step(self, data, target):
        output = self.model()(data).squeeze(1)
        return torch.nn.functional.binary_cross_entropy_with_logits(output, target)
"#;

const SKLEARN: &str = r#"
from wardround.plans import DataManager, FedSGDClassifier


class Logistic(FedSGDClassifier):
    metrics = ("ACCURACY", "ROC_AUC", "LOG_LOSS")

    def training_data(self):
        rows, target = read(self.dataset_path)
        return DataManager(rows, target=target)
"#;

const SKLEARN_MODEL: &str = "n_features = 30\nn_classes = 2\nloss = \"log_loss\"\nalpha = 0.0\n";

/// The final model's weights in the order of the columns, and its bias.
fn model(federation: &Federation, experiment: &Experiment, names: (&str, &str)) -> Vec<f64> {
    experiment.await_model();
    let path = federation.folder().join(format!("{}.safetensors", experiment.id));
    let output = path.to_string_lossy();
    federation.coordinator.document(&[
        "experiment",
        "download",
        &experiment.id,
        "--output",
        &output,
    ]);
    let model = Reader::open(&path).expect("the model can be read");
    let values = |name: &str| model.tensor(name).expect("the model has the tensor").to_f64();
    [values(names.0), values(names.1)].concat()
}

fn farthest(left: &[f64], right: &[f64]) -> f64 {
    assert_eq!(left.len(), 31);
    assert_eq!(left.len(), right.len());
    left.iter().zip(right).map(|(left, right)| (left - right).abs()).fold(0.0, f64::max)
}

#[test]
fn torch_scikit_learn_and_native_plans_agree_from_the_same_start() {
    let Some(interpreter) = interpreter() else { return };
    let mut federation = federation(&interpreter);
    let native = ExperimentFile { training: TRAINING, ..ExperimentFile::default() };
    let native = federation.submit_approved(&native);
    let native = model(&federation, &native, ("layers.0.weight", "layers.0.bias"));
    let torch = file(&interpreter, scale() + ROWS + TORCH, "");
    let torch = federation.submit_approved(&torch);
    let torch = model(&federation, &torch, ("weight", "bias"));
    let sklearn = file(&interpreter, scale() + ROWS + SKLEARN, SKLEARN_MODEL);
    let sklearn = federation.submit_approved(&sklearn);
    let sklearn = model(&federation, &sklearn, ("coef_", "intercept_"));
    let largest = sklearn.iter().copied().map(f64::abs).fold(0.0, f64::max);
    assert!(largest > 0.05, "the models have learned");
    for (what, other) in [("native", &native), ("torch", &torch)] {
        let difference = farthest(&sklearn, other);
        assert!(difference <= SINGLE, "{what}: {difference:e}");
    }
}

#[test]
fn a_torch_plan_gives_the_same_bytes_again_and_the_owner_sees_how_it_was_confined() {
    let Some(interpreter) = interpreter() else { return };
    let mut federation = federation(&interpreter);
    let file = file(&interpreter, scale() + ROWS + TORCH, "");
    let experiment = federation.submit_approved(&file);
    let once = experiment.await_model();
    for hospital in &federation.hospitals {
        let rounds = hospital.rounds(&experiment.id);
        assert_eq!(rounds.len(), 3, "two that train, and the last model's validation");
        for round in rounds {
            let level = round["confinement"]["level"].as_str().expect("is a text").to_owned();
            assert!(["A", "B"].contains(&level.as_str()), "{level}");
            assert!(round["confinement"]["environment"].is_string());
        }
    }
    let history = experiment.history(&federation.coordinator);
    let rounds = history["rounds"].as_array().expect("rounds are a list");
    let text = rounds.last().expect("there are rounds").to_string();
    assert!(text.contains("ACCURACY"), "{text}");
    let again = federation.submit(&file);
    assert_eq!(again.await_model(), once, "the plan is approved, and nothing else is drawn");
}

#[test]
fn an_interpreter_is_listed_checked_and_forgotten() {
    let Some(interpreter) = interpreter() else { return };
    let mut federation = Federation::without_hospitals();
    let hospital = federation.prepare_empty_hospital("north");
    let path = interpreter.to_string_lossy();
    let added = hospital.document(&["node", "python", "add", &path, "--name", "venv"]);
    assert_eq!(added["environment"]["interpreter"], *path);
    let twice = hospital.run(&["node", "python", "add", &path, "--name", "venv"]);
    assert!(twice.error.contains("is registered already"), "{}", twice.error);
    let listed = hospital.document(&["node", "python", "list"]);
    assert_eq!(listed[0], added);
    let checked = hospital.document(&["node", "python", "check", "venv"]);
    assert_eq!(checked["is_changed"], false);
    hospital.document(&["node", "python", "remove", "venv"]);
    assert_eq!(hospital.document(&["node", "python", "list"]), serde_json::json!([]));
    let none = hospital.run(&["node", "python", "add", "/bin/false"]);
    assert!(none.error.contains("is no Python that can be used"), "{}", none.error);
}

#[test]
fn a_node_without_an_interpreter_refuses_a_python_plan_and_says_what_to_do() {
    let Some(interpreter) = interpreter() else { return };
    let mut federation = Federation::of(&["north"]);
    let log = refused_round(&mut federation, &interpreter, "plan.unsupported_runtime");
    assert!(log.contains("wardround node python add"), "{log}");
}

#[test]
fn an_interpreter_with_other_packages_than_were_registered_runs_nothing() {
    let Some(interpreter) = interpreter() else { return };
    let mut federation = Federation::of(&["north"]);
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let (venv, packages) = environment_over(&interpreter, folder.path());
    let hospital = &federation.hospitals[0];
    hospital.document(&["node", "python", "add", &venv.to_string_lossy()]);
    let installed = packages.join("later-1.0.dist-info");
    std::fs::create_dir(&installed).expect("the folder can be written");
    std::fs::write(
        installed.join("METADATA"),
        "Metadata-Version: 2.1\nName: later\nVersion: 1.0\n",
    )
    .expect("the folder can be written");

    let log = refused_round(&mut federation, &interpreter, "sandbox.unavailable");
    assert!(log.contains("has other packages than when it was registered"), "{log}");
    assert!(log.contains("wardround node python check"), "{log}");
}

/// Submits a plan that the only hospital refuses with `code`; gives what the round's log says there.
fn refused_round(federation: &mut Federation, interpreter: &Path, code: &str) -> String {
    let file = ExperimentFile { min_nodes: 1, ..file(interpreter, scale() + ROWS + TORCH, "") };
    let experiment = federation.submit_approved(&file);
    experiment
        .await_event("the end", |event| event["event"] == "failed" || event["event"] == "paused");
    let hospital = &federation.hospitals[0];
    let round = &hospital.rounds(&experiment.id)[0];
    assert_eq!(round["code"], code);
    let id = round["round_id"].as_str().expect("is a text");
    hospital.document(&["node", "round", "log", id]).to_string()
}

/// An environment of its own that has another interpreter's packages, and a folder for more.
fn environment_over(interpreter: &Path, folder: &Path) -> (PathBuf, PathBuf) {
    let run = |arguments: &[&str]| {
        let output = Command::new(interpreter).args(arguments).output().expect("Python starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    run(&["-m", "venv", "--without-pip", &folder.to_string_lossy()]);
    let theirs = run(&["-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]);
    let library = std::fs::read_dir(folder.join("lib")).expect("a venv has a library");
    let version = library.map(|entry| entry.expect("can be read").path()).next();
    let packages = version.expect("it is of one version").join("site-packages");
    std::fs::write(packages.join("theirs.pth"), theirs).expect("the folder can be written");
    (folder.join("bin/python"), packages)
}
