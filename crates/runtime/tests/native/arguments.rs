//! What the training arguments change in the parameters.

use parameters::Parameters;
use runtime::{Predictor, initial_parameters};
use serde_json::{Value, json};

use crate::support::{Ward, bundle, logistic, logistic_text, table};

fn weights(ward: &Ward, arguments: &Value) -> Vec<f32> {
    let outcome = ward.run(arguments).expect("the round succeeds");
    let parameters = Parameters::from_bytes(&outcome.parameters).expect("the update is right");
    let weight = parameters.get("layers.0.weight").expect("there is a dense layer");
    weight.to_f32().expect("weights are single precision")
}

fn norm(weights: &[f32]) -> f32 {
    weights.iter().map(|weight| weight * weight).sum::<f32>().sqrt()
}

fn ward() -> Ward {
    Ward::new(logistic(""), &["a", "b"], &table(60), 1)
}

#[test]
fn no_epoch_returns_the_received_bytes() {
    let ward = ward();
    let outcome = ward.run(&json!({ "epochs": 0 })).expect("the round succeeds");
    assert_eq!(outcome.parameters, std::fs::read(&ward.parameters).expect("it is there"));
    assert_eq!((outcome.training.steps, outcome.training.sample_count), (0, 60));
}

#[test]
fn the_proximal_term_holds_the_parameters_back() {
    let ward = ward();
    let free = weights(&ward, &json!({ "epochs": 20, "optimizer_args": { "lr": 0.5 } }));
    let held = weights(
        &ward,
        &json!({ "epochs": 20, "optimizer_args": { "lr": 0.5 }, "fedprox_mu": 1.0 }),
    );
    assert!(norm(&held) < 0.5 * norm(&free), "{held:?} {free:?}");
    let none = weights(
        &ward,
        &json!({ "epochs": 20, "optimizer_args": { "lr": 0.5 }, "fedprox_mu": 0.0 }),
    );
    assert_eq!(none, free);
}

#[test]
fn one_clipped_step_is_as_long_as_the_clip_allows() {
    let arguments = json!({
        "num_updates": 1, "gradient_clip_norm": 0.01, "optimizer_args": { "lr": 1.0 },
    });
    let outcome = ward().run(&arguments).expect("the round succeeds");
    let parameters = Parameters::from_bytes(&outcome.parameters).expect("the update is right");
    // From zero, the step's length is the parameters' norm; f32 rounding is the tolerance.
    assert!((parameters.l2_norm() - 0.01).abs() < 1e-8, "{}", parameters.l2_norm());
}

#[test]
fn a_seed_among_the_arguments_replaces_the_experiments() {
    let mut ward = ward();
    let arguments = |seed: Option<u64>| json!({ "batch_size": 8, "random_seed": seed });
    let one = weights(&ward, &arguments(None));
    let two = weights(&ward, &arguments(Some(2)));
    assert_ne!(one, two);
    ward.seed = 2;
    assert_eq!(weights(&ward, &arguments(None)), two);
}

#[test]
fn every_round_has_its_own_order() {
    let mut ward = ward();
    let first = weights(&ward, &json!({ "batch_size": 8 }));
    ward.round = 2;
    assert_ne!(weights(&ward, &json!({ "batch_size": 8 })), first);
    let kept = json!({ "loader_args": { "batch_size": 8, "shuffle": false } });
    let second = weights(&ward, &kept);
    ward.round = 3;
    assert_eq!(weights(&ward, &kept), second);
}

#[test]
fn the_requests_optimizer_arguments_stand_over_the_plans() {
    let text =
        logistic_text("").replace("kind = \"sgd\"", "kind = \"sgd\"\nlr = 0.3\nmomentum = 0.5");
    let ward = Ward::new(bundle(&text), &["a", "b"], &table(60), 1);
    let used = |arguments: &Value| {
        ward.run(arguments).expect("the round succeeds").training.optimizer_args
    };
    let plans = used(&json!({}));
    assert_eq!(
        (&plans["kind"], &plans["lr"], &plans["momentum"]),
        (&json!("sgd"), &json!(0.3), &json!(0.5))
    );
    let requests = used(&json!({ "optimizer_args": { "lr": 0.1 } }));
    assert_eq!((&requests["lr"], &requests["momentum"]), (&json!(0.1), &json!(0.5)));
}

#[test]
fn a_schedule_counted_in_rounds_scales_the_whole_round() {
    let schedule = "kind = \"sgd\"\n[schedule]\nkind = \"step\"\nevery = 1\nfactor = 0.5";
    let text = logistic_text("").replace("kind = \"sgd\"", schedule);
    let mut scheduled = Ward::new(bundle(&text), &["a", "b"], &table(60), 1);
    let plain = ward();
    let arguments = |rate: f64| json!({ "loader_args": { "shuffle": false }, "optimizer_args": { "lr": rate } });
    assert_eq!(weights(&scheduled, &arguments(0.4)), weights(&plain, &arguments(0.4)));
    scheduled.round = 3;
    assert_eq!(weights(&scheduled, &arguments(0.4)), weights(&plain, &arguments(0.1)));
}

#[test]
fn first_parameters_depend_on_plan_columns_and_seed_alone() {
    let text = logistic_text("").replace("init = \"zeros\"", "init = \"xavier\"");
    let folder = tempfile::tempdir().expect("there is a temporary folder");
    let columns = ["a".to_owned(), "b".to_owned()];
    let digest = |name: &str, seed: u64| {
        let path = folder.path().join(name);
        initial_parameters(&bundle(&text), &columns, seed, &path).expect("the plan fits").digest
    };
    assert_eq!(digest("one", 5), digest("two", 5));
    assert_ne!(digest("one", 5), digest("two", 6));
    let predictor = Predictor::open(&folder.path().join("one")).expect("it describes itself");
    assert_eq!(predictor.description().target, "y");
    assert_eq!(predictor.description().features[1].column, "b");
}
