//! Messages that are lost, repeated and reordered between real processes: the model is that of a line without faults.

mod line;

use federation::{Experiment, ExperimentFile, Federation, share};
use serde_json::Value;

use crate::line::{Faults, FaultyLine};

/// Every node reaches the coordinator over the line only.
fn behind(federation: &mut Federation, line: &FaultyLine) {
    for name in ["north", "south", "east"] {
        federation.prepare_hospital_at(line.url(), name, &share(name), &[]).start();
    }
}

#[test]
fn no_lost_repeated_or_reordered_message_changes_the_model() {
    let mut federation = Federation::without_hospitals();
    let line = FaultyLine::before(&federation.coordinator.url());
    behind(&mut federation, &line);
    // One model is short and travels inside messages, the other's parameters and updates are files of their own.
    let short = ExperimentFile { rounds: 4, ..ExperimentFile::default() };
    let long = ExperimentFile { plan_change: Some((SHORT, LONG)), ..short.clone() };
    let files = [short, long].map(|file| {
        let model = federation.submit_approved(&file).await_model();
        (file, model)
    });
    let nothing = Faults { lost: 0, repeated: 0, reordered: 0, cut: 0 };
    assert_eq!(line.faults(), nothing);

    for seed in SEEDS {
        for (file, model) in &files {
            line.spoil(seed, BREAKS);
            let experiment = federation.submit(file);
            assert_eq!(experiment.await_model(), *model, "seed {seed}, {:?}", line.faults());
            every_round_used_every_site_once(&federation, &experiment, file.rounds, seed);
        }
    }
    let Faults { lost, repeated, reordered, cut } = line.faults();
    assert!(lost > 0 && repeated > 0 && reordered > 0 && cut > 0, "{:?}", line.faults());
}

fn every_round_used_every_site_once(
    federation: &Federation,
    experiment: &Experiment,
    rounds: u32,
    seed: u64,
) {
    for round in 1..=rounds {
        let used = experiment.used(&federation.coordinator, round);
        let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(nodes, ["east", "north", "south"], "seed {seed}, round {round}");
    }
    let events = experiment.events();
    let finished = events.iter().filter(|event| event["event"] == "round-finished").count();
    assert_eq!(finished, rounds as usize, "seed {seed}: each round ends once");
    let mut scalars: Vec<String> =
        events.iter().filter(|event| event["event"] == "scalar").map(identity).collect();
    let told = scalars.len();
    scalars.sort();
    scalars.dedup();
    assert_eq!(scalars.len(), told, "seed {seed}: no scalar is stored twice");
    for hospital in &federation.hospitals {
        for round in hospital.rounds(&experiment.id) {
            assert_eq!(round["code"], "ok", "seed {seed}, {}: {round}", hospital.name());
        }
    }
}

/// What a site said, without when it was written down.
fn identity(scalar: &Value) -> String {
    let mut said = scalar.clone();
    let fields = said.as_object_mut().expect("an event is an object");
    fields.remove("at");
    fields.remove("sequence");
    said.to_string()
}

/// A model of 31 numbers.
const SHORT: &str = "init = \"zeros\"\nlayers = [{ dense = { units = 1 } }]";
/// One of 19,201, which are 75 KiB.
const LONG: &str = "init = \"xavier\"\n\
    layers = [{ dense = { units = 600 } }, \"relu\", { dense = { units = 1 } }]";

const SEEDS: [u64; 3] = [1, 2, 3];
/// Connections that may break during one experiment.
const BREAKS: u32 = 12;
