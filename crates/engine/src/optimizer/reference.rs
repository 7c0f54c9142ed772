//! Every optimizer, step by step, against `tests/fixtures/make.py`.

use serde::Deserialize;

use super::{Optimizer, Point};

#[derive(Deserialize)]
struct Fixture {
    start: Vec<f32>,
    gradients: Vec<Vec<f32>>,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    optimizer: serde_json::Map<String, serde_json::Value>,
    weights: Vec<Vec<f64>>,
}

#[test]
fn optimizers_take_the_steps_of_the_reference() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../tests/fixtures/optimizers.json")).unwrap();
    for run in &fixture.runs {
        let optimizer = Optimizer::try_from(run.optimizer.clone()).unwrap();
        let mut weights = fixture.start.clone();
        let mut state = optimizer.start([weights.len()].into_iter()).remove(0);
        for (count, (gradient, expected)) in (1..).zip(fixture.gradients.iter().zip(&run.weights)) {
            let point = Point { count, rate: optimizer.learning_rate() };
            optimizer.update(point, &mut weights, gradient, &mut state);
            for (weight, expected) in weights.iter().zip(expected) {
                // Tolerance: up to ten roundings of f32 (2^-24 each) a step, for weights of
                // magnitude one and twelve steps.
                let error = (f64::from(*weight) - expected).abs();
                assert!(error < 8e-6, "{:?}, step {count}: {weight} {expected}", run.optimizer);
            }
        }
    }
}

#[test]
fn every_optimizer_of_the_table_has_a_run() {
    let fixture: Fixture =
        serde_json::from_str(include_str!("../../tests/fixtures/optimizers.json")).unwrap();
    for name in Optimizer::names() {
        assert!(fixture.runs.iter().any(|run| run.optimizer["kind"] == name), "{name}");
    }
}
