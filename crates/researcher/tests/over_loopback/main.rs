//! A researcher's program over a real loopback line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod counterpart;
mod shelf;

use std::path::PathBuf;
use std::time::Duration;

use counterpart::{Counterpart, Ending, Script};
use protocol::wire::v1;
use protocol::{Code, Digest, ExperimentId, WIRE_VERSION};
use researcher::follower::Patience;
use researcher::{Client, Definition, Error, Occurrence};
use serde_json::json;
use tempfile::TempDir;
use training_plan::Bundle;

const PLAN: &str = r#"
[plan]
name = "logistic"
runtime = "native"
[data]
task = "binary"
target = "diagnosis"
classes = ["B", "M"]
scale = "scale.toml"
standardize = "declared"
[model]
init = "xavier"
layers = [{ dense = { units = 1 } }]
[loss]
kind = "binary_cross_entropy"
[optimizer]
kind = "sgd"
"#;

const SCALE: &str =
    "age = { mean = 50.0, deviation = 10.0 }\nsize = { mean = 2.0, deviation = 1.0 }\n";

const EXPERIMENT: &str = r#"
[experiment]
name = "two sites"
tags = ["breast-cancer"]
plan = "plans/logistic.toml"
rounds = 3
seed = 7
min_nodes = 2
round_deadline = "60s"
[training_args]
epochs = 2
batch_size = 16
[training_args.optimizer_args]
lr = 0.1
"#;

/// A folder with an experiment, its plan and the plan's scale.
fn definition_files() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plans")).unwrap();
    std::fs::write(folder.path().join("plans/logistic.toml"), PLAN).unwrap();
    std::fs::write(folder.path().join("plans/scale.toml"), SCALE).unwrap();
    let path = folder.path().join("experiment.toml");
    std::fs::write(&path, EXPERIMENT).unwrap();
    (folder, path)
}

fn site(node: &str, columns: &[(&str, &str)]) -> v1::SiteDataset {
    let columns = columns.iter().map(|(name, kind)| v1::Column {
        name: (*name).to_owned(),
        r#type: (*kind).to_owned(),
        missing: Some(0),
    });
    v1::SiteDataset {
        node_id: node.to_owned(),
        connected: true,
        dataset: Some(v1::DatasetSummary {
            dataset_id: "0197f3a0-0000-7000-8000-00000000000a".to_owned(),
            name: "table".to_owned(),
            tags: vec!["breast-cancer".to_owned()],
            description: String::new(),
            kind: "tabular".to_owned(),
            columns: columns.collect(),
            row_count: Some(120),
            parts: Vec::new(),
            loading_plan: String::new(),
        }),
    }
}

fn two_sites() -> Vec<v1::SiteDataset> {
    let columns = [("size", "number"), ("age", "integer"), ("diagnosis", "category")];
    vec![site("north", &columns), site("south", &columns)]
}

fn event(sequence: u64, name: &str) -> v1::ExperimentEvent {
    let fields = match name {
        "completed" => json!({
            "model": {"digest": Digest::of(b"model").to_string(), "size": 5, "url": ""}, "rounds": 3
        }),
        _ => json!({}),
    };
    v1::ExperimentEvent { sequence, at: 1, name: name.to_owned(), fields_json: fields.to_string() }
}

fn in_state(state: &str) -> v1::ShowExperimentResponse {
    let summary = v1::ExperimentSummary {
        experiment_id: some_experiment().to_string(),
        state: state.to_owned(),
        ..v1::ExperimentSummary::default()
    };
    v1::ShowExperimentResponse { summary: Some(summary), ..Default::default() }
}

fn some_experiment() -> ExperimentId {
    "0197f3a0-0000-7000-8000-000000000001".parse().unwrap()
}

#[tokio::test]
async fn a_submission_brings_plan_and_first_model_and_says_everything() {
    let counterpart =
        Counterpart::open(Script { datasets: two_sites(), ..Script::default() }).await;
    let client = counterpart.client().await.unwrap();
    let (_folder, path) = definition_files();
    let definition = Definition::read(&path).unwrap();
    let plan_digest = definition.bundle().digest();
    let resolved = client.resolve(definition).await.unwrap();
    assert_eq!(resolved.columns, ["age", "size"]);
    let id = client.submit(&resolved, None).await.unwrap();
    let again = client.submit(&resolved, None).await.unwrap();
    assert_ne!(id, again);

    let submitted = counterpart.script.lock().unwrap().submitted.clone();
    let [first, second] = &submitted[..] else { panic!("two were submitted") };
    assert_eq!(first.experiment_id, id.to_string());
    assert_eq!((first.rounds, first.seed, first.min_nodes), (3, 7, 2));
    assert_eq!(first.round_deadline_milliseconds, 60_000);
    assert_eq!(first.columns, ["age", "size"]);
    assert_eq!((first.runtime.as_str(), first.strategy.as_str()), ("native", "fed_avg"));
    assert_eq!(first.experiment_toml, EXPERIMENT);
    let arguments: serde_json::Value = serde_json::from_str(&first.training_args_json).unwrap();
    assert_eq!(arguments["loader_args"]["batch_size"], 16);
    assert_eq!(first.parameters, second.parameters, "one seed makes one first model");

    let kept = counterpart.shelf.kept.lock().unwrap();
    let plan = Bundle::parse(&kept[&plan_digest]).unwrap();
    assert_eq!(plan.file("scale.toml"), Some(SCALE));
    let model: Digest = first.parameters.as_ref().unwrap().digest.parse().unwrap();
    assert!(kept[&model].windows(15).any(|part| part == b"layers.0.weight"));
}

