//! Rounds on a researcher's machine, on datasets of their own and on made-up ones.

use std::path::{Path, PathBuf};

use dataset::{Registered, Watch, describe};
use protocol::{Code, ColumnType, Phase};
use runtime::made_up::{Colours, MadeUpColumn, MadeUpImages, MadeUpModality, MadeUpVolumes};
use runtime::rehearsal::{Origin, PARAMETERS, Rehearsed, Rows, Stumble, UPDATE};
use runtime::{MadeUp, NativeRuntime, Rehearsal};
use serde_json::{Map, json};
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

fn column(name: &str, column_type: ColumnType, values: &[&str]) -> MadeUpColumn {
    let values = values.iter().map(|value| (*value).to_owned()).collect();
    MadeUpColumn { name: name.to_owned(), column_type, has_missing: false, values }
}

fn made(made_up: &MadeUp, folder: &Path) -> (PathBuf, Registered) {
    let (path, description) = made_up.write(folder).expect("the folder can be written");
    let registered = describe(&path, &description, None, &mut Watch::nobody());
    (path, registered.expect("what is made up is a dataset"))
}

#[test]
fn a_made_up_table_has_the_columns_types_and_gaps_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut columns = vec![
        column("age, in \"years\"", ColumnType::Integer, &[]),
        column("7", ColumnType::Number, &[]),
        column("ill", ColumnType::Boolean, &[]),
        column("site", ColumnType::Category, &["north", "south"]),
    ];
    columns[1].has_missing = true;
    let (_, registered) = made(&MadeUp::Table(columns.clone()), folder.path());
    let Registered::Table(table) = registered else { panic!("it is a table") };
    assert_eq!(table.rows, 200);
    let found = table.columns.iter().map(|one| (one.name.as_str(), one.column_type));
    let wanted = columns.iter().map(|one| (one.name.as_str(), one.column_type));
    assert_eq!(found.collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
    let missing: Vec<u64> = table.columns.iter().map(|one| one.missing).collect();
    assert_eq!(missing, [0, 20, 0, 0]);
}

#[test]
fn made_up_images_have_the_classes_sizes_and_colours_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let images = MadeUpImages {
        classes: ["benign", "malignant"].map(str::to_owned).to_vec(),
        width: (12, 20),
        height: (9, 30),
        colours: vec![Colours::Rgb, Colours::Grey],
    };
    let (_, registered) = made(&MadeUp::Images(images), folder.path());
    let Registered::ImageFolder(images) = registered else { panic!("it is an image folder") };
    assert_eq!((images.samples, images.width, images.height), (48, (12, 20), (9, 30)));
    let classes = images.classes.iter().map(|class| (class.name.as_str(), class.samples));
    assert_eq!(classes.collect::<Vec<_>>(), [("benign", 24), ("malignant", 24)]);
    assert_eq!(images.formats.keys().collect::<Vec<_>>(), ["png, grey", "png, rgb"]);
}

#[test]
fn made_up_subjects_have_the_modalities_shapes_and_demographics_that_are_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let modality = |name: &str, is_measured, has_missing| MadeUpModality {
        name: name.to_owned(),
        shapes: vec![vec![8, 6, 4], vec![8, 6, 5]],
        is_measured,
        has_missing,
    };
    let volumes = MadeUpVolumes {
        modalities: vec![modality("T1", true, false), modality("mask", false, true)],
        demographics: Some(vec![
            column("age", ColumnType::Number, &[]),
            column("sex", ColumnType::Category, &["f", "m"]),
        ]),
    };
    let (_, registered) = made(&MadeUp::Volumes(volumes), folder.path());
    let Registered::MedicalFolder(folder) = registered else { panic!("it is a medical folder") };
    assert_eq!((folder.subjects, folder.samples), (48, 48));
    let [first, second] = &folder.modalities[..] else { panic!("there are two") };
    assert_eq!((first.subjects, second.subjects), (48, 39));
    assert_eq!(first.shapes.keys().collect::<Vec<_>>(), ["8 x 6 x 4", "8 x 6 x 5"]);
    assert!(first.types.contains_key("float32") && second.types.contains_key("uint8"));
    let table = folder.demographics.expect("there is a table").registration;
    let names = table.columns.iter().map(|column| column.name.as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["subject", "age", "sex"]);
}

