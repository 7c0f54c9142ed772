//! Rounds that must go the same way in every runtime.

use parameters::{Parameters, Tensor};
use protocol::{Code, Mode, Warning};
use runtime::Stage;
use serde_json::{Value, json};

use crate::python::shared;
use crate::ward::{Outcome, Recorder, Study, Ward, table};

/// Each test of the suite for each runtime.
macro_rules! contract {
    ($($name:ident)*) => {
        mod native {
            use super::*;
            $(#[test] fn $name() { super::$name(|| Study::Native); })*
        }
        mod python {
            use super::*;
            $(#[test] fn $name() {
                let Some(runtime) = shared() else { return };
                super::$name(|| Study::Python(runtime));
            })*
        }
    };
}

contract! {
    a_round_learns_and_counts
    the_same_round_gives_the_same_bytes
    another_round_has_another_order
    no_epoch_changes_nothing
    scalars_come_when_they_are_due
    validating_gives_metrics_and_no_update
    no_row_to_train_on_is_an_error
    too_few_rows_are_an_error
    parameters_of_another_model_are_a_mismatch
    parameters_that_are_no_numbers_are_invalid
    an_optimizer_argument_that_is_not_taken_is_named
    a_learning_rate_beyond_reason_diverges
    a_cancelled_round_ends_and_the_next_one_runs
    one_class_has_no_area
    a_stratified_split_keeps_the_shares
}

fn arguments() -> Value {
    json!({
        "epochs": 2, "log_interval": 2, "test_ratio": 0.25,
        "test_on_global_updates": true, "test_on_local_updates": true,
        "loader_args": {"batch_size": 16}, "optimizer_args": {"lr": 0.5},
    })
}

fn metric(report: &Option<protocol::MetricsReport>, name: &str) -> f64 {
    let report = report.as_ref().expect("was validated");
    report.metrics.iter().find(|(found, _)| found == name).expect("is declared").1
}

/// What a runtime says beside its numbers' last digits, which the two arithmetics share to single precision.
fn compare(native: &Outcome, python: &Outcome) {
    assert_eq!(native.data, python.data);
    assert_eq!(native.training.sample_count, python.training.sample_count);
    for name in ["ACCURACY", "LOG_LOSS"] {
        for (one, other) in [(&native.before, &python.before), (&native.after, &python.after)] {
            let difference = (metric(one, name) - metric(other, name)).abs();
            // Eight steps in single precision, and a logarithm of a probability near 1.
            assert!(difference < 1e-5, "{name} differs by {difference}");
        }
    }
}

#[test]
fn both_runtimes_cut_order_and_measure_alike() {
    let Some(runtime) = shared() else { return };
    let native = Ward::of(Study::Native).run(&arguments()).expect("it is right");
    let python = Ward::of(Study::Python(runtime)).run(&arguments()).expect("it is right");
    compare(&native, &python);
    let sums = |outcome: &Outcome| {
        let report = outcome.after.as_ref().expect("was validated");
        report.sums.as_ref().expect("exact pooling needs sums")["confusion"].clone()
    };
    assert_eq!(sums(&native), sums(&python));
    let mut stratified = arguments();
    stratified["stratify"] = json!(true);
    let native = Ward::of(Study::Native).run(&stratified).expect("it is right");
    let python = Ward::of(Study::Python(runtime)).run(&stratified).expect("it is right");
    compare(&native, &python);
    assert_eq!(sums(&native), sums(&python));
}

fn a_round_learns_and_counts(study: impl Fn() -> Study) {
    let outcome = Ward::of(study()).run(&arguments()).expect("it is right");
    assert_eq!((outcome.data.train, outcome.data.validation), (60, 20));
    assert_eq!((outcome.training.sample_count, outcome.training.steps), (60, 8));
    assert_eq!(outcome.training.samples_trained, 120);
    assert!(metric(&outcome.after, "ACCURACY") > 0.9);
    assert!(metric(&outcome.after, "LOG_LOSS") < metric(&outcome.before, "LOG_LOSS"));
    assert_eq!(outcome.training.optimizer_args["lr"], 0.5);
}