#[tokio::test]
async fn a_submission_whose_answer_is_lost_is_the_same_experiment() {
    let script = Script { datasets: two_sites(), lost_answers: 1, ..Script::default() };
    let counterpart = Counterpart::open(script).await;
    let client = counterpart.client().await.unwrap();
    let (_folder, path) = definition_files();
    let resolved = client.resolve(Definition::read(&path).unwrap()).await.unwrap();
    let id = client.submit(&resolved, None).await.unwrap();
    let submitted = counterpart.script.lock().unwrap().submitted.clone();
    assert_eq!(submitted.len(), 2);
    assert!(submitted.iter().all(|request| request.experiment_id == id.to_string()));
}

#[tokio::test]
async fn given_parameters_are_brought_as_they_are() {
    let script = Script { datasets: two_sites(), ..Script::default() };
    let counterpart = Counterpart::open(script).await;
    let client = counterpart.client().await.unwrap();
    let (folder, path) = definition_files();
    let given = folder.path().join("model.safetensors");
    std::fs::write(&given, b"any bytes: the coordinator does not look").unwrap();
    let resolved = client.resolve(Definition::read(&path).unwrap()).await.unwrap();
    client.submit(&resolved, Some(&given)).await.unwrap();
    let digest = Digest::of(&std::fs::read(&given).unwrap());
    assert!(counterpart.shelf.kept.lock().unwrap().contains_key(&digest));
    let missing = folder.path().join("nothing");
    let error = client.submit(&resolved, Some(&missing)).await.unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}

#[tokio::test]
async fn sites_that_differ_are_named() {
    let mut datasets = two_sites();
    datasets[1] = site("south", &[("age", "integer"), ("diagnosis", "category")]);
    let counterpart = Counterpart::open(Script { datasets, ..Script::default() }).await;
    let client = counterpart.client().await.unwrap();
    let (_folder, path) = definition_files();
    let error = client.resolve(Definition::read(&path).unwrap()).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("south/table") && text.contains("size"), "{text}");
}

#[tokio::test]
async fn sites_that_are_not_connected_are_not_asked() {
    let mut datasets = two_sites();
    datasets[0].connected = false;
    datasets[1].connected = false;
    let counterpart = Counterpart::open(Script { datasets, ..Script::default() }).await;
    let client = counterpart.client().await.unwrap();
    assert_eq!(client.datasets(&[]).await.unwrap().len(), 2);
    assert!(!client.nodes().await.unwrap()[0].connected);
    let (_folder, path) = definition_files();
    let error = client.resolve(Definition::read(&path).unwrap()).await.unwrap_err();
    assert_eq!(error.to_string(), "no dataset is selected");
}

#[tokio::test]
async fn following_goes_on_where_the_line_broke_and_ends_with_the_experiment() {
    let watches = vec![
        (vec![event(1, "selected"), event(2, "aggregating")], Ending::Breaks),
        (vec![], Ending::Breaks),
        // An event that came before the break comes again and is not told twice.
        (vec![event(2, "aggregating"), event(3, "completed")], Ending::Breaks),
    ];
    let counterpart = Counterpart::open(Script { watches, ..Script::default() }).await;
    let client = counterpart.client().await.unwrap();
    let patience = Patience { attempts: 5, delay: Duration::from_millis(1) };
    let mut follower = client.follow(some_experiment(), 0).with_patience(patience);
    let mut told = Vec::new();
    while let Some(event) = follower.next().await.unwrap() {
        told.push((event.sequence, event.name.clone()));
        if let Occurrence::Completed { rounds, .. } = event.what {
            assert_eq!(rounds, 3);
        }
    }
    let expected = [(1, "selected"), (2, "aggregating"), (3, "completed")];
    assert_eq!(told, expected.map(|(sequence, name)| (sequence, name.to_owned())));
    assert_eq!(follower.next().await.unwrap(), None);
    assert_eq!(counterpart.script.lock().unwrap().watched_after, [0, 2, 2]);
}

