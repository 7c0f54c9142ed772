//! What a metric refuses, and what it says then.

use proptest::prelude::*;
use protocol::Warning;
use training_plan::metric::{
    Metric, MetricError, MetricOptions, MultiOutput, Observations, Side, evaluate, summarise,
};

fn refused(metric: Metric, truth: Observations<'_>, prediction: Observations<'_>) -> MetricError {
    evaluate(metric, truth, prediction, &MetricOptions::default()).expect_err("does not fit")
}

#[test]
fn rows_of_different_number_are_named() {
    let error = refused(
        Metric::Accuracy,
        Observations::numbers(&[0.0, 1.0]),
        Observations::numbers(&[0.0]),
    );
    assert_eq!(error, MetricError::Lengths { truth: 2, prediction: 1 });
    assert_eq!(error.to_string(), "the truth has 2 rows, the prediction 1");
}

#[test]
fn three_dimensions_are_refused() {
    let values = [0.0; 8];
    let error = refused(
        Metric::MeanSquareError,
        Observations::shaped(&values, &[2, 2, 2]),
        Observations::shaped(&values, &[2, 2, 2]),
    );
    assert_eq!(error, MetricError::Dimensions { side: Side::Truth, dimensions: 3 });
}

#[test]
fn texts_and_numbers_do_not_compare() {
    let texts = ["a".to_owned(), "b".to_owned()];
    let texts = Observations::texts(&texts);
    let numbers = Observations::numbers(&[0.0, 1.0]);
    assert_eq!(refused(Metric::Accuracy, texts, numbers), MetricError::DifferentKinds);
    assert_eq!(refused(Metric::MeanSquareError, texts, texts), MetricError::DifferentKinds);
    assert_eq!(
        refused(Metric::RocAuc, texts, texts),
        MetricError::NeedsScores { metric: Metric::RocAuc }
    );
}

#[test]
fn a_value_that_is_not_finite_is_refused_on_its_side() {
    for (value, metric) in
        [(f64::NAN, Metric::Accuracy), (f64::INFINITY, Metric::RocAuc), (f64::NAN, Metric::R2Score)]
    {
        let good = Observations::numbers(&[0.0, 1.0]);
        let values = [value, 1.0];
        let bad = Observations::numbers(&values);
        assert_eq!(refused(metric, good, bad), MetricError::NotFinite { side: Side::Prediction });
        assert_eq!(refused(metric, bad, good), MetricError::NotFinite { side: Side::Truth });
    }
}

#[test]
fn no_rows_and_different_widths_are_refused() {
    let empty = Observations::numbers(&[]);
    assert_eq!(refused(Metric::Accuracy, empty, empty), MetricError::NoRows);
    let values = [0.5; 6];
    let wide = Observations::shaped(&values, &[2, 3]);
    let narrow = Observations::shaped(&values[..4], &[2, 2]);
    assert_eq!(
        refused(Metric::Accuracy, wide, narrow),
        MetricError::Widths { truth: 3, prediction: 2 }
    );
    assert_eq!(
        refused(Metric::MeanAbsoluteError, wide, narrow),
        MetricError::Widths { truth: 3, prediction: 2 }
    );
}

#[test]
fn numbers_that_are_no_labels_are_refused_as_classes() {
    let labels = Observations::numbers(&[0.0, 1.0]);
    let measured = Observations::numbers(&[12.5, 3.0]);
    assert_eq!(
        refused(Metric::Accuracy, labels, measured),
        MetricError::Continuous { side: Side::Prediction }
    );
    assert_eq!(
        refused(Metric::LogLoss, labels, measured),
        MetricError::NeedsProbabilities { metric: Metric::LogLoss }
    );
}

#[test]
fn one_class_only_has_no_area_but_a_warning() {
    let truth = Observations::numbers(&[1.0, 1.0]);
    let scores = Observations::numbers(&[0.2, 0.9]);
    let found = evaluate(Metric::RocAuc, truth, scores, &MetricOptions::default())
        .expect("one class is no error");
    assert_eq!(found.value, None);
    assert_eq!(found.warning, Some(Warning::MetricSingleClass));
}

#[test]
fn a_class_that_a_site_lacks_leaves_the_number_of_classes_as_it_is() {
    let options = MetricOptions::default().with_classes(3);
    let labels = Observations::numbers(&[0.0, 1.0, 1.0]);
    let sums = summarise(labels, labels, &options).expect("labels fit");
    assert_eq!(sums.confusion.expect("there are counts").classes.len(), 3);
    let outside = Observations::numbers(&[0.0, 1.0, 3.0]);
    assert_eq!(
        summarise(outside, labels, &options).expect_err("3 is no class"),
        MetricError::UnknownClass { side: Side::Truth, classes: 3 }
    );
}

#[test]
fn two_outputs_are_reported_one_by_one_on_demand() {
    let truth = [1.0, 10.0, 2.0, 20.0];
    let prediction = [2.0, 12.0, 3.0, 22.0];
    let options = MetricOptions { multioutput: MultiOutput::RawValues, ..MetricOptions::default() };
    let found = evaluate(
        Metric::MeanAbsoluteError,
        Observations::shaped(&truth, &[2, 2]),
        Observations::shaped(&prediction, &[2, 2]),
        &options,
    )
    .expect("shapes fit");
    assert_eq!((found.value, found.per_output), (Some(1.5), vec![1.0, 2.0]));
}

#[test]
fn two_empty_sets_overlap_perfectly_and_have_no_precision() {
    let none = Observations::numbers(&[0.0, 0.0]);
    let value =
        |metric| evaluate(metric, none, none, &MetricOptions::default()).expect("labels fit").value;
    assert_eq!(value(Metric::Dice), Some(1.0));
    assert_eq!(value(Metric::Precision), Some(0.0));
}

proptest! {
    #[test]
    fn whatever_the_numbers_a_value_is_finite_or_an_error(
        values in proptest::collection::vec(
            prop_oneof![
                proptest::num::f64::ANY,
                (0_u8..4).prop_map(f64::from),
                0.0_f64..1.0,
            ],
            0..40,
        ),
        columns in 1_usize..4,
    ) {
        let half = values.len() / 2;
        let rows = half / columns;
        let (truth, prediction) = values.split_at(half);
        for metric in Metric::ALL {
            for shape in [vec![half], vec![rows, columns]] {
                let truth = Observations::shaped(truth, &shape);
                let prediction = Observations::shaped(&prediction[..half], &shape);
                let labels = Observations::numbers(&values[..rows]);
                for truth in [truth, labels] {
                    let found = evaluate(metric, truth, prediction, &MetricOptions::default());
                    if let Ok(found) = found {
                        prop_assert!(found.value.is_none_or(f64::is_finite));
                    }
                }
            }
        }
    }
}
