//! Missing values, categories, scales and splits.

use dataset::{Options, register};
use parameters::Parameters;
use protocol::{Code, Warning};
use runtime::{Predictor, Validated};
use serde_json::json;

use crate::support::{Recorder, Ward, bundle, logistic, table};

const GAPS: &str = "a,b,y\n1,10,yes\n2,,no\n3,30,yes\n4,40,\n5,50,no\n";

#[test]
fn rows_with_missing_values_can_be_dropped() {
    let ward = Ward::new(logistic("missing = \"drop\""), &["a", "b"], GAPS, 1);
    let (_, summary) = ward.opened(&json!({})).expect("the data is right");
    assert_eq!((summary.rows, summary.dropped), (3, 2));
    assert!(summary.warnings.contains(&Warning::DataRowsDropped));
}

#[test]
fn a_missing_number_becomes_the_mean_and_a_missing_target_drops_its_row() {
    let filled = "a,b,y\n1,10,yes\n2,30,no\n3,30,yes\n5,50,no\n";
    let arguments = json!({ "epochs": 3, "loader_args": { "shuffle": false } });
    let update = |csv: &str| {
        let ward = Ward::new(logistic("missing = \"mean\""), &["a", "b"], csv, 1);
        let outcome = ward.run(&arguments).expect("the round succeeds");
        assert_eq!(outcome.training.sample_count, 4);
        outcome.parameters
    };
    assert_eq!(update(GAPS), update(filled));
}

#[test]
fn rows_that_the_owner_excludes_are_not_counted() {
    let csv = table(30);
    let named = csv.lines().enumerate().map(|(row, line)| match row {
        0 => format!("patient,{line}\n"),
        // The rows 2, 9, 16, 23 and 30 belong to one patient.
        row => format!("{},{line}\n", row % 7),
    });
    let mut ward = Ward::new(logistic(""), &["a", "b"], &csv, 1);
    std::fs::write(&ward.table, named.collect::<String>()).expect("the folder can be written");
    let options = Options { patient_id: Some("patient".to_owned()), ..Options::default() };
    ward.registration = register(&ward.table, &options).expect("the table is right").into();
    ward.exclusions.add("2").expect("is an identifier");
    let outcome = ward.run(&json!({ "test_ratio": 0.5, "test_on_local_updates": true }));
    let data = outcome.expect("the round succeeds").data;
    assert_eq!((data.rows, data.excluded), (25, 5));
    ward.minimum_samples = 26;
    let failure = ward.run(&json!({})).expect_err("too few rows are left");
    assert_eq!(failure.code, Code::DataTooFewSamples);
}

#[test]
fn a_category_becomes_one_input_for_each_declared_value() {
    let csv = "sex,a,y\nf,1,yes\nm,2,no\nf,3,yes\nm,4,no\n";
    let plan = logistic("[data.categories]\nsex = [\"f\", \"m\"]");
    let ward = Ward::new(plan, &["a", "sex"], csv, 1);
    let outcome = ward.run(&json!({ "epochs": 5 })).expect("the round succeeds");
    let parameters = Parameters::from_bytes(&outcome.parameters).expect("the update is right");
    let weight = parameters.get("layers.0.weight").expect("there is a dense layer");
    assert_eq!(weight.shape(), [3, 1]);
    let values = weight.to_f32().expect("weights are single precision");
    assert!(values[1] > 0.0 && values[2] < 0.0, "{values:?}");
}

#[test]
fn local_scaling_makes_the_unit_of_a_column_matter_no_more() {
    let arguments = json!({ "epochs": 3, "loader_args": { "shuffle": false } });
    let update = |factor: u32| {
        let mut csv = "a,b,y\n".to_owned();
        for (row, y) in ["yes", "no", "yes", "no", "no", "yes"].iter().enumerate() {
            let row = u32::try_from(row).expect("is small");
            csv.push_str(&format!("{},{},{y}\n", row * row * factor, row % 3));
        }
        let ward = Ward::new(logistic("standardize = \"local\""), &["a", "b"], &csv, 1);
        let outcome = ward.run(&arguments).expect("the round succeeds");
        let parameters = Parameters::from_bytes(&outcome.parameters).expect("the update is right");
        parameters.get("layers.0.weight").expect("is there").to_f32().expect("is f32")
    };
    for (one, other) in update(1).iter().zip(update(1024)) {
        // A power of two changes no significant digit of f64; f32 weights are then the same.
        assert_eq!(one.to_bits(), other.to_bits());
    }
}

#[test]
fn unscaled_features_of_very_different_size_give_a_warning() {
    let csv = "a,b,y\n5000,0.01,yes\n4000,0.02,no\n3000,0.03,yes\n";
    let ward = Ward::new(logistic(""), &["a", "b"], csv, 1);
    let (_, summary) = ward.opened(&json!({})).expect("the data is right");
    assert_eq!(summary.warnings, [Warning::PlanUnscaled]);
    let ward = Ward::new(logistic("standardize = \"local\""), &["a", "b"], csv, 1);
    let (_, summary) = ward.opened(&json!({})).expect("the data is right");
    assert_eq!(summary.warnings, []);
}

