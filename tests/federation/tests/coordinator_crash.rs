//! `kill -9` of the coordinator where an experiment enters any state: the run completes with the same model.

use federation::{Experiment, ExperimentFile, Federation};
use round::experiment::StateName;

#[test]
fn a_coordinator_that_is_killed_in_any_state_goes_on_where_it_was() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();
    for state in StateName::ALL {
        match state {
            // Nobody hears of an experiment before its selection: the next test.
            StateName::Selecting => {}
            StateName::AwaitingApproval
            | StateName::AwaitingReplies
            | StateName::Aggregating
            | StateName::Checkpointing
            | StateName::FinalValidation
            | StateName::Completed => {
                let experiment = crash(&mut federation, *state);
                assert_eq!(experiment.await_model(), model, "killed where {state} begins");
                for round in 1..=2 {
                    let used = experiment.used(&federation.coordinator, round);
                    let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
                    assert_eq!(nodes, ["east", "north", "south"], "{state}, round {round}");
                }
            }
            // The tests below reach these.
            StateName::Paused | StateName::Cancelled | StateName::Failed => {}
        }
    }
}

/// Submits to a coordinator that stands still where a state begins, kills it there and starts it again.
fn crash(federation: &mut Federation, state: StateName) -> Experiment {
    restart_pausing_at(federation, state);
    let experiment = federation.submit(&ExperimentFile::default());
    kill_where_it_stands(federation);
    experiment
}

fn restart_pausing_at(federation: &mut Federation, state: StateName) {
    federation.restart_coordinator(Some(state.as_str()));
}

fn kill_where_it_stands(federation: &mut Federation) {
    federation.coordinator.daemon().await_named("paused");
    federation.coordinator.kill();
    federation.coordinator.start();
}

#[test]
fn an_experiment_is_kept_before_its_submission_is_answered() {
    let mut federation = Federation::of_three();
    let first = federation.submit_approved(&ExperimentFile::default());
    let model = first.await_model();
    restart_pausing_at(&mut federation, StateName::Selecting);
    let file = ExperimentFile::default().write(&federation.folder().join("unanswered"));
    let submit = ["experiment", "submit", &file.to_string_lossy()];
    let _asking = federation.coordinator.follow("submit", &submit);
    kill_where_it_stands(&mut federation);
    let experiments = federation.coordinator.document(&["experiment", "list"]);
    assert_eq!(experiments.as_array().map(Vec::len), Some(2), "{experiments}");
    let id = experiments[0]["experiment_id"].as_str().expect("is a text");
    assert_ne!(id, first.id, "the newest is listed first");
    let experiment = Experiment::follow(&federation.coordinator, id, &first.plan);
    assert_eq!(experiment.await_model(), model);
}

#[test]
fn a_pause_outlives_the_coordinator_and_can_be_ended_after_it() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile {
        round_deadline: "2s",
        experiment: "round_retries = 0",
        ..ExperimentFile::default()
    };
    let model = federation.submit_approved(&file).await_model();
    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("train");
    restart_pausing_at(&mut federation, StateName::Paused);
    let experiment = federation.submit(&file);
    federation.hospital("south").daemon().await_named("paused");
    federation.hospital("south").kill();
    kill_where_it_stands(&mut federation);
    let overview = experiment.details(&federation.coordinator)["overview"].clone();
    assert_eq!((&overview["state"], &overview["code"]), (&"paused".into(), &TOO_FEW.into()));
    federation.hospital("south").start();
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    assert_eq!(experiment.await_model(), model);
}

#[test]
fn a_cancellation_outlives_the_coordinator() {
    let mut federation = Federation::of_three();
    federation.submit_approved(&ExperimentFile::default()).await_model();
    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("train");
    restart_pausing_at(&mut federation, StateName::Cancelled);
    // Long enough that the round is under way when the node comes back and is told.
    let long = ExperimentFile {
        training: "epochs = 2000000\n[training_args.loader_args]\nbatch_size = 8\n",
        ..ExperimentFile::default()
    };
    let experiment = federation.submit(&long);
    federation.hospital("south").daemon().await_named("paused");
    // The coordinator dies before it answers.
    let _asking =
        federation.coordinator.follow("cancel", &["experiment", "cancel", &experiment.id]);
    kill_where_it_stands(&mut federation);
    experiment.await_named("cancelled");
    let overview = experiment.details(&federation.coordinator)["overview"].clone();
    assert_eq!(overview["state"], "cancelled");
    // A node that had not heard of it is told when it comes back.
    let south = federation.hospital("south");
    south.kill();
    south.start();
    south.daemon().await_event("end of the round", |event| {
        event["event"] == "round-ended" && event["code"] == "cancelled"
    });
    let model = federation.submit(&ExperimentFile::default()).await_model();
    assert!(model.starts_with("sha256:"), "the next experiment runs");
}

#[test]
fn a_failure_outlives_the_coordinator() {
    let mut federation = Federation::of_three();
    federation.submit_approved(&ExperimentFile::default()).await_model();
    restart_pausing_at(&mut federation, StateName::Aggregating);
    let experiment = federation.submit(&ExperimentFile::default());
    federation.coordinator.daemon().await_named("paused");
    federation.coordinator.kill();
    // The disk loses the updates, and the model that the round started from.
    let artifacts = federation.coordinator.home().join("artifacts/sha256");
    std::fs::remove_dir_all(artifacts).expect("the artifacts are there");
    federation.coordinator.start_pausing_at(StateName::Failed.as_str());
    kill_where_it_stands(&mut federation);
    let failed = experiment.await_named("failed");
    let overview = experiment.details(&federation.coordinator)["overview"].clone();
    assert_eq!((&overview["state"], &overview["code"]), (&"failed".into(), &failed["code"]));
}

const TOO_FEW: &str = "round.too_few_updates";
