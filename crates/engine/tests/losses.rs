//! Losses: gradients against finite differences, large outputs, and refused targets.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use engine::Loss;
use proptest::prelude::*;
use serde_json::{Value, json};

fn loss(value: Value) -> Loss {
    serde_json::from_value(value).unwrap()
}

/// Losses with the outputs of one row.
fn cases() -> Vec<(Value, usize)> {
    vec![
        (json!({ "kind": "binary_cross_entropy" }), 1),
        (json!({ "kind": "binary_cross_entropy", "class_weights": [0.25, 3] }), 1),
        (json!({ "kind": "categorical_cross_entropy" }), 3),
        (json!({ "kind": "categorical_cross_entropy", "class_weights": [1, 2.5, 0.1] }), 3),
        (json!({ "kind": "mean_squared_error" }), 2),
        (json!({ "kind": "mean_absolute_error" }), 1),
        (json!({ "kind": "huber" }), 1),
        (json!({ "kind": "huber", "delta": 2.5 }), 2),
        (json!({ "kind": "poisson" }), 1),
    ]
}

const ROWS: usize = 4;
/// A power of two, so that outputs on a grid of 1/64 are moved without rounding.
const STEP: f32 = 1.0 / 4096.0;
/// The difference errs by STEP² · f''' / 6, below 1e-6 for slopes up to e⁴; the gradient by half a
/// unit of f32 in the last place.
const TOLERANCE: f64 = 2e-6;

proptest! {
    #[test]
    fn gradients_agree_with_finite_differences(
        grid in prop::collection::vec(-255_i16..=255, ROWS * 3),
        labels in prop::collection::vec(0_u8..6, ROWS * 3),
    ) {
        for (settings, width) in cases() {
            let loss = loss(settings.clone());
            let classes = match loss.name() {
                "binary_cross_entropy" => Some(2),
                "categorical_cross_entropy" => Some(3),
                _ => None,
            };
            let count = if classes.is_some() { ROWS } else { ROWS * width };
            // Off the outputs' grid by half a cell: no kink is ever crossed.
            let number = |label: &u8| f32::from(*label) * 0.5 + 1.0 / 128.0;
            let target = |label: &u8| classes.map_or_else(|| number(label), |n| f32::from(label % n));
            let targets: Vec<f32> = labels.iter().take(count).map(target).collect();
            let outputs: Vec<f32> =
                grid.iter().take(ROWS * width).map(|cell| f32::from(*cell) / 64.0).collect();
            let gradient = loss.evaluate(&outputs, &targets, width).unwrap().gradient;
            for (position, slope) in gradient.into_iter().enumerate() {
                let at = |step: f32| {
                    let mut moved = outputs.clone();
                    moved[position] += step;
                    loss.evaluate(&moved, &targets, width).unwrap().value
                };
                let expected = (at(STEP) - at(-STEP)) / (2.0 * f64::from(STEP));
                prop_assert!(
                    (f64::from(slope) - expected).abs() <= TOLERANCE * expected.abs().max(1.0),
                    "{settings}: {slope} and {expected}",
                );
            }
        }
    }

    #[test]
    fn probabilities_are_probabilities(outputs in prop::collection::vec(-1e6..1e6_f32, 12)) {
        let categorical = loss(json!({ "kind": "categorical_cross_entropy" }));
        for row in categorical.predictions(&outputs, 3).chunks(3) {
            // Tolerance: three roundings to f32.
            prop_assert!((row.iter().sum::<f32>() - 1.0).abs() < 3e-7);
            prop_assert!(row.iter().all(|part| (0.0..=1.0).contains(part)));
        }
        let binary = loss(json!({ "kind": "binary_cross_entropy" }));
        let all = binary.predictions(&outputs, 1);
        prop_assert!(all.iter().all(|part| (0.0..=1.0).contains(part)));
    }
}

