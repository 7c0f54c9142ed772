//! Patients who withdrew: left out of every round from then on, counted in the audit log, and named nowhere.

use std::path::{Path, PathBuf};

use dataset::Exclusions;
use node::Administration;
use node::administration::{Acceptance, ExclusionChange};
use node::audit::Record;
use protocol::{Code, DatasetId};

use crate::site::{Scene, addition, example};

/// The example's table with a column that names two rows each as one patient's.
fn table(folder: &Path) -> PathBuf {
    let text = std::fs::read_to_string(example("north.csv")).unwrap();
    let lines = text.lines().enumerate().map(|(row, line)| match row {
        0 => format!("patient,{line}\n"),
        row => format!("MRN-{},{line}\n", row / 2),
    });
    let path = folder.join("ward.csv");
    std::fs::write(&path, lines.collect::<String>()).unwrap();
    path
}

async fn add(owner: &Administration, path: &Path) -> DatasetId {
    let mut addition = addition("ward", path);
    addition.dataset.table.patient_id = Some("patient".to_owned());
    owner.dataset_add(addition).await.unwrap().dataset_id
}

fn exclude(patients: &[&str]) -> ExclusionChange {
    let mut list = Exclusions::default();
    for patient in patients {
        list.add(patient).unwrap();
    }
    ExclusionChange::Exclude { patients: list }
}

fn records(scene: &Scene) -> Vec<Record> {
    let source = node::audit::open(&scene.home.folder).unwrap();
    node::audit::records(source).unwrap().map(Result::unwrap).collect()
}

async fn samples(scene: &mut Scene, dataset: DatasetId) -> u64 {
    let reply = scene.run(&scene.experiment.request(dataset)).await;
    assert_eq!(reply.code, Code::Ok, "{reply:?}");
    reply.sample_count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_who_withdrew_is_in_no_round_from_then_on() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let dataset = add(&owner, &path).await;
    let all = samples(&mut scene, dataset).await;

    let report = owner.dataset_exclude("ward", exclude(&["MRN-7", "MRN-8", "MRN-9999"])).await;
    let report = report.unwrap();
    assert_eq!((report.patients, report.changed), (3, 3));
    let count = report.count.expect("the table can be read");
    assert_eq!((count.samples, count.unknown), (4, 1));
    // 202 rows before and 198 now, a fifth of the patients' rows for validation.
    assert!(samples(&mut scene, dataset).await < all);
    let split = records(&scene).into_iter().rfind(|record| record.action == "round.split").unwrap();
    assert_eq!(split.objects["excluded_samples"], "4");
    let rows = |name: &str| split.objects[name].parse::<u64>().unwrap();
    assert_eq!(rows("training_rows") + rows("validation_rows"), 198);

    let details = owner.dataset_show("ward").await.unwrap();
    assert_eq!((details.excluded_patients, details.rows), (3, 202));
    let listed = owner.dataset_exclusions("ward").await.unwrap();
    assert_eq!(listed.patients().collect::<Vec<_>>(), ["MRN-7", "MRN-8", "MRN-9999"]);

    let report = owner.dataset_exclude("ward", ExclusionChange::IncludeAll).await.unwrap();
    assert_eq!((report.patients, report.changed), (0, 3));
    assert_eq!(samples(&mut scene, dataset).await, all);
    let changes: Vec<Record> = records(&scene)
        .into_iter()
        .filter(|record| record.objects.get("change").is_some_and(|change| change == "exclusions"))
        .collect();
    let counts: Vec<&str> =
        changes.iter().map(|record| record.objects["excluded_patients"].as_str()).collect();
    assert_eq!(counts, ["3", "0"]);
    scene.node.stop().await;

    // Who withdrew stands in the node's database alone.
    let log = std::fs::read(scene.home.folder.audit_log()).unwrap();
    assert!(!log.windows(4).any(|bytes| bytes == b"MRN-"), "the audit log names a patient");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_outlives_a_change_of_the_table_and_holds_without_it() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let folder = tempfile::tempdir().unwrap();
    let path = table(folder.path());
    let dataset = add(&owner, &path).await;
    owner.dataset_exclude("ward", exclude(&["MRN-7"])).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let shorter = text.trim_end().rsplit_once('\n').unwrap().0;
    std::fs::write(&path, format!("{shorter}\n")).unwrap();

    // The file is another one until its owner accepts it; whoever withdraws meanwhile has withdrawn.
    let report = owner.dataset_exclude("ward", exclude(&["MRN-8"])).await.unwrap();
    assert_eq!((report.patients, report.count), (2, None));
    assert!(report.uncounted.is_some_and(|reason| reason.contains("changed")));
    owner.dataset_check("ward", Acceptance::Update).await.unwrap();
    assert_eq!(owner.dataset_show("ward").await.unwrap().excluded_patients, 2);
    samples(&mut scene, dataset).await;
    let split = records(&scene).into_iter().rfind(|record| record.action == "round.split").unwrap();
    assert_eq!(split.objects["excluded_samples"], "4");

    scene.node.kill().await;
    scene.node = scene.home.start();
    let owner = scene.node.handle.administration().clone();
    assert_eq!(owner.dataset_show("ward").await.unwrap().excluded_patients, 2);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_names_no_patients_takes_no_exclusion() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let refused = owner.dataset_exclude("breast-cancer", exclude(&["MRN-7"])).await.unwrap_err();
    let text = refused.to_string();
    assert!(text.contains("names no patients") && !text.contains("MRN"), "{text}");
    let unknown = owner.dataset_exclude("nothing", exclude(&["MRN-7"])).await.unwrap_err();
    assert!(unknown.to_string().contains("is not registered"), "{unknown}");
    scene.node.stop().await;
}
