//! The federation against numpy: the same split and batch order, the averaging written out in float64.

use federation::{ExperimentFile, Federation};
use parameters::Reader;
use serde_json::Value;

/// Single precision against double over 20 rounds of about 12 steps.
const TOLERANCE: f64 = 2e-4;

#[test]
fn twenty_rounds_agree_with_plain_numpy() {
    let reference: Value =
        serde_json::from_str(include_str!("../reference/federated.json")).expect("is JSON");
    let mut federation = Federation::of_three();
    let file = ExperimentFile {
        seed: reference["seed"].as_u64(),
        rounds: u32::try_from(reference["rounds"].as_u64().expect("is a number"))
            .expect("is small"),
        ..ExperimentFile::default()
    };
    let experiment = federation.submit_approved(&file);
    experiment.await_model();

    let samples = reference["samples"].as_object().expect("is an object");
    for round in 1..=file.rounds {
        for (node, count) in experiment.used(&federation.coordinator, round) {
            assert_eq!(samples[&node].as_u64(), Some(count), "{node}, round {round}");
        }
        assert_eq!(experiment.used(&federation.coordinator, round).len(), samples.len());
    }

    let path = federation.folder().join("model.safetensors");
    let output = path.to_string_lossy();
    let download = ["experiment", "download", &experiment.id, "--output", &output];
    federation.coordinator.document(&download);
    let model = Reader::open(&path).expect("the model can be read");
    let values = |name: &str| model.tensor(name).expect("the model has the tensor").to_f64();
    let weight = reference["weight"].as_array().expect("is a list");
    let weight: Vec<f64> = weight.iter().filter_map(Value::as_f64).collect();
    assert_eq!(weight.len(), 30);
    near(&values("layers.0.weight"), &weight);
    near(&values("layers.0.bias"), &[reference["bias"].as_f64().expect("is a number")]);
}

fn near(found: &[f64], expected: &[f64]) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference <= TOLERANCE, "element {index}: {found} against {expected}");
    }
}
