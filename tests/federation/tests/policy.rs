//! What a hospital's policy file denies is denied, and what it holds waits, with real processes.

use std::time::Instant;

use federation::{ExperimentFile, Federation, Hospital, PATIENCE};
use serde_json::Value;

fn say(hospital: &Hospital, policy: &str) {
    std::fs::write(hospital.home().join("policy.toml"), policy).expect("the folder can be written");
    hospital.document(&["node", "policy", "reload"]);
}

/// The updates that wait at a hospital, once one does.
fn await_held(hospital: &Hospital) -> String {
    let end = Instant::now() + PATIENCE;
    loop {
        let waiting = hospital.document(&["node", "release", "list"]);
        if let Some(id) = waiting[0]["round_id"].as_str() {
            return id.to_owned();
        }
        assert!(Instant::now() < end, "no update waits at {}", hospital.name());
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_training_argument_beyond_the_policy_is_denied_and_the_bound_is_named() {
    let mut federation = Federation::of_three();
    say(federation.hospital("south"), "[defaults]\narguments.epochs = { maximum = 0 }\n");
    let file = ExperimentFile { min_nodes: 2, rounds: 1, ..ExperimentFile::default() };
    let experiment = federation.submit_approved(&file);
    experiment.await_model();
    let nodes: Vec<String> =
        experiment.used(&federation.coordinator, 1).into_iter().map(|(node, _)| node).collect();
    assert_eq!(nodes, ["east", "north"], "south had no part");
    let south = federation.hospital("south");
    let rounds = south.rounds(&experiment.id);
    assert!(!rounds.is_empty());
    let id = rounds[0]["round_id"].as_str().expect("is a text");
    let reply = south.document(&["node", "round", "show", id])["reply"].clone();
    assert_eq!(reply["code"], "policy.denied");
    assert_eq!(reply["detail"]["bound"], "epochs", "{reply}");
    let refused = south.document(&["node", "audit", "list", "--action", "round.refuse"]);
    assert_eq!(refused[0]["result"], "policy.denied", "{refused}");
    let started = south.document(&["node", "audit", "list", "--action", "round.start"]);
    assert_eq!(started.as_array().map(Vec::len), Some(0), "nothing of the plan was opened");
}

#[test]
fn a_held_update_waits_through_a_kill_until_its_owner_lets_it_go() {
    let mut federation = Federation::of_three();
    say(federation.hospital("south"), "[dataset.breast-cancer]\nhold = true\n");
    let file = ExperimentFile { rounds: 1, ..ExperimentFile::default() };
    let experiment = federation.submit_approved(&file);
    let south = federation.hospital("south");
    let held = await_held(south);
    south.kill();
    south.start();
    assert_eq!(await_held(south), held);
    let shown = south.document(&["node", "release", "show", &held]);
    assert_eq!(shown["row"]["held"]["decision"], "pending");
    south.document(&["node", "release", "approve", &held, "--note", "seen"]);
    experiment.await_model();
    let used = experiment.used(&federation.coordinator, 1);
    let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
    assert_eq!(nodes, ["east", "north", "south"]);
    let south = federation.hospital("south");
    let actions = south.document(&["node", "audit", "list"]);
    let actions: Vec<&Value> = actions
        .as_array()
        .expect("records are a list")
        .iter()
        .filter(|record| record["objects"]["round"] == held.as_str())
        .map(|record| &record["action"])
        .collect();
    for action in ["round.hold", "release.approve", "round.release"] {
        assert!(actions.iter().any(|found| *found == action), "{action}: {actions:?}");
    }
    assert_eq!(south.document(&["node", "release", "list"]), Value::Array(Vec::new()));
}
