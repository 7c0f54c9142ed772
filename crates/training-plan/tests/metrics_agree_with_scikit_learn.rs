//! Every metric against scikit-learn, on the cases that `fixtures/make_metrics.py` made.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use training_plan::metric::{
    Metric, MetricOptions, MetricTask, Observations, evaluate, pool, summarise,
    summarise_regression, value,
};

/// scikit-learn sums in another order; both are within this of the exact value.
const TOLERANCE: f64 = 1e-9;

#[derive(serde::Deserialize)]
struct Fixture {
    inputs: Vec<Input>,
}

#[derive(serde::Deserialize)]
struct Input {
    truth: Column,
    truth_shape: Option<Vec<usize>>,
    prediction: Column,
    prediction_shape: Option<Vec<usize>>,
    checks: Vec<Check>,
}

#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Column {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

#[derive(serde::Deserialize)]
struct Check {
    metric: Metric,
    args: Map<String, Value>,
    value: f64,
}

fn fixture() -> Fixture {
    serde_json::from_str(include_str!("fixtures/metrics.json")).expect("the fixture is JSON")
}

fn observations<'a>(column: &'a Column, shape: Option<&Vec<usize>>) -> Observations<'a> {
    match (column, shape) {
        (Column::Numbers(numbers), Some(shape)) => Observations::shaped(numbers, shape),
        (Column::Numbers(numbers), None) => Observations::numbers(numbers),
        (Column::Texts(texts), _) => Observations::texts(texts),
    }
}

fn assert_close(metric: Metric, found: f64, expected: f64, index: usize) {
    let scale = expected.abs().max(1.0);
    assert!(
        (found - expected).abs() <= TOLERANCE * scale,
        "{metric} of input {index} is {found}, scikit-learn says {expected}"
    );
}

#[test]
fn values_are_those_of_scikit_learn() {
    let mut counts: BTreeMap<Metric, usize> = BTreeMap::new();
    for (index, input) in fixture().inputs.iter().enumerate() {
        let truth = observations(&input.truth, input.truth_shape.as_ref());
        let prediction = observations(&input.prediction, input.prediction_shape.as_ref());
        for check in &input.checks {
            let options = MetricOptions::parse(Some(check.metric), &check.args)
                .expect("the fixture's options are right");
            let found = evaluate(check.metric, truth, prediction, &options)
                .unwrap_or_else(|error| panic!("{} of input {index}: {error}", check.metric));
            let found = found.value.expect("the fixture's metrics are defined");
            assert_close(check.metric, found, check.value, index);
            *counts.entry(check.metric).or_default() += 1;
        }
    }
    for metric in Metric::ALL {
        assert!(counts.get(&metric).copied().unwrap_or(0) >= 12, "{metric} has too few cases");
    }
}

/// Cuts the rows of a one-dimensional input into sites of different sizes.
fn sites(rows: usize) -> Vec<std::ops::Range<usize>> {
    let first = rows / 5;
    let second = first + rows / 2;
    [0..first, first..second, second..rows].into_iter().filter(|site| !site.is_empty()).collect()
}

#[test]
fn pooled_sites_have_the_values_of_all_rows_together() {
    let mut compared = 0;
    for (index, input) in fixture().inputs.iter().enumerate() {
        let (Column::Numbers(truth), Column::Numbers(prediction)) =
            (&input.truth, &input.prediction)
        else {
            continue;
        };
        if input.truth_shape.is_some() || input.prediction_shape.is_some() {
            continue;
        }
        for check in &input.checks {
            if check.metric == Metric::RocAuc {
                continue;
            }
            let options = MetricOptions::parse(Some(check.metric), &check.args)
                .expect("the fixture's options are right");
            let sums: Vec<_> = sites(truth.len())
                .into_iter()
                .map(|site| {
                    let truth = Observations::numbers(&truth[site.clone()]);
                    let prediction = Observations::numbers(&prediction[site]);
                    match check.metric.task() {
                        MetricTask::Classification => summarise(truth, prediction, &options),
                        MetricTask::Regression => summarise_regression(truth, prediction),
                    }
                    .expect("a part of good rows is good")
                })
                .map(|sums| {
                    let text = serde_json::to_string(&sums).expect("sums are JSON");
                    serde_json::from_str(&text).expect("JSON comes back")
                })
                .collect();
            let pooled = pool(&sums).expect("sites of one kind pool");
            let found = value(check.metric, &pooled).expect("the value is defined");
            assert_close(check.metric, found, check.value, index);
            compared += 1;
        }
    }
    assert!(compared > 300, "only {compared} values were compared");
}
