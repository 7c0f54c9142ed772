//! The shipped example trains, by itself, to what it promises.

use dataset::{Options, register};
use protocol::Digest;
use runtime::{Predictor, check_plan};
use training_plan::Bundle;
use training_plan::experiment::Experiment;
use training_plan::metric::Metric;

use crate::support::{Ward, example, read_example};

fn bundle(plan: &str) -> Bundle {
    let text = read_example(plan);
    Bundle::native(&text, |name| Ok(read_example(name))).expect("the example is a plan")
}

/// Trains on the three hospitals' rows together and measures on the hold-out.
fn trained(plan: &str, experiment: &str, seed: u64) -> (f64, Digest) {
    let experiment = Experiment::parse(experiment, &read_example(experiment)).expect("is right");
    let mut csv = read_example("north.csv");
    for other in ["south.csv", "east.csv"] {
        let text = read_example(other);
        let (_, rows) = text.split_once('\n').expect("the table has a header");
        csv.push_str(rows);
    }
    let header = csv.lines().next().expect("the table has a header").to_owned();
    let mut columns: Vec<&str> = header.split(',').filter(|name| *name != "diagnosis").collect();
    columns.sort_unstable();
    let mut ward = Ward::new(bundle(plan), &columns, &csv, seed);
    let arguments = serde_json::Value::Object(experiment.training_args);
    for _ in 0..experiment.rounds {
        let outcome = ward.run(&arguments).expect("the round succeeds");
        assert_eq!((outcome.data.train, outcome.data.validation), (364, 91));
        assert_eq!(outcome.training.sample_count, 364);
        ward.go_on(&outcome);
    }
    let hold_out = example("hold-out.csv");
    let registration = register(&hold_out, &Options::default()).expect("the table is right");
    let predictor = Predictor::open(&ward.parameters).expect("the model describes itself");
    let report = predictor
        .evaluate(&hold_out, &registration, &[Metric::Accuracy, Metric::RocAuc])
        .expect("the hold-out fits the model");
    assert_eq!(report.validation_count, 114);
    let bytes = std::fs::read(&ward.parameters).expect("the model was written");
    (report.metrics[0].1, Digest::of(&bytes))
}

#[test]
fn the_logistic_plan_reaches_95_percent_on_the_hold_out() {
    for seed in [0, 7, 19] {
        let (accuracy, _) = trained("logistic.toml", "experiment.toml", seed);
        assert!(accuracy >= 0.95, "seed {seed}: {accuracy}");
    }
}

#[test]
fn the_perceptron_plan_reaches_95_percent_on_the_hold_out() {
    let (accuracy, _) = trained("mlp.toml", "experiment-mlp.toml", 42);
    assert!(accuracy >= 0.95, "{accuracy}");
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    let (_, first) = trained("logistic.toml", "experiment.toml", 3);
    let (_, again) = trained("logistic.toml", "experiment.toml", 3);
    let (_, other) = trained("logistic.toml", "experiment.toml", 4);
    assert_eq!(first, again);
    assert_ne!(first, other);
}

#[test]
fn the_example_plans_pass_the_check() {
    for plan in ["logistic.toml", "mlp.toml"] {
        check_plan(&bundle(plan)).expect("the plan is right");
    }
}