#[tokio::test]
async fn following_gives_up_when_nobody_answers_for_long() {
    let watches = vec![(vec![], Ending::Breaks); 4];
    let counterpart = Counterpart::open(Script { watches, ..Script::default() }).await;
    let client = counterpart.client().await.unwrap();
    let patience = Patience { attempts: 3, delay: Duration::from_millis(1) };
    let mut follower = client.follow(some_experiment(), 0).with_patience(patience);
    let error = follower.next().await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
    assert_eq!(counterpart.script.lock().unwrap().watched_after.len(), 4);
}

#[tokio::test]
async fn a_coordinator_that_shuts_down_is_expected_back() {
    let watches = vec![
        (vec![event(1, "selected")], Ending::Ends),
        (vec![event(2, "cancelled")], Ending::Ends),
    ];
    let counterpart = Counterpart::open(Script { watches, ..Script::default() }).await;
    counterpart.script.lock().unwrap().shown = Some(in_state("awaiting-replies"));
    let client = counterpart.client().await.unwrap();
    let mut follower = client.follow(some_experiment(), 0);
    assert_eq!(follower.next().await.unwrap().unwrap().sequence, 1);
    assert_eq!(follower.next().await.unwrap().unwrap().what, Occurrence::Cancelled);
    assert_eq!(follower.next().await.unwrap(), None);
}

#[tokio::test]
async fn whoever_knows_all_of_an_ended_experiment_is_told_nothing() {
    let watches = vec![(vec![], Ending::Ends)];
    let counterpart = Counterpart::open(Script { watches, ..Script::default() }).await;
    counterpart.script.lock().unwrap().shown = Some(in_state("completed"));
    let client = counterpart.client().await.unwrap();
    assert_eq!(client.follow(some_experiment(), 9).next().await.unwrap(), None);
}

#[tokio::test]
async fn refusals_keep_their_code_and_words() {
    let counterpart = Counterpart::open(Script::default()).await;
    let client = counterpart.client().await.unwrap();
    let unknown = client.show(some_experiment()).await.unwrap_err();
    assert_eq!(unknown.code(), Some(Code::ExperimentUnknown));
    assert_eq!(unknown.to_string(), Code::ExperimentUnknown.sentence());
    let state = client.resume(some_experiment()).await.unwrap_err();
    assert_eq!(state.code(), Some(Code::ExperimentState));
    let watched = client.follow(some_experiment(), 0).next().await.unwrap_err();
    assert_eq!(watched.code(), Some(Code::ExperimentUnknown));
    client.cancel(some_experiment()).await.unwrap();
    let history = client.history(some_experiment()).await.unwrap_err();
    assert!(matches!(history, Error::Answer(_)), "{history}");
}

#[tokio::test]
async fn the_model_is_fetched_and_checked() {
    let counterpart = Counterpart::open(Script::default()).await;
    let model = counterpart.shelf.keep(b"the model");
    let shown =
        v1::ShowExperimentResponse { model: Some(model.clone().into()), ..in_state("completed") };
    counterpart.script.lock().unwrap().shown = Some(shown);
    let client = counterpart.client().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    assert_eq!(client.download(some_experiment(), &path).await.unwrap(), model);
    assert_eq!(std::fs::read(&path).unwrap(), b"the model");
    assert_eq!(client.list().await.unwrap()[0].state, "completed");
    counterpart.script.lock().unwrap().shown.as_mut().unwrap().model = None;
    let none = client.download(some_experiment(), &path).await.unwrap_err();
    assert!(matches!(none, Error::NoModel { .. }), "{none}");
}

#[tokio::test]
async fn another_wire_version_and_a_wrong_address_are_refused_in_words() {
    let script = Script { wire_version: Some(WIRE_VERSION + 1), ..Script::default() };
    let counterpart = Counterpart::open(script).await;
    let error = counterpart.client().await.unwrap_err();
    assert_eq!(error.code(), Some(Code::WireVersion));
    let name = researcher::Caller::Researcher("ada".parse().unwrap());
    let error = Client::connect("coordinator", &name).await.unwrap_err();
    assert!(matches!(error, Error::Address(_)), "{error}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = Client::connect(&format!("http://{free}"), &name).await.unwrap_err();
    assert!(error.is_unreachable(), "{error}");
}

#[test]
fn a_definition_names_what_is_wrong_with_its_files() {
    let (folder, path) = definition_files();
    std::fs::remove_file(folder.path().join("plans/scale.toml")).unwrap();
    let error = Definition::read(&path).unwrap_err();
    assert_eq!(error.to_string(), "plan file \"scale.toml\" cannot be read");
    std::fs::write(&path, EXPERIMENT.replace("epochs = 2", "epoch = 2")).unwrap();
    let error = Definition::read(&path).unwrap_err();
    assert!(matches!(error, Error::Definition(_)), "{error}");
    assert!(error.to_string().contains("epoch"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = Definition::read(&path).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}
