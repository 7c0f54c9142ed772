//! Cancelling, pausing and shutting down while rounds run.

use std::time::Duration;

use federation::{ExperimentFile, Federation};
use serde_json::Value;

/// Long enough for what the shutdown settings of the harness allow, and far from any round's deadline.
const BOUND: Duration = Duration::from_secs(8);

#[test]
fn a_cancelled_experiment_frees_the_nodes_while_they_train() {
    let mut federation = Federation::of_three();
    let endless = ExperimentFile { training: ENDLESS, ..ExperimentFile::default() };
    let experiment = federation.submit_approved(&endless);
    for hospital in &federation.hospitals {
        hospital.daemon().await_named("round-started");
    }
    federation.coordinator.document(&["experiment", "cancel", &experiment.id]);
    experiment.await_named("cancelled");
    for hospital in &federation.hospitals {
        let ended = hospital.daemon().await_named("round-ended");
        assert_eq!(ended["code"], "cancelled", "{}", hospital.name());
    }
    let again = federation.coordinator.run(&["experiment", "resume", &experiment.id]);
    assert_ne!(again.status, 0, "an experiment that has ended does not go on");
    // The plan is the same, and every slot is free.
    federation.submit(&ExperimentFile::default()).await_model();
}

#[test]
fn an_owner_can_end_a_round_that_trains() {
    let mut federation = Federation::of_three();
    let endless = ExperimentFile {
        training: ENDLESS,
        experiment: "round_retries = 0",
        min_nodes: 1,
        ..ExperimentFile::default()
    };
    let experiment = federation.submit_approved(&endless);
    for hospital in &federation.hospitals {
        let started = hospital.daemon().await_named("round-started");
        let round = started["round_id"].as_str().expect("is a text");
        hospital.document(&["node", "round", "cancel", round]);
        let ended = hospital.daemon().await_named("round-ended");
        assert_eq!(ended["code"], "cancelled", "{}", hospital.name());
    }
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "round.too_few_updates");
}

#[test]
fn a_paused_node_takes_no_round_until_its_owner_resumes() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();
    let status = federation.hospital("south").document(&["node", "pause"]);
    assert_eq!(status["is_paused"], true);
    let file = ExperimentFile {
        experiment: "selection_deadline = \"500ms\"\nround_retries = 0",
        ..ExperimentFile::default()
    };
    let experiment = federation.submit(&file);
    let paused = experiment.await_named("paused");
    let code = paused["code"].as_str().expect("is a text");
    assert!(["nodes.too_few", "round.too_few_updates"].contains(&code), "{paused}");
    federation.hospital("south").document(&["node", "resume"]);
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    assert_eq!(experiment.await_model(), model);
}

#[test]
fn a_node_that_is_asked_to_end_does_so_soon_and_goes_on_later() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();
    let south = federation.hospital("south");
    south.terminate(BOUND);
    south.start_pausing_at("train");
    let experiment = federation.submit(&ExperimentFile::default());
    let south = federation.hospital("south");
    south.daemon().await_named("paused");
    south.terminate(BOUND);
    south.start();
    assert_eq!(experiment.await_model(), model);
}

#[test]
fn a_node_that_trains_is_asked_to_end_and_does_so_soon() {
    let mut federation = Federation::of_three();
    let endless = ExperimentFile { training: ENDLESS, ..ExperimentFile::default() };
    let experiment = federation.submit_approved(&endless);
    let south = federation.hospital("south");
    let started = south.daemon().await_named("round-started");
    south.terminate(BOUND);
    south.start();
    let again = south.daemon().await_named("round-started");
    assert_eq!(again["round_id"], started["round_id"]);
    assert_eq!(again["attempt"], 2);
    federation.coordinator.document(&["experiment", "cancel", &experiment.id]);
    let ended = federation.hospital("south").daemon().await_named("round-ended");
    assert_eq!(ended["code"], "cancelled");
}

#[test]
fn a_coordinator_that_is_asked_to_end_does_so_soon_and_goes_on_later() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();
    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("train");
    let experiment = federation.submit(&ExperimentFile::default());
    federation.hospital("south").daemon().await_named("paused");
    let seen = federation.events_of_nodes();
    federation.coordinator.terminate(BOUND);
    federation.coordinator.start();
    federation.await_reconnection(&seen);
    federation.hospital("south").kill();
    federation.hospital("south").start();
    assert_eq!(experiment.await_model(), model);
}

#[test]
fn a_node_that_hangs_is_given_up_and_taken_back() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile {
        rounds: 40,
        min_nodes: 2,
        round_deadline: "3s",
        ..ExperimentFile::default()
    };
    let experiment = federation.submit_approved(&file);
    let aggregated = |sites: usize| {
        move |event: &Value| {
            event["event"] == "aggregating"
                && event["sites"].as_array().is_some_and(|list| list.len() == sites)
        }
    };
    experiment.await_event("a round of three", aggregated(3));
    federation.hospital("south").daemon().freeze();
    experiment.await_event("a round of two", aggregated(2));
    let seen = experiment.events().len();
    federation.hospital("south").daemon().thaw();
    experiment.await_after(seen, "a round of three again", aggregated(3));
    experiment.await_model();
}

const ENDLESS: &str = "\
epochs = 100000000
[training_args.optimizer_args]
lr = 0.001
";