fn the_same_round_gives_the_same_bytes(study: impl Fn() -> Study) {
    let run = || Ward::of(study()).run(&arguments()).expect("it is right");
    let (once, again) = (run(), run());
    assert_eq!(once.export, again.export);
    assert_eq!(once.update, again.update);
}

fn another_round_has_another_order(study: impl Fn() -> Study) {
    let mut ward = Ward::of(study());
    let first = ward.run(&arguments()).expect("it is right");
    ward.round = 2;
    assert_ne!(ward.run(&arguments()).expect("it is right").update, first.update);
    let mut ordered = arguments();
    ordered["loader_args"]["shuffle"] = json!(false);
    let second = ward.run(&ordered).expect("it is right");
    ward.round = 1;
    assert_eq!(ward.run(&ordered).expect("it is right").update, second.update);
}

fn no_epoch_changes_nothing(study: impl Fn() -> Study) {
    let ward = Ward::of(study());
    let mut none = arguments();
    none["epochs"] = json!(0);
    let outcome = ward.run(&none).expect("it is right");
    assert_eq!(outcome.training.steps, 0);
    assert_eq!(outcome.update, std::fs::read(ward.initial()).expect("it is right"));
}

fn scalars_come_when_they_are_due(study: impl Fn() -> Study) {
    let outcome = Ward::of(study()).run(&arguments()).expect("it is right");
    let places = outcome.measurements.iter().filter_map(|one| match one.stage {
        Stage::Training { epoch } => Some((
            epoch,
            one.iteration,
            one.batch_samples,
            one.num_batches,
            one.num_samples_trained,
        )),
        Stage::ValidatingGlobal | Stage::ValidatingLocal => None,
    });
    let expected = [(1, 2, 16, 4, 32), (1, 4, 12, 4, 60), (2, 2, 16, 4, 92), (2, 4, 12, 4, 120)];
    assert_eq!(places.collect::<Vec<_>>(), expected);
    let stages = outcome.measurements.iter().map(|one| one.stage);
    let validated = stages.filter(|stage| !matches!(stage, Stage::Training { .. }));
    assert_eq!(validated.collect::<Vec<_>>(), [Stage::ValidatingGlobal, Stage::ValidatingLocal]);
}

fn validating_gives_metrics_and_no_update(study: impl Fn() -> Study) {
    let mut ward = Ward::of(study());
    ward.mode = Mode::Validate;
    let mut all = arguments();
    all["test_ratio"] = json!(1);
    let outcome = ward.run(&all).expect("it is right");
    assert_eq!((outcome.data.train, outcome.data.validation), (0, 80));
    assert_eq!(outcome.before.expect("was validated").validation_count, 80);
    assert!(outcome.export.is_none());
}

fn no_row_to_train_on_is_an_error(study: impl Fn() -> Study) {
    let mut all = arguments();
    all["test_ratio"] = json!(1);
    let failure = Ward::of(study()).run(&all).expect_err("the round fails");
    assert_eq!(failure.code, Code::DataNoTrainingSamples);
    let mut large = arguments();
    large["loader_args"] = json!({"batch_size": 100, "drop_last": true});
    let failure = Ward::of(study()).run(&large).expect_err("the round fails");
    assert_eq!(failure.code, Code::DataNoTrainingSamples);
}

fn too_few_rows_are_an_error(study: impl Fn() -> Study) {
    let mut ward = Ward::of(study());
    ward.minimum_samples = 81;
    assert_eq!(ward.run(&arguments()).expect_err("the round fails").code, Code::DataTooFewSamples);
    ward.minimum_samples = 61;
    assert_eq!(ward.run(&arguments()).expect_err("the round fails").code, Code::DataTooFewSamples);
    ward.minimum_samples = 60;
    ward.run(&arguments()).expect("it is right");
}

/// Writes parameters with one tensor changed.
fn changed(ward: &Ward, change: impl Fn(&Tensor) -> Tensor) -> std::path::PathBuf {
    let bytes = std::fs::read(ward.initial()).expect("it is right");
    let mut model = Parameters::new();
    for (name, tensor) in Parameters::from_bytes(&bytes).expect("it is right").iter() {
        let is_weight = name.ends_with("weight");
        let tensor = if is_weight { change(tensor) } else { tensor.clone() };
        model.insert(name, tensor).expect("it is right");
    }
    let path = ward.folder.path().join("changed.safetensors");
    std::fs::write(&path, model.to_bytes(None).expect("it is right")).expect("it is right");
    path
}

