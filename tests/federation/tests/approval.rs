//! No plan runs before its owner has said so, and everybody sees for whom an experiment waits.

use federation::{Experiment, ExperimentFile, Federation};
use serde_json::Value;

#[test]
fn an_experiment_says_for_whom_it_waits_and_starts_when_all_have_approved() {
    let mut federation = Federation::of_three();
    let experiment = federation.submit(&ExperimentFile::default());
    await_pending(&experiment, &["east", "north", "south"]);
    assert_eq!(waiting(&federation, &experiment), ["east", "north", "south"]);
    for hospital in &federation.hospitals {
        let plans = hospital.document(&["node", "plan", "list"]);
        assert_eq!(plans.as_array().map(Vec::len), Some(1), "{plans}");
        assert_eq!(plans[0]["decision"], "pending");
        assert_eq!(plans[0]["plan"]["digest"], experiment.plan.as_str());
        let shown = hospital.document(&["node", "plan", "show", &experiment.plan]);
        let text = shown["files"]["plan.toml"].as_str().expect("the plan's text is here");
        assert!(text.contains("breast-cancer-logistic"), "{text}");
        assert_eq!(hospital.rounds(&experiment.id), Vec::<Value>::new(), "nothing ran");
    }
    federation.hospital("south").approve(&experiment.plan);
    await_pending(&experiment, &["east", "north"]);
    assert_eq!(waiting(&federation, &experiment), ["east", "north"]);
    federation.hospital("east").approve(&experiment.plan);
    federation.hospital("north").approve(&experiment.plan);
    experiment.await_model();
}

#[test]
fn an_approval_is_heard_of_when_the_node_comes_back() {
    let mut federation = Federation::of_three();
    let experiment = federation.submit(&ExperimentFile::default());
    await_pending(&experiment, &["east", "north", "south"]);
    federation.hospital("south").kill();
    // The owner decides while the node is down.
    federation.approve(&experiment);
    await_pending(&experiment, &["south"]);
    federation.hospital("south").start();
    experiment.await_model();
}

#[test]
fn a_rejected_plan_pauses_the_experiment_until_its_owner_thinks_again() {
    let mut federation = Federation::of_three();
    let experiment = federation.submit(&ExperimentFile::default());
    await_pending(&experiment, &["east", "north", "south"]);
    federation.hospital("south").reject(&experiment.plan);
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "approval.refused");
    assert!(paused["message"].as_str().is_some_and(|text| text.contains("south")), "{paused}");
    let plans = federation.hospital("south").document(&["node", "plan", "list"]);
    assert_eq!(plans[0]["decision"], "rejected");

    federation.approve(&experiment);
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    experiment.await_model();
}

#[test]
fn a_quorum_starts_without_those_who_have_not_decided() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile {
        min_nodes: 2,
        experiment: "start = \"quorum\"",
        ..ExperimentFile::default()
    };
    let experiment = federation.submit(&file);
    await_pending(&experiment, &["east", "north", "south"]);
    federation.hospital("north").approve(&experiment.plan);
    federation.hospital("east").approve(&experiment.plan);
    experiment.await_model();
    for round in 1..=2 {
        let used = experiment.used(&federation.coordinator, round);
        let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(nodes, ["east", "north"], "round {round}");
    }
    assert_eq!(federation.hospital("south").rounds(&experiment.id), Vec::<Value>::new());
}

#[test]
fn approvals_that_do_not_come_in_time_pause_the_experiment() {
    let mut federation = Federation::of_three();
    let file =
        ExperimentFile { experiment: "approval_deadline = \"1s\"", ..ExperimentFile::default() };
    let experiment = federation.submit(&file);
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "approval.timed_out");
}

fn await_pending(experiment: &Experiment, nodes: &[&str]) {
    experiment.await_event("an experiment that waits for an approval", |event| {
        event["event"] == "waiting-for-approval"
            && event["unanswered"].as_array().is_some_and(Vec::is_empty)
            && names(&event["pending"]) == nodes
    });
}

fn names(sites: &Value) -> Vec<&str> {
    let sites = sites.as_array().expect("sites are a list").iter();
    sites.filter_map(|site| site["node"].as_str()).collect()
}

/// The nodes for whose owners `experiment show` says that the experiment waits.
fn waiting(federation: &Federation, experiment: &Experiment) -> Vec<String> {
    let details = experiment.details(&federation.coordinator);
    let executions = details["executions"].as_array().expect("executions are a list").iter();
    let waiting = executions.filter(|one| one["stage"] == "waiting for approval");
    let mut nodes: Vec<String> =
        waiting.filter_map(|one| one["node"].as_str().map(str::to_owned)).collect();
    nodes.sort();
    nodes
}
