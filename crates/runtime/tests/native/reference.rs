//! Two rounds of local training against plain 64-bit arithmetic that shares nothing but the order.

use dataset::{Batches, LastBatch, Order, split};
use parameters::Parameters;
use serde_json::json;
use training_plan::seed::{Place, Seed};

use crate::support::{Ward, logistic, table};

/// Logistic regression by hand: weights of `a` and `b`, then the bias.
struct Reference {
    rows: Vec<([f64; 2], f64)>,
    weights: [f64; 3],
}

impl Reference {
    fn new(csv: &str) -> Self {
        let rows = csv.lines().skip(1).map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            let number = |place: usize| cells[place].parse().expect("is a number");
            ([number(0), number(1)], f64::from(u8::from(cells[2] == "yes")))
        });
        Self { rows: rows.collect(), weights: [0.0; 3] }
    }

    fn step(&mut self, batch: &[usize], rate: f64) {
        let mut gradient = [0.0; 3];
        for row in batch {
            let ([a, b], truth) = self.rows[*row];
            let score = self.weights[0] * a + self.weights[1] * b + self.weights[2];
            let error = 1.0 / (1.0 + (-score).exp()) - truth;
            for (slope, input) in gradient.iter_mut().zip([a, b, 1.0]) {
                *slope += error * input;
            }
        }
        let count = f64::from(u32::try_from(batch.len()).expect("is small"));
        for (weight, slope) in self.weights.iter_mut().zip(gradient) {
            *weight -= rate * slope / count;
        }
    }
}

#[test]
fn two_rounds_agree_with_the_reference() {
    let csv = table(120);
    let mut ward = Ward::new(logistic(""), &["a", "b"], &csv, 42);
    let mut reference = Reference::new(&csv);
    let arguments = json!({
        "epochs": 3, "batch_size": 16, "optimizer_args": { "lr": 0.3 },
        "test_ratio": 0.25, "test_on_global_updates": true,
    });
    let digest = ward.registration.digest();
    let rows = split(120, 0.25, Seed::split(42, &digest).into_bytes(), None, None);
    let rows = rows.expect("the ratio is right");
    for round in 1..=2 {
        for epoch in 0..3 {
            let (node, dataset) =
                ("north".parse().expect("a name"), "ward".parse().expect("a name"));
            let place = Place { round, node: &node, dataset: &dataset, epoch };
            let order = Order::Shuffled(Seed::batches(42, place).into_bytes());
            let size = 16.try_into().expect("is not zero");
            for batch in Batches::new(&rows.train, size, order, LastBatch::Keep).iter() {
                reference.step(batch, 0.3);
            }
        }
        let outcome = ward.run(&arguments).expect("the round succeeds");
        assert_eq!(outcome.training.sample_count, 90);
        let parameters = Parameters::from_bytes(&outcome.parameters).expect("is a model");
        let mut found = parameters.get("layers.0.weight").expect("is there").to_f64();
        found.extend(parameters.get("layers.0.bias").expect("is there").to_f64());
        for (found, expected) in found.iter().zip(reference.weights) {
            // 36 steps in f32 against f64: each rounds at 6e-8 of values around one.
            assert!((found - expected).abs() < 2e-5, "round {round}: {found} {expected}");
        }
        ward.go_on(&outcome);
    }
}
