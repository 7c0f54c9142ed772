//! Several experiments at once over nodes that run one round at a time.

use federation::{Experiment, ExperimentFile, Federation};
use serde_json::Value;

#[test]
fn two_experiments_at_once_make_the_models_of_each_alone() {
    let mut federation = Federation::of_three();
    let files = [7, 8].map(|seed| ExperimentFile {
        seed: Some(seed),
        rounds: 6,
        ..ExperimentFile::default()
    });
    let alone = [
        federation.submit_approved(&files[0]).await_model(),
        federation.submit(&files[1]).await_model(),
    ];
    assert_ne!(alone[0], alone[1]);
    let together = [federation.submit(&files[0]), federation.submit(&files[1])];
    for (experiment, model) in together.iter().zip(&alone) {
        assert_eq!(experiment.await_model(), *model);
    }
    let begun = at(&together[1], "round-started");
    let ended = at(&together[0], "completed");
    assert!(begun < ended, "they did not overlap: {begun} and {ended}");
}

#[test]
fn two_experiments_that_are_the_same_do_not_take_each_others_files() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { rounds: 8, ..ExperimentFile::default() };
    let model = federation.submit_approved(&file).await_model();
    let together = [federation.submit(&file), federation.submit(&file), federation.submit(&file)];
    for experiment in &together {
        assert_eq!(experiment.await_model(), model);
        let replies = experiment.events();
        let replies = replies.iter().filter(|event| event["event"] == "reply");
        let failed: Vec<&Value> = replies.filter(|reply| reply["code"] != "ok").collect();
        assert_eq!(failed, Vec::<&Value>::new());
    }
}

#[test]
fn a_node_with_one_slot_serves_who_came_first_and_the_other_sees_that_it_queues() {
    let mut federation = Federation::of_three();
    let files = [7, 8].map(|seed| ExperimentFile { seed: Some(seed), ..ExperimentFile::default() });
    let models = [
        federation.submit_approved(&files[0]).await_model(),
        federation.submit(&files[1]).await_model(),
    ];
    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("train");
    let first = federation.submit(&files[0]);
    federation.hospital("south").daemon().await_named("paused");
    let second = federation.submit(&files[1]);
    second.await_event("a round that queues", |event| {
        event["event"] == "queued"
            && event["site"]["node"] == "south"
            && event["queued_before"] == 1
    });
    assert_eq!(stage(&federation, &first, "south"), "running");
    assert_eq!(stage(&federation, &second, "south"), "queued");

    let south = federation.hospital("south");
    south.kill();
    south.start();
    assert_eq!(first.await_model(), models[0]);
    assert_eq!(second.await_model(), models[1]);
    let round_of = |experiment: &Experiment| {
        let rounds = federation.hospitals[1].rounds(&experiment.id);
        let first = rounds.iter().find(|round| round["round"] == 1).expect("round 1 is listed");
        first["round_id"].clone()
    };
    assert_eq!(federation.hospitals[1].name(), "south");
    let started = federation.hospitals[1].daemon().events();
    let started: Vec<&Value> = started
        .iter()
        .filter(|event| event["event"] == "round-started")
        .map(|event| &event["round_id"])
        .collect();
    assert_eq!(started[..2], [&round_of(&first), &round_of(&second)]);
}

fn at(experiment: &Experiment, name: &str) -> u64 {
    experiment.await_named(name)["at"].as_u64().expect("is an instant")
}

fn stage(federation: &Federation, experiment: &Experiment, node: &str) -> String {
    let details = experiment.details(&federation.coordinator);
    let executions = details["executions"].as_array().expect("executions are a list");
    let found = executions.iter().find(|one| one["node"] == node);
    let found = found.unwrap_or_else(|| panic!("no execution of {node} in {details}"));
    found["stage"].as_str().expect("is a text").to_owned()
}
