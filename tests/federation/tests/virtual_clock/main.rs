//! Deadlines of hours and days, met without waiting for them: coordinator and nodes live by the test's clock.

mod world;

use std::time::Duration;

use federation::{Experiment, ExperimentFile, Federation};
use node::Notice;
use protocol::{Code, Phase};
use serde_json::Value;

use crate::world::World;

const HOUR: Duration = Duration::from_secs(60 * 60);
const MINUTE: Duration = Duration::from_secs(60);

/// Two rounds of six hours each, for which two of three sites are enough.
fn long_rounds() -> ExperimentFile {
    ExperimentFile { min_nodes: 2, round_deadline: "6h", ..ExperimentFile::default() }
}

/// North and east work; south stands still for ever where it begins to train.
fn world() -> World {
    let mut world = World::start();
    world.add("north", None);
    world.add("east", None);
    world.add("south", Some(Phase::Train));
    world
}

/// Waits until those who work have replied in a round.
fn await_replies(experiment: &Experiment, round: u64) {
    for node in ["north", "east"] {
        experiment.await_event("a reply", |event| {
            event["event"] == "reply" && event["site"]["node"] == node && event["round"] == round
        });
    }
}

fn aggregating(experiment: &Experiment, round: u64) -> Value {
    experiment.await_event("the end of a round's collection", |event| {
        event["event"] == "aggregating" && event["round"] == round
    })
}

#[test]
fn a_site_that_stands_still_costs_each_round_its_hours_and_no_more() {
    let model = Federation::of(&["north", "east"]).submit_approved(&long_rounds()).await_model();
    let world = world();
    let experiment = world.submit_approved(&long_rounds());
    for round in 1..=2 {
        await_replies(&experiment, round);
        world.advance(6 * HOUR - MINUTE);
        let details = experiment.details(&world.coordinator);
        assert_eq!(details["overview"]["state"], "awaiting-replies", "a minute is left");
        world.advance(2 * MINUTE);
        let sites = aggregating(&experiment, round)["sites"].clone();
        assert_eq!(sites.as_array().map(Vec::len), Some(2), "{sites}");
    }
    // The last model is measured in a round of its own.
    await_replies(&experiment, 3);
    world.advance(6 * HOUR);
    assert_eq!(experiment.await_model(), model, "the model of the two who worked");
}

#[test]
fn a_restart_gives_a_running_round_its_whole_time_again() {
    let mut world = world();
    let experiment = world.submit_approved(&long_rounds());
    await_replies(&experiment, 1);
    world.advance(4 * HOUR);
    world.restart_coordinator();
    let restarted = store::Clock::now(&world.clock).milliseconds();
    world.advance(4 * HOUR);
    let details = experiment.details(&world.coordinator);
    assert_eq!(details["overview"]["state"], "awaiting-replies", "{details}");
    world.advance(2 * HOUR + MINUTE);
    let ended = aggregating(&experiment, 1)["at"].as_u64().expect("is an instant");
    let hours = u64::try_from(6 * HOUR.as_millis()).expect("is small");
    assert!(ended >= restarted + hours, "{restarted} {ended}");
}

#[test]
fn a_node_ends_what_it_runs_when_the_time_it_was_given_is_over() {
    let mut world = World::start();
    world.add("north", None);
    world.add("east", None);
    let file =
        ExperimentFile { training: ENDLESS, experiment: "round_retries = 0", ..long_rounds() };
    let experiment = world.submit_approved(&file);
    for node in 0..2 {
        world.await_notice(node, |notice| matches!(notice, Notice::RoundStarted { .. }));
    }
    world.advance(6 * HOUR + MINUTE);
    for node in 0..2 {
        let ended = world.await_notice(node, |notice| matches!(notice, Notice::RoundEnded { .. }));
        let Notice::RoundEnded { code, .. } = ended else { panic!("{ended:?}") };
        assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&code), "{code}");
    }
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "round.too_few_updates", "{paused}");
}

#[test]
fn retries_of_a_round_are_spaced_and_then_the_experiment_pauses() {
    let world = world();
    let file = ExperimentFile { min_nodes: 3, rounds: 1, ..long_rounds() };
    let experiment = world.submit_approved(&file);
    await_replies(&experiment, 1);
    for _ in 0..3 {
        let seen = experiment.events().len();
        world.advance(6 * HOUR + MINUTE);
        let told = experiment.await_after(seen, "another attempt or the pause", |event| {
            event["event"] == "retrying" || event["event"] == "paused"
        });
        if told["event"] == "paused" {
            break;
        }
        let started = experiment.events().len();
        world.advance(MINUTE);
        experiment.await_after(started.saturating_sub(1), "the next attempt", |event| {
            event["event"] == "round-started"
        });
    }
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "round.too_few_updates", "{paused}");
    let retries = experiment.events().iter().filter(|event| event["event"] == "retrying").count();
    assert_eq!(retries, 2, "as many as an experiment has where it says nothing");
}

#[test]
fn a_month_passes_before_the_owners_have_spoken() {
    let mut world = World::start();
    world.add("north", None);
    world.add("east", None);
    let file = ExperimentFile { experiment: "approval_deadline = \"720h\"", ..long_rounds() };
    let experiment = world.submit(&file);
    experiment.await_event("an experiment that waits for both", |event| {
        event["event"] == "waiting-for-approval"
            && event["pending"].as_array().map(Vec::len) == Some(2)
    });
    world.advance(719 * HOUR);
    let details = experiment.details(&world.coordinator);
    assert_eq!(details["overview"]["state"], "awaiting-approval", "an hour is left");
    world.advance(HOUR + MINUTE);
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "approval.timed_out", "{paused}");
}

const ENDLESS: &str = "\
epochs = 100000000
log_interval = 1000000
test_ratio = 0.2
test_on_global_updates = true
[training_args.loader_args]
batch_size = 32
";