fn parameters_of_another_model_are_a_mismatch(study: impl Fn() -> Study) {
    let ward = Ward::of(study());
    let other = changed(&ward, |_| Tensor::from_f32(&[3, 1], &[0.0; 3]).expect("it is right"));
    let failure =
        ward.run_from(&other, &arguments(), Recorder::default()).expect_err("the round fails");
    assert_eq!(failure.code, Code::ParametersMismatch);
    let detail = failure.detail.expect("the tensors are named");
    assert!(matches!(*detail, protocol::Detail::Tensors { .. }), "{detail:?}");
}

fn parameters_that_are_no_numbers_are_invalid(study: impl Fn() -> Study) {
    let ward = Ward::of(study());
    let other = changed(&ward, |tensor| {
        Tensor::from_f32(tensor.shape(), &[f32::NAN, 0.0]).expect("it is right")
    });
    let failure =
        ward.run_from(&other, &arguments(), Recorder::default()).expect_err("the round fails");
    assert_eq!(failure.code, Code::ParametersInvalid);
}

fn an_optimizer_argument_that_is_not_taken_is_named(study: impl Fn() -> Study) {
    let mut wrong = arguments();
    wrong["optimizer_args"]["betas"] = json!([0.9, 0.99]);
    let failure = Ward::of(study()).run(&wrong).expect_err("the round fails");
    assert_eq!(failure.code, Code::ArgumentsInvalid);
    let detail = failure.detail.expect("the argument is named");
    let named = matches!(&*detail, protocol::Detail::Argument { key, value, .. }
        if key == "optimizer_args.betas" && *value == json!([0.9, 0.99]));
    assert!(named, "{detail:?}");
}

fn a_learning_rate_beyond_reason_diverges(study: impl Fn() -> Study) {
    let mut wild = arguments();
    wild["optimizer_args"]["lr"] = json!(1e38);
    let failure = Ward::of(study()).run(&wild).expect_err("the round fails");
    assert_eq!(failure.code, Code::TrainingDiverged);
}

fn a_cancelled_round_ends_and_the_next_one_runs(study: impl Fn() -> Study) {
    let ward = Ward::of(study());
    let mut long = arguments();
    long["epochs"] = json!(1_000_000);
    let recorder = Recorder { interrupt_after: Some(4), ..Recorder::default() };
    let failure = ward.run_from(&ward.initial(), &long, recorder).expect_err("the round fails");
    assert_eq!(failure.code, Code::Cancelled);
    ward.run(&arguments()).expect("it is right");
}

fn one_class_has_no_area(study: impl Fn() -> Study) {
    let ward = Ward::with_table(study(), &table(80).replace(",ill", ",well"));
    let mut asked = arguments();
    asked["test_metric"] = json!("ROC_AUC");
    let outcome = ward.run(&asked).expect("it is right");
    assert!(outcome.warnings.contains(&Warning::MetricSingleClass), "{:?}", outcome.warnings);
}

/// Of 80 rows 8 are of the rarer class, and 2 of them validate.
fn a_stratified_split_keeps_the_shares(study: impl Fn() -> Study) {
    let mut csv = String::from("x,y,class\n");
    for row in 0..80 {
        csv.push_str(&format!(
            "{},{},{}\n",
            row % 9,
            row % 7,
            if row < 8 { "ill" } else { "well" }
        ));
    }
    let mut stratified = arguments();
    stratified["stratify"] = json!(true);
    let outcome = Ward::with_table(study(), &csv).run(&stratified).expect("it is right");
    let sums = outcome.before.and_then(|report| report.sums).expect("was validated");
    let counts = sums["confusion"]["counts"].as_array().expect("counts are a list");
    let truth = counts.iter().map(|row| {
        let row = row.as_array().expect("is a list");
        row.iter().filter_map(Value::as_u64).sum::<u64>()
    });
    assert_eq!(truth.collect::<Vec<_>>(), [18, 2]);
}
