//! Nodes that die, hang or come back late: no round lasts longer than its deadline, and nothing is averaged twice.

use federation::{Experiment, ExperimentFile, Federation, Hospital};
use serde_json::Value;

/// How long after a deadline a busy machine may notice it.
const NOTICE: u64 = 2_500;

#[test]
fn a_node_that_died_for_ever_costs_each_round_its_deadline_and_no_more() {
    a_round_ends_without_south(|south| south.kill());
}

#[test]
fn a_node_that_stands_still_costs_each_round_its_deadline_and_no_more() {
    a_round_ends_without_south(|_| {});
}

fn a_round_ends_without_south(befall: impl Fn(&mut Hospital)) {
    let mut two = Federation::of(&["north", "east"]);
    let file =
        ExperimentFile { min_nodes: 2, training: NOT_VALIDATED, ..ExperimentFile::default() };
    let model = two.submit_approved(&file).await_model();
    drop(two);

    let mut federation = Federation::of(&["north", "east"]);
    federation.prepare_hospital("south", &federation::share("south"), &[]);
    federation.hospital("south").start_pausing_at("train");
    let file = ExperimentFile { round_deadline: "3s", ..file };
    let experiment = federation.submit_approved(&file);
    let south = federation.hospital("south");
    south.daemon().await_named("paused");
    befall(south);
    assert_eq!(experiment.await_model(), model, "the model of the two that were there");
    for round in 1..=2 {
        let used = experiment.used(&federation.coordinator, round);
        let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(nodes, ["east", "north"], "round {round}");
        let begun = of_round(&experiment, "round-started", round);
        let ended = of_round(&experiment, "aggregating", round);
        let deadline = begun["deadline"].as_u64().expect("is an instant");
        let ended = ended["at"].as_u64().expect("is an instant");
        assert!(ended >= deadline, "round {round} ended before its deadline without a site");
        assert!(ended - deadline < NOTICE, "round {round} ended {} ms late", ended - deadline);
    }
}

#[test]
fn a_reply_that_comes_after_its_round_is_stored_and_not_used() {
    let mut federation = Federation::of(&["north", "east"]);
    federation.prepare_hospital("south", &federation::share("south"), &[]);
    // It has trained, uploaded and written its reply: only the sending is missing.
    federation.hospital("south").start_pausing_at("reply");
    let file = ExperimentFile {
        min_nodes: 2,
        rounds: 3,
        round_deadline: "4s",
        training: NOT_VALIDATED,
        ..ExperimentFile::default()
    };
    let experiment = federation.submit_approved(&file);
    federation.hospital("south").daemon().await_named("paused");
    federation.hospital("south").kill();
    experiment.await_event("the second round", |event| {
        event["event"] == "round-started" && event["round"] == 2
    });
    federation.hospital("south").start();
    experiment.await_model();

    let used = |round| experiment.used(&federation.coordinator, round).len();
    assert_eq!([used(1), used(2), used(3)], [2, 3, 3]);
    let history = experiment.history(&federation.coordinator);
    let sites = history["rounds"][0]["sites"].as_array().or(None);
    assert!(sites.is_none_or(|sites| sites.iter().all(|site| site["used"] != true)), "round 0");
    let rounds = federation.hospital("south").rounds(&experiment.id);
    let first = rounds.iter().find(|round| round["round"] == 1).expect("round 1 is listed");
    assert_eq!((first["stage"].as_str(), first["code"].as_str()), (Some("closed"), Some("ok")));
}

#[test]
fn too_few_updates_are_tried_again_then_paused_and_resumed() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile {
        round_deadline: "2s",
        experiment: "round_retries = 1",
        ..ExperimentFile::default()
    };
    let model = federation.submit_approved(&file).await_model();

    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("train");
    let experiment = federation.submit(&file);
    federation.hospital("south").daemon().await_named("paused");
    federation.hospital("south").kill();

    let retrying = experiment.await_named("retrying");
    assert_eq!((&retrying["round"], &retrying["retry"]), (&1.into(), &1.into()));
    let failures = retrying["failures"].as_array().expect("is a list");
    assert_eq!(failures.len(), 1, "{retrying}");
    assert_eq!(failures[0]["site"]["node"], "south");
    assert_eq!(failures[0]["code"], "deadline.exceeded");
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "round.too_few_updates");
    let message = paused["message"].as_str().expect("is a text");
    assert!(message.contains("south") && message.contains("2 of 3"), "{message}");
    let overview = experiment.details(&federation.coordinator)["overview"].clone();
    assert_eq!((&overview["state"], &overview["code"]), (&"paused".into(), &paused["code"]));

    federation.hospital("south").start();
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    experiment.await_named("resumed");
    assert_eq!(experiment.await_model(), model);
    // What the others had sent was kept: nobody but south was asked twice.
    for node in ["north", "east"] {
        let rounds = federation.hospital(node).rounds(&experiment.id);
        assert_eq!(rounds.len(), 3, "{node}: {rounds:?}");
    }
}

#[test]
fn too_few_nodes_pause_an_experiment_until_enough_are_there() {
    let mut federation = Federation::of(&["north", "east"]);
    let file = ExperimentFile {
        experiment: "selection_deadline = \"500ms\"",
        ..ExperimentFile::default()
    };
    let experiment = federation.submit(&file);
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "nodes.too_few");
    federation.add_hospital("south");
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    federation.approve(&experiment);
    experiment.await_model();
}

fn of_round(experiment: &Experiment, name: &str, round: u32) -> Value {
    experiment.await_event(name, |event| event["event"] == name && event["round"] == round)
}

const NOT_VALIDATED: &str = "\
epochs = 1
[training_args.loader_args]
batch_size = 32
[training_args.optimizer_args]
lr = 0.1
";