#[test]
fn a_folder_of_large_samples_has_fewer_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let images = MadeUpImages {
        classes: vec!["one".to_owned()],
        width: (2000, 2000),
        height: (3000, 3000),
        colours: vec![Colours::Rgb],
    };
    let (_, registered) = made(&MadeUp::Images(images), folder.path());
    assert_eq!(registered.samples(), 14);
}

/// Rehearses a native plan on a made-up table, with the files in a folder.
fn rehearse(folder: &Path, (round, rate): (u32, f64), plan: &str) -> Result<Rehearsed, Stumble> {
    let columns = vec![
        column("class", ColumnType::Category, &["well", "ill"]),
        column("x", ColumnType::Number, &[]),
        column("y", ColumnType::Number, &[]),
    ];
    let (path, registration) = made(&MadeUp::Table(columns), folder);
    let bundle = Bundle::native(plan, |_| Err(std::io::ErrorKind::NotFound.into()))
        .expect("the plan is short");
    let arguments = json!({
        "epochs": 2, "test_ratio": 0.25, "test_on_global_updates": true, "test_on_local_updates": true,
        "optimizer_args": {"lr": rate},
    });
    let node = "north".parse().expect("is a name");
    let dataset = "ward".parse().expect("is a name");
    Rehearsal {
        runtime: &NativeRuntime,
        bundle: &bundle,
        class: "",
        model_args: &Map::new(),
        training_args: &TrainingArguments::parse(&arguments).expect("the arguments are right"),
        columns: &["x", "y"].map(str::to_owned),
        data: Rows { path: &path, registration: &registration },
        origin: &Origin { seed: 42, round, node, dataset },
        parameters: None,
        folder,
    }
    .run()
}

#[test]
fn a_native_plan_is_rehearsed_with_the_same_bytes_each_time_and_others_in_another_round() {
    let [one, again, later] = [1, 1, 2].map(|round| {
        let folder = tempfile::tempdir().unwrap();
        let rehearsed = rehearse(folder.path(), (round, 0.1), PLAN).unwrap();
        for (file, summary) in [(PARAMETERS, &rehearsed.parameters), (UPDATE, &rehearsed.update)] {
            let bytes = std::fs::read(folder.path().join(file)).unwrap();
            assert_eq!(protocol::Digest::of(&bytes), summary.digest);
        }
        rehearsed
    });
    assert_eq!((one.rows, one.samples, &one.level), (200, 200, &None));
    assert_eq!(one.metrics[0].0, "ACCURACY");
    assert_eq!(one, again);
    assert_eq!(one.parameters, later.parameters);
    assert_ne!(one.update, later.update);
}

#[test]
fn a_plan_that_fails_says_in_which_phase() {
    let folder = tempfile::tempdir().unwrap();
    let classes = PLAN.replace("\"well\"", "\"healthy\"");
    let stumble = rehearse(folder.path(), (1, 0.1), &classes).unwrap_err();
    assert_eq!((stumble.phase, stumble.failure.code), (Phase::Data, Code::DataInvalid));
    // Steps near the largest number of single precision, which momentum adds up.
    let heavy = PLAN.replace("kind = \"sgd\"", "kind = \"sgd\"\nmomentum = 0.99");
    let stumble = rehearse(folder.path(), (1, 3.4e38), &heavy).unwrap_err();
    assert_eq!((stumble.phase, stumble.failure.code), (Phase::Train, Code::TrainingDiverged));
}

const PLAN: &str = r#"
[plan]
name = "rehearsed"
runtime = "native"

[data]
task = "binary"
target = "class"
classes = ["well", "ill"]
features = ["x", "y"]
missing = "error"
standardize = "none"

[metrics]
names = ["ACCURACY"]
default = "ACCURACY"

[model]
layers = [{ dense = { units = 1 } }]

[loss]
kind = "binary_cross_entropy"

[optimizer]
kind = "sgd"
"#;
