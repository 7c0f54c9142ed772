//! Python plans on images and on volumes, from the files to the averaged model.
//!
//! They need an interpreter with torch, which the variable `WARDROUND_TEST_PYTHON` names; a run without one says what
//! it left out.

use std::path::{Path, PathBuf};
use std::process::Command;

use federation::{Answer, ExperimentFile, Federation, Program, PythonPlan};
use serde_json::Value;

const TRAINING: &str = "\
epochs = 3
test_ratio = 0.25
test_on_global_updates = true
test_on_local_updates = true
[training_args.loader_args]
batch_size = 8
[training_args.optimizer_args]
lr = 0.05
";

/// Writes 48 pictures of 12 by 12: dark ones and bright ones, with noise that is always the same.
const PICTURES: &str = r#"
import os, random, struct, sys, zlib

def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

random.seed(1)
for number in range(48):
    name = "bright" if number % 2 else "dark"
    folder = os.path.join(sys.argv[1], name)
    os.makedirs(folder, exist_ok=True)
    base = 150 if number % 2 else 40
    rows = b"".join(
        b"\0" + bytes(base + random.randrange(60) for _ in range(36)) for _ in range(12)
    )
    head = struct.pack(">IIBBBBB", 12, 12, 8, 2, 0, 0, 0)
    with open(os.path.join(folder, f"{number:02}.png"), "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head))
        file.write(chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
"#;

/// Writes 48 subjects with a volume of 6 by 6 by 6 and the mask of its bright half, and their ages.
const VOLUMES: &str = r#"
import gzip, os, random, struct, sys

def write(path, values):
    head = bytearray(352)
    struct.pack_into("<i", head, 0, 348)
    struct.pack_into("<8h", head, 40, 3, 6, 6, 6, 1, 1, 1, 1)
    struct.pack_into("<2h", head, 70, 16, 32)
    struct.pack_into("<8f", head, 76, 1, 1, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<3f", head, 108, 352, 1, 0)
    head[344:348] = b"n+1\0"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with gzip.open(path, "wb") as file:
        file.write(bytes(head) + struct.pack(f"<{len(values)}f", *values))

random.seed(1)
with open(os.path.join(sys.argv[1], "participants.csv"), "w") as table:
    table.write("subject,age\n")
    for number in range(48):
        subject = f"sub-{number:02}"
        table.write(f"{subject},{40 + number}\n")
        mask = [float(place // 36 < 3) for place in range(216)]
        image = [value * 2 - 1 + random.uniform(-0.5, 0.5) for value in mask]
        write(os.path.join(sys.argv[1], subject, "T1", "image.nii.gz"), image)
        write(os.path.join(sys.argv[1], subject, "label", "mask.nii.gz"), mask)
"#;

const TEXTURE: &str = r#"
import torch
from torch import nn
from wardround.plans import DataManager, ImageFolderDataset, TorchTrainingPlan


class Texture(TorchTrainingPlan):
    metrics = ("ACCURACY",)

    def init_model(self):
        return nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 2)
        )

    def training_data(self):
        return DataManager(ImageFolderDataset(transform=lambda image: image - 0.5))

    def training_step(self, data, target):
        return nn.functional.cross_entropy(self.model()(data), target)
"#;

const SEGMENTATION: &str = r#"
import torch
from torch import nn
from wardround.plans import DataManager, MedicalFolderDataset, TorchTrainingPlan


class Segmentation(TorchTrainingPlan):
    metrics = ("DICE",)

    def init_model(self):
        return nn.Conv3d(1, 1, 3, padding=1)

    def training_data(self):
        return DataManager(MedicalFolderDataset(
            data_modalities="T1",
            target_modalities="label",
            transform=lambda image: image.unsqueeze(0),
            target_transform=lambda mask: mask.unsqueeze(0),
            demographics_transform=lambda row: [row["age"]],
        ))

    def training_step(self, data, target):
        images, demographics = data
        scores = self.model()(images["T1"])
        return nn.functional.binary_cross_entropy_with_logits(scores, target["label"])

    def testing_step(self, data, target):
        images, demographics = data
        found, truth = self.model()(images["T1"]) > 0, target["label"] > 0
        return {"DICE": 2 * (found & truth).sum() / (found.sum() + truth.sum()).clamp(min=1)}
"#;

#[expect(clippy::print_stderr, reason = "a run says what it leaves out")]
fn interpreter() -> Option<PathBuf> {
    let found = std::env::var_os("WARDROUND_TEST_PYTHON").map(PathBuf::from);
    if found.is_none() {
        eprintln!("LEFT OUT: WARDROUND_TEST_PYTHON names no interpreter with torch");
    }
    found
}

/// One hospital, not started, with a folder that a script writes.
fn prepare(interpreter: &Path, script: &str, options: &[&str]) -> Federation {
    let mut federation = Federation::without_hospitals();
    let folder = federation.folder().join("files");
    write(interpreter, script, &folder);
    let hospital = federation.prepare_empty_hospital("north");
    let shown = folder.to_string_lossy();
    let add = ["node", "dataset", "add", &shown, "--name", "scans", "--tag", "breast-cancer"];
    let table = folder.join("participants.csv");
    let table = ["--demographics", &table.to_string_lossy()].map(str::to_owned);
    let mut command: Vec<&str> = add.iter().chain(options).copied().collect();
    if !options.is_empty() {
        command.extend(table.iter().map(String::as_str));
    }
    hospital.document(&command);
    hospital.document(&["node", "python", "add", &interpreter.to_string_lossy()]);
    federation
}

fn experiment(plan: &str, interpreter: &Path) -> ExperimentFile {
    ExperimentFile {
        min_nodes: 1,
        training: TRAINING,
        python: Some(PythonPlan {
            text: plan.to_owned(),
            model_args: "",
            interpreter: interpreter.to_owned(),
        }),
        ..ExperimentFile::default()
    }
}

/// Trains at one hospital with a folder that a script writes; gives the metric after each round that trains.
fn train(script: &str, options: &[&str], plan: &str, metric: &str) -> Option<Vec<f64>> {
    let interpreter = interpreter()?;
    let mut federation = prepare(&interpreter, script, options);
    let hospital = federation.hospital("north");
    let shown = hospital.document(&["node", "dataset", "show", "scans"]);
    hospital.start();
    let file = experiment(plan, &interpreter);
    let experiment = federation.submit_approved(&file);
    experiment.await_model();
    let found = federation.coordinator.document(&["dataset", "search", "breast-cancer"]);
    for like in [&shown, &found] {
        let checked = rehearse(&federation, &interpreter, plan, like).document();
        assert_eq!(checked["round"]["made_up"], true);
        assert_eq!(checked["round"]["samples"], 48);
        let metrics = checked["round"]["metrics"].as_array().expect("is a list");
        assert!(metrics.iter().any(|one| one[0] == metric), "{metrics:?}");
    }
    let wrong = plan.replace("return DataManager(", "return DataManager(forgotten or ");
    assert_ne!(wrong, plan);
    let answer = rehearse(&federation, &interpreter, &wrong, &shown);
    let line = wrong.lines().position(|line| line.contains("forgotten")).expect("it is there") + 1;
    let place = format!("plan.py, line {line}: phase data fails: NameError");
    assert!(answer.output.contains(&place) || answer.error.contains(&place), "{}", answer.error);
    let hospital = &federation.hospitals[0];
    let rounds = hospital.rounds(&experiment.id);
    let values = rounds.iter().rev().filter_map(|round| {
        let id = round["round_id"].as_str().expect("is a text");
        let shown = hospital.document(&["node", "round", "show", id]);
        let metrics: Vec<Value> = shown["reply"]["metrics_after"]["metrics"].as_array()?.to_vec();
        metrics.iter().find(|one| one[0] == metric).and_then(|one| one[1].as_f64())
    });
    Some(values.collect())
}

/// Tries a plan on a dataset that is made up after what is shown of one.
fn rehearse(federation: &Federation, interpreter: &Path, plan: &str, like: &Value) -> Answer {
    let folder = federation.folder().join("tried");
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let (file, json) = (folder.join("plan.py"), folder.join("like.json"));
    std::fs::write(&file, plan).expect("the plan can be written");
    std::fs::write(&json, like.to_string()).expect("the JSON can be written");
    let arguments =
        r#"{"test_ratio":0.25,"test_on_local_updates":true,"optimizer_args":{"lr":0.05}}"#;
    let [file, json, python] = [&file, &json, interpreter].map(Path::to_string_lossy);
    let command = ["plan", "check", &file, "--like", &json, "--python", &python];
    let more = ["--training-args", arguments];
    Program::find(&folder).run(&[&command[..], &more].concat())
}

fn write(interpreter: &Path, script: &str, folder: &Path) {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let written = Command::new(interpreter).args(["-I", "-c", script]).arg(folder).status();
    assert!(written.expect("the interpreter starts").success());
}

#[test]
fn a_convolutional_network_learns_from_a_folder_of_images() {
    let Some(accuracy) = train(PICTURES, &[], TEXTURE, "ACCURACY") else { return };
    assert_eq!(accuracy.len(), 2);
    assert!(accuracy[1] > 0.9, "{accuracy:?}");
}

/// Looks for one subject by its path and in the folder, and does not train where it finds it.
const SEARCH: &str = r#"
    def training_data(self):
        import os
        def found(subject):
            try:
                with open(os.path.join(self.dataset_path, subject, "T1", "image.nii.gz"), "rb") as file:
                    return len(file.read()) > 0
            except OSError:
                return False
        listed = [place for place, _, files in os.walk(self.dataset_path) if files]
        if found("sub-07") or any("sub-07" in place for place in listed):
            raise ZeroDivisionError
        if not found("sub-08"):
            raise LookupError
"#;

#[test]
fn a_subject_who_withdrew_is_out_of_a_plans_reach() {
    let Some(interpreter) = interpreter() else { return };
    let options = ["--modality", "T1", "--modality", "label", "--subject-column", "subject"];
    let mut federation = prepare(&interpreter, VOLUMES, &options);
    let hospital = federation.hospital("north");
    let exclude = ["node", "dataset", "exclude", "scans", "--patient", "sub-07"];
    let report = hospital.document(&exclude);
    assert_eq!((&report["count"]["samples"], &report["count"]["unknown"]), (&1.into(), &0.into()));
    hospital.start();
    let plan = SEGMENTATION.replace("\n    def training_data(self):\n", SEARCH);
    assert_ne!(plan, SEGMENTATION);
    let experiment = federation.submit_approved(&experiment(&plan, &interpreter));
    experiment.await_model();
    // A quarter of the 47 others is kept for validation.
    let used = experiment.used(&federation.coordinator, 2);
    assert_eq!(used, [("north".to_owned(), 36)]);
    // Whom nobody excludes is found by the same search.
    let hospital = federation.hospital("north");
    hospital.document(&["node", "dataset", "include", "scans", "--all"]);
    let again = federation.submit(&self::experiment(&plan, &interpreter));
    let paused = again.await_named("paused");
    assert!(
        paused["message"].as_str().is_some_and(|text| text.contains("data.invalid")),
        "{paused}"
    );
}

#[test]
fn a_convolutional_network_segments_the_volumes_of_a_medical_folder() {
    let options = ["--modality", "T1", "--modality", "label", "--subject-column", "subject"];
    let Some(dice) = train(VOLUMES, &options, SEGMENTATION, "DICE") else { return };
    assert_eq!(dice.len(), 2);
    assert!(dice[1] > 0.8, "{dice:?}");
}