#[test]
fn the_validation_subset_stays_the_same_over_the_rounds() {
    let report = |round: u32, shuffled: bool| {
        let mut ward = Ward::new(logistic(""), &["a", "b"], &table(60), 9);
        ward.round = round;
        let arguments = json!({
            "test_ratio": 0.3, "test_on_global_updates": true, "epochs": 0,
            "shuffle_testing_dataset": shuffled,
        });
        ward.run(&arguments).expect("the round succeeds").before.expect("has rows").sums
    };
    assert_eq!(report(1, false), report(2, false));
    assert_ne!(
        (report(1, true), report(2, true), report(3, true)),
        (report(1, false), report(1, false), report(1, false))
    );
}

#[test]
fn a_validation_set_with_one_class_gives_a_warning_and_no_area() {
    let csv = "a,b,y\n".to_owned() + &"1,2,no\n2,1,no\n".repeat(10);
    let ward = Ward::new(logistic(""), &["a", "b"], &csv, 1);
    let arguments = json!({ "test_ratio": 0.5, "test_on_global_updates": true });
    let (mut instance, _) = ward.opened(&arguments).expect("the data is right");
    let outcome = instance.validate(Validated::Global, &mut Recorder::default());
    let outcome = outcome.expect("a metric fails softly");
    assert_eq!(outcome.warnings, [Warning::MetricSingleClass]);
    let names: Vec<String> =
        outcome.report.expect("has rows").metrics.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["ACCURACY"]);
}

#[test]
fn a_metric_that_the_plan_does_not_declare_stays_at_home() {
    let ward = Ward::new(logistic(""), &["a", "b"], &table(40), 1);
    let arguments = json!({
        "test_ratio": 0.5, "test_on_global_updates": true, "test_metric": "recall",
    });
    let (mut instance, _) = ward.opened(&arguments).expect("the data is right");
    let outcome = instance.validate(Validated::Global, &mut Recorder::default());
    let outcome = outcome.expect("a metric fails softly");
    assert_eq!(outcome.warnings, [Warning::MetricNotDeclared]);
}

#[test]
fn several_classes_are_trained_and_predicted() {
    let mut csv = "a,b,y\n".to_owned();
    for row in 0..90_i32 {
        let (class, shift) =
            [("low", -2), ("mid", 0), ("high", 2)][usize::try_from(row % 3).expect("is small")];
        csv.push_str(&format!(
            "{},{},{class}\n",
            shift * 10 + row % 7,
            shift * shift * 10 - row % 5
        ));
    }
    let text = r#"[plan]
name = "p"
runtime = "native"
[data]
task = "multiclass"
target = "y"
classes = ["low", "mid", "high"]
standardize = "local"
[metrics]
names = ["ACCURACY", "F1_SCORE", "LOG_LOSS", "ROC_AUC"]
[model]
layers = [{ dense = { units = 8 } }, "relu", { dense = { units = 3 } }]
[loss]
kind = "categorical_cross_entropy"
class_weights = [1, 2, 1]
[optimizer]
kind = "adam"
"#;
    let mut ward = Ward::new(bundle(text), &["a", "b"], &csv, 1);
    let arguments = json!({
        "epochs": 40, "optimizer_args": { "lr": 0.05 }, "test_ratio": 0.3,
        "test_on_local_updates": true, "stratify": true,
    });
    let outcome = ward.run(&arguments).expect("the round succeeds");
    ward.go_on(&outcome);
    let predictor = Predictor::open(&ward.parameters).expect("it describes itself");
    let rows = predictor
        .predict(&ward.table, ward.registration.table().expect("is a table"))
        .expect("the table fits");
    assert_eq!((rows.len(), rows[0].len()), (90, 3));
    let right = rows.iter().enumerate().filter(|(row, scores)| {
        scores.iter().enumerate().all(|(class, score)| class == row % 3 || *score < scores[row % 3])
    });
    assert!(right.count() >= 85);
}

#[test]
fn numbers_are_predicted_by_a_regression() {
    let mut csv = "a,b,y\n".to_owned();
    for row in 0..60_i32 {
        let (a, b) = (row % 7 - 3, row % 5 - 2);
        csv.push_str(&format!("{a},{b},{}\n", 2 * a - b + 1));
    }
    let text = r#"[plan]
name = "p"
runtime = "native"
[data]
task = "regression"
target = "y"
[metrics]
names = ["MEAN_SQUARE_ERROR", "R2_SCORE"]
[model]
init = "zeros"
layers = [{ dense = { units = 1 } }]
[loss]
kind = "mean_squared_error"
[optimizer]
kind = "sgd"
momentum = 0.9
"#;
    let mut ward = Ward::new(bundle(text), &["a", "b"], &csv, 1);
    let arguments = json!({ "epochs": 400, "optimizer_args": { "lr": 0.02 }, "test_ratio": 0.2,
        "test_on_global_updates": true });
    let outcome = ward.run(&arguments).expect("the round succeeds");
    assert!(outcome.before.as_ref().expect("has rows").metrics[0].1 > 1.0);
    ward.go_on(&outcome);
    let (mut instance, _) = ward.opened(&arguments).expect("the data is right");
    let report = instance.validate(Validated::Global, &mut Recorder::default()).expect("has rows");
    let metrics = report.report.expect("has rows").metrics;
    assert!(metrics[0].1 < 1e-6 && metrics[1].1 > 0.999, "{metrics:?}");
}