#[test]
fn cross_entropies_are_exact_for_large_outputs() {
    let binary = loss(json!({ "kind": "binary_cross_entropy" }));
    let graded = binary.evaluate(&[1e30, -1e30], &[0.0, 1.0], 1).unwrap();
    assert_eq!(graded.value, f64::from(1e30_f32));
    assert_eq!(graded.gradient, [0.5, -0.5]);
    assert_eq!(binary.evaluate(&[1e30, -1e30], &[1.0, 0.0], 1).unwrap().value, 0.0);
    let categorical = loss(json!({ "kind": "categorical_cross_entropy" }));
    let graded = categorical.evaluate(&[1e30, 0.0], &[1.0], 2).unwrap();
    assert_eq!((graded.value, graded.gradient), (f64::from(1e30_f32), vec![1.0, -1.0]));
}

#[test]
fn outputs_that_are_no_numbers_give_a_loss_that_is_none() {
    for (settings, width) in cases() {
        let loss = loss(settings.clone());
        let mut outputs = vec![0.0; width];
        outputs[width - 1] = f32::NAN;
        let targets =
            vec![0.0; if settings["kind"] == "categorical_cross_entropy" { 1 } else { width }];
        let value = loss.evaluate(&outputs, &targets, width).unwrap().value;
        assert!(value.is_nan(), "{settings}: {value}");
    }
}

#[test]
fn class_weights_make_the_mean_a_weighted_one() {
    let plain = loss(json!({ "kind": "binary_cross_entropy" }));
    let weighted = loss(json!({ "kind": "binary_cross_entropy", "class_weights": [1, 3] }));
    let of = |loss: &Loss, outputs: &[f32], targets: &[f32]| {
        loss.evaluate(outputs, targets, 1).unwrap().value
    };
    let (negative, positive) = (of(&plain, &[0.3], &[0.0]), of(&plain, &[-1.2], &[1.0]));
    let both = of(&weighted, &[0.3, -1.2], &[0.0, 1.0]);
    // Tolerance: a few roundings of f64.
    assert!((both - (negative + 3.0 * positive) / 4.0).abs() < 1e-15);
}

#[test]
fn predictions_are_in_the_units_of_the_task() {
    assert_eq!(loss(json!({ "kind": "binary_cross_entropy" })).predictions(&[0.0], 1), [0.5]);
    assert_eq!(loss(json!({ "kind": "poisson" })).predictions(&[0.0], 1), [1.0]);
    assert_eq!(loss(json!({ "kind": "huber" })).predictions(&[4.5, -1.0], 1), [4.5, -1.0]);
    let parts = loss(json!({ "kind": "categorical_cross_entropy" })).predictions(&[7.0; 4], 2);
    assert_eq!(parts, [0.5; 4]);
}

#[test]
fn settings_and_targets_outside_their_range_are_refused() {
    let parse = |value: Value| serde_json::from_value::<Loss>(value).unwrap_err().to_string();
    assert_eq!(
        parse(json!({ "kind": "huber", "delta": 0 })),
        "loss huber: \"delta\" must be a number above 0, found 0",
    );
    assert_eq!(
        parse(json!({ "kind": "poisson", "class_weights": [1, 1] })),
        "loss poisson has no key \"class_weights\"; it takes none",
    );
    assert_eq!(
        parse(json!({ "kind": "binary_cross_entropy", "class_weights": [1] })),
        "loss binary_cross_entropy: \"class_weights\" must have one number for each of 2 classes, \
         found [1]",
    );
    let three = loss(json!({ "kind": "categorical_cross_entropy", "class_weights": [1, 1, 1] }));
    assert_eq!(
        three.check_outputs(4).unwrap_err().to_string(),
        "loss categorical_cross_entropy: has class weights for 3 classes, the model has 4 outputs",
    );
    let poisson = loss(json!({ "kind": "poisson" }));
    assert_eq!(
        poisson.evaluate(&[0.0, 0.0], &[1.0, -1.0], 1).unwrap_err().to_string(),
        "poisson: a target must be a count of at least 0, found -1 in row 1",
    );
    let categorical = loss(json!({ "kind": "categorical_cross_entropy" }));
    assert_eq!(
        categorical.evaluate(&[0.0; 2], &[2.0], 2).unwrap_err().to_string(),
        "categorical_cross_entropy: a target must be a class number from 0 to 1, found 2 in row 0",
    );
}
