//! Folders and data loading plans at a node: registered, shown to others, and used or refused by rounds.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dataset::Kind;
use node::administration::{Acceptance, DatasetAddition, DatasetEdit};
use node::registry::pythons::{self, Interpreter};
use node::{Administration, Notice, registry};
use protocol::Code;
use protocol::wire::v1::node_message::Message;
use runtime::python::Environment;
use sandbox::Level;
use store::{Database, Transaction, journal};
use tokio::sync::Notify;

use crate::site::{Scene, addition, example};

const PLAN: &str = "\
kind = \"table\"
name = \"fna\"
version = 2
[columns]
radius_mean = \"RADIUS\"
[categories.diagnosis]
0 = \"B\"
1 = \"M\"
[units.radius_mean]
from = \"mm\"
to = \"um\"
factor = 1000
";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dataset/tests/fixtures").join(name)
}

/// The example's table as another hospital keeps it: another name, another unit, numbers for the classes.
fn foreign_table(folder: &Path) -> PathBuf {
    let table = std::fs::read_to_string(example("north.csv")).unwrap();
    let mut text = String::new();
    for line in table.lines() {
        let mut cells: Vec<String> = line.split(',').map(str::to_owned).collect();
        match (cells[0].as_str(), cells[1].parse::<f64>()) {
            ("diagnosis", _) => "RADIUS".clone_into(&mut cells[1]),
            (class, Ok(radius)) => {
                cells[0] = if class == "M" { "1" } else { "0" }.to_owned();
                cells[1] = (radius / 1000.0).to_string();
            }
            other => panic!("{other:?} is no row of the example"),
        }
        text.push_str(&cells.join(","));
        text.push('\n');
    }
    let path = folder.join("foreign.csv");
    std::fs::write(&path, text).unwrap();
    path
}

fn images(folder: &Path) -> DatasetAddition {
    for (class, name) in [("benign", "alpha.png"), ("malignant", "colour.jpg")] {
        std::fs::create_dir_all(folder.join(class)).unwrap();
        for copy in 0..12 {
            let path = folder.join(class).join(format!("{copy}-{name}"));
            std::fs::copy(fixture(name), path).unwrap();
        }
    }
    addition("patches", folder)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_reads_a_table_as_the_study_expects_it() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let folder = tempfile::tempdir().unwrap();
    let path = foreign_table(folder.path());
    let mut planned = addition("foreign", &path);
    planned.loading_plan = Some(PLAN.to_owned());
    let dataset_id = owner.dataset_add(planned).await.unwrap().dataset_id;
    for (expected, code) in [
        (None, Code::Ok),
        (Some("fna@2"), Code::Ok),
        (Some("fna"), Code::Ok),
        (Some("fna@1"), Code::DataInvalid),
        (Some("other@2"), Code::DataInvalid),
    ] {
        let mut request = scene.experiment.request(dataset_id);
        request.data_loading_plan = expected.map(str::to_owned);
        assert_eq!(scene.run(&request).await.code, code, "{expected:?}");
    }
    // Without its plan the table lacks a column of the study.
    owner.dataset_attach_plan("foreign", None).await.unwrap();
    let request = scene.experiment.request(dataset_id);
    assert_eq!(scene.run(&request).await.code, Code::DataInvalid);
    scene.node.stop().await;
}

