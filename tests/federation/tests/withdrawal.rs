//! An owner who takes an approval back in the middle of an experiment is obeyed at once, and waited for.

use federation::{Experiment, ExperimentFile, Federation};
use serde_json::Value;

const ROUNDS: u32 = 6;

fn file() -> ExperimentFile {
    ExperimentFile { rounds: ROUNDS, ..ExperimentFile::default() }
}

/// Rejects the plan at south between two rounds; gives how many events had been seen before.
///
/// North stands still meanwhile, so that no experiment is over before its owner has spoken.
fn reject_in_the_middle(federation: &mut Federation, experiment: &Experiment) -> usize {
    experiment
        .await_event("the end of the first round", |event| event["event"] == "round-finished");
    federation.hospital("north").daemon().freeze();
    let seen = experiment.events().len();
    federation.hospital("south").reject(&experiment.plan);
    federation.hospital("north").daemon().thaw();
    seen
}

fn rounds_of_south(federation: &mut Federation, experiment: &Experiment) -> Vec<Value> {
    federation.hospital("south").rounds(&experiment.id)
}

#[test]
fn a_plan_that_is_rejected_between_rounds_stops_the_experiment_until_it_is_approved_again() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&file()).await_model();
    let experiment = federation.submit(&file());
    let seen = reject_in_the_middle(&mut federation, &experiment);
    let paused = experiment.await_after(seen, "a pause or a wait for the owner", |event| {
        event["event"] == "paused"
            || (event["event"] == "waiting-for-approval"
                && event["pending"].to_string().contains("south"))
    });
    assert!(paused.to_string().contains("south"), "who refused is named: {paused}");
    let rejected = rounds_of_south(&mut federation, &experiment);
    let codes: Vec<&Value> = rejected.iter().map(|round| &round["code"]).collect();
    // A round that ran when the owner spoke ends with `plan.revoked`, one that was asked for later with `plan.rejected`.
    let expected = ["ok", "plan.rejected", "plan.revoked"];
    assert!(
        codes.iter().all(|code| expected.iter().any(|expected| *code == expected)),
        "nothing else went wrong: {codes:?}"
    );
    let last = rejected.iter().filter_map(|round| round["round"].as_u64()).max();
    assert!(last < Some(u64::from(ROUNDS)), "the experiment was stopped in its middle");
    let overview = experiment.details(&federation.coordinator)["overview"].clone();
    assert_ne!(overview["state"], "completed");

    federation.hospital("south").approve(&experiment.plan);
    if overview["state"] == "paused" {
        federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    }
    assert_eq!(experiment.await_model(), model, "the same model as if nobody had hesitated");
}

#[test]
fn the_others_go_on_without_an_owner_who_has_withdrawn_where_they_are_enough() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { min_nodes: 2, ..file() };
    let experiment = federation.submit_approved(&file);
    reject_in_the_middle(&mut federation, &experiment);
    experiment.await_model();
    let rounds = rounds_of_south(&mut federation, &experiment);
    let trained = rounds.iter().filter(|round| round["code"] == "ok").count();
    assert!(trained < ROUNDS as usize, "no round trained there after the owner's no");
    let used = experiment.used(&federation.coordinator, ROUNDS);
    let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
    assert_eq!(nodes, ["east", "north"]);
}
