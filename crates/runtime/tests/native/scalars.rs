//! When training tells its loss, and what it says with it.

use runtime::{Measurement, Stage};
use serde_json::{Value, json};

use crate::support::{Ward, logistic, table};

/// Epoch, iteration, rows of the batch and rows so far of each training scalar.
fn told(arguments: &Value) -> Vec<(u64, u64, u64, u64)> {
    let ward = Ward::new(logistic(""), &["a", "b"], &table(50), 1);
    let outcome = ward.run(arguments).expect("the round succeeds");
    outcome
        .measurements
        .iter()
        .filter_map(|measurement| match measurement.stage {
            Stage::Training { epoch } => Some((
                epoch,
                measurement.iteration,
                measurement.batch_samples,
                measurement.num_samples_trained,
            )),
            Stage::ValidatingGlobal | Stage::ValidatingLocal => None,
        })
        .collect()
}

#[test]
fn the_loss_is_told_at_each_interval_and_at_the_last_batch_of_each_epoch() {
    let arguments = json!({ "epochs": 2, "batch_size": 8, "log_interval": 3 });
    assert_eq!(
        told(&arguments),
        [(1, 3, 8, 24), (1, 6, 8, 48), (1, 7, 2, 50), (2, 3, 8, 74), (2, 6, 8, 98), (2, 7, 2, 100)]
    );
}

#[test]
fn a_dry_run_tells_its_only_batch() {
    let arguments = json!({ "epochs": 3, "batch_size": 8, "dry_run": true });
    assert_eq!(told(&arguments), [(1, 1, 8, 8)]);
}

#[test]
fn a_maximum_of_batches_cuts_each_epoch() {
    let arguments = json!({ "epochs": 2, "batch_size": 8, "batch_maxnum": 2 });
    assert_eq!(told(&arguments), [(1, 2, 8, 16), (2, 2, 8, 32)]);
}

#[test]
fn updates_go_over_as_many_epochs_as_they_need() {
    let arguments = json!({ "num_updates": 9, "batch_size": 8 });
    assert_eq!(told(&arguments), [(1, 7, 2, 50), (2, 2, 8, 66)]);
}

#[test]
fn a_last_batch_that_is_not_full_can_be_dropped() {
    let arguments = json!({ "loader_args": { "batch_size": 8, "drop_last": true } });
    assert_eq!(told(&arguments), [(1, 6, 8, 48)]);
}

#[test]
fn a_scalar_says_where_it_was_measured() {
    let ward = Ward::new(logistic(""), &["a", "b"], &table(50), 1);
    let arguments = json!({
        "batch_size": 16, "test_ratio": 0.2, "test_on_global_updates": true, "test_batch_size": 4,
    });
    let outcome = ward.run(&arguments).expect("the round succeeds");
    let [validation, training] = outcome.measurements.as_slice() else {
        panic!("there is one scalar of each kind: {:?}", outcome.measurements);
    };
    let before = outcome.before.expect("there are validation rows");
    assert_eq!(
        validation,
        &Measurement {
            stage: Stage::ValidatingGlobal,
            metrics: before.metrics.clone(),
            iteration: 3,
            total_samples: 10,
            batch_samples: 10,
            num_batches: 3,
            num_samples_trained: 0,
        }
    );
    assert_eq!(before.metrics[0].0, "ACCURACY");
    assert_eq!(training.metrics[0].0, "Loss");
    assert_eq!((training.total_samples, training.num_batches), (40, 3));
}

#[test]
fn validating_in_batches_changes_no_metric() {
    let ward = Ward::new(logistic(""), &["a", "b"], &table(50), 1);
    let report = |batch: u64| {
        let arguments = json!({
            "test_ratio": 0.5, "test_on_global_updates": true, "test_batch_size": batch,
        });
        ward.run(&arguments).expect("the round succeeds").before
    };
    assert_eq!(report(0), report(7));
}