/// An interpreter that nothing asks, for the sandbox is judged before it is started.
fn interpreter() -> Interpreter {
    let environment = Environment {
        interpreter: "/usr/bin/python3".into(),
        python: "3.11.7".to_owned(),
        frameworks: Vec::new(),
        packages: 0,
        digest: protocol::Digest::of(b""),
        readable: Vec::new(),
    };
    let added_at = protocol::Timestamp::from_milliseconds(0);
    Interpreter { name: "default".to_owned(), environment, added_at }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_demands_more_of_the_sandbox_than_its_node_and_never_less() {
    // A program that confines nothing: the self-test finds level D.
    let mut scene = Scene::set_with(|config| {
        config.program = Some("/bin/true".into());
        config.python.minimum_sandbox_level = Level::B;
    })
    .await;
    scene.node.stop().await;
    let components = [journal::MIGRATIONS, registry::MIGRATIONS];
    let database = Database::open(&scene.home.folder.database(), &components).unwrap();
    let add = |transaction: &Transaction<'_>| pythons::add(transaction, &interpreter());
    database.write(add).await.unwrap();
    drop(database);
    scene.node = scene.home.start();
    scene.node.notice(|notice| *notice == Notice::Connected).await;
    let owner = scene.node.handle.administration().clone();
    let tested = async {
        while owner.status().await.unwrap().sandbox.is_none() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), tested).await.expect("the node tests itself");

    let folder = tempfile::tempdir().unwrap();
    let bundle = training_plan::Bundle::python("class Plan: pass\n").unwrap();
    let path = folder.path().join("plan.json");
    std::fs::write(&path, bundle.bytes()).unwrap();
    owner.plan_register(&path).await.unwrap();
    let plan = scene.coordinator.publish(bundle.bytes());
    // Its table is gone: whoever opened it would say so.
    let table = folder.path().join("table.csv");
    std::fs::copy(example("north.csv"), &table).unwrap();
    let mut strict = addition("strict", &table);
    strict.minimum_level = Some(Level::A);
    let dataset_id = owner.dataset_add(strict).await.unwrap().dataset_id;
    std::fs::remove_file(&table).unwrap();
    for (level, demanded) in [(None, "A"), (Some(Level::C), "B")] {
        if level.is_some() {
            let edit = DatasetEdit { minimum_level: level, ..DatasetEdit::default() };
            owner.dataset_edit("strict", edit).await.unwrap();
        }
        let mut request = scene.experiment.request(dataset_id);
        request.plan = plan.clone();
        request.runtime = protocol::RuntimeKind::Python;
        assert_eq!(scene.run(&request).await.code, Code::SandboxUnavailable);
        let log = format!("{:?}", owner.round_log(request.round_id).await.unwrap());
        let told = format!("dataset strict demands level {demanded}: the self-test found level D");
        assert!(log.contains(&told), "{log}");
    }
    let edit = DatasetEdit { minimum_level: Some(Level::D), ..DatasetEdit::default() };
    let error = owner.dataset_edit("strict", edit).await.unwrap_err();
    assert_eq!(error.to_string(), "a dataset's minimum level must be A, B or C");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_shown_to_others_by_its_classes_and_refused_to_a_native_plan() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let folder = tempfile::tempdir().unwrap();
    let added = owner.dataset_add(images(folder.path())).await.unwrap();
    assert_eq!((added.kind, added.rows), (Kind::ImageFolder, 24));
    let changed = |message| match message {
        Message::DatasetsChanged(changed) if changed.datasets.len() == 2 => Some(changed.datasets),
        _ => None,
    };
    let datasets = scene.coordinator.hear(changed).await;
    let shown = datasets.iter().find(|dataset| dataset.name == "patches").unwrap();
    assert_eq!((shown.kind.as_str(), shown.row_count), ("image-folder", Some(24)));
    let parts: Vec<_> = shown.parts.iter().map(|part| (part.name.as_str(), part.samples)).collect();
    assert_eq!(parts, [("benign", Some(12)), ("malignant", Some(12))]);
    let request = scene.experiment.request(added.dataset_id);
    assert_eq!(scene.run(&request).await.code, Code::DataInvalid);
    let log = owner.round_log(request.round_id).await.unwrap();
    assert!(format!("{log:?}").contains("the dataset is an image folder, not a table"), "{log:?}");
    assert!(!owner.dataset_check("patches", Acceptance::Look).await.unwrap().is_changed);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_while_a_folder_is_read_ends_the_reading() {
    let mut scene = Scene::set().await;
    let home = &scene.home;
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("class")).unwrap();
    // One large image under many names takes a long time to read, and no room.
    let large = folder.path().join("class/0.png");
    let file = std::fs::File::create(&large).unwrap();
    let mut encoder = png::Encoder::new(file, 8_000, 8_000);
    encoder.set_compression(png::Compression::Fastest);
    encoder.write_header().unwrap().write_image_data(&vec![7; 64_000_000]).unwrap();
    for copy in 1..2_000 {
        std::fs::hard_link(&large, folder.path().join(format!("class/{copy}.png"))).unwrap();
    }
    let told = Arc::new(Notify::new());
    let teller = Arc::clone(&told);
    let owner = Administration::open(&home.folder, home.config.clone()).await.unwrap();
    let owner = owner.telling(move |progress| {
        if progress.files > 0 && progress.files_total == 2_000 {
            teller.notify_one();
        }
    });
    let adding = tokio::spawn({
        let addition = addition("large", folder.path());
        async move { owner.dataset_add(addition).await }
    });
    tokio::time::timeout(Duration::from_secs(60), told.notified()).await.expect("it is told");
    adding.abort();
    drop(adding.await);
    let inside = scene.node.handle.administration().clone();
    assert_eq!(inside.dataset_list().await.unwrap().len(), 1);
    // What is still read would hold the node for five seconds.
    tokio::time::timeout(Duration::from_secs(4), scene.node.stop()).await.expect("nobody reads");
}
