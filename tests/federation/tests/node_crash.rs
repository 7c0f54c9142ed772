//! `kill -9` of a node where any phase begins: the run completes by itself, with the model of an undisturbed run.

use federation::{Experiment, ExperimentFile, Federation};
use protocol::Phase;

#[test]
fn a_node_that_is_killed_in_any_phase_leaves_no_trace_in_the_model() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();
    for phase in Phase::ALL {
        federation.hospital("south").await_idle();
        federation.hospital("south").kill();
        federation.hospital("south").start_pausing_at(phase.as_str());
        let experiment = federation.submit(&ExperimentFile::default());
        let south = federation.hospital("south");
        let paused = south.daemon().await_event(phase.as_str(), |event| event["event"] == "paused");
        assert_eq!(paused["phase"], phase.as_str());
        south.kill();
        south.start();
        assert_eq!(experiment.await_model(), model, "killed where {phase} begins");
        one_used_reply_per_site(&federation, &experiment, *phase);
        each_round_ended_once(&mut federation, &experiment, *phase);
    }
}

fn one_used_reply_per_site(federation: &Federation, experiment: &Experiment, phase: Phase) {
    for round in 1..=2 {
        let used = experiment.used(&federation.coordinator, round);
        let expected = [("east", 81), ("north", 162), ("south", 122)];
        let expected = expected.map(|(node, samples)| (node.to_owned(), samples));
        assert_eq!(used, expected, "round {round}, killed where {phase} begins");
    }
}

/// Two rounds of training and the final validation, each with one identifier and one reply, all of them delivered.
fn each_round_ended_once(federation: &mut Federation, experiment: &Experiment, phase: Phase) {
    let mut replies: Vec<(String, u64)> = experiment
        .events()
        .iter()
        .filter(|event| event["event"] == "reply")
        .map(|event| {
            let site = event["site"]["node"].as_str().expect("is a text").to_owned();
            (site, event["round"].as_u64().expect("is a number"))
        })
        .collect();
    replies.sort();
    let expected: Vec<(String, u64)> = ["east", "north", "south"]
        .iter()
        .flat_map(|site| (1..=3).map(|round| ((*site).to_owned(), round)))
        .collect();
    assert_eq!(replies, expected, "killed where {phase} begins");
    let rounds = federation.hospital("south").rounds(&experiment.id);
    assert_eq!(rounds.len(), 3, "killed where {phase} begins: {rounds:?}");
    assert!(rounds.iter().all(|round| round["code"] == "ok"), "{phase}: {rounds:?}");
}
