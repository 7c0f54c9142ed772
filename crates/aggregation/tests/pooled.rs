//! Metrics over the sites: exactly those of all rows where sums allow, else a labelled mean.

use aggregation::{SiteMetrics, pool};
use proptest::prelude::*;
use protocol::{
    DatasetName, MetricSums, MetricsReport, NodeId,
    history::{FederationMetric, MadeBy},
    metric_sums::{Average, ConfusionCounts, Label, LossSum, ResidualSums},
};
use serde_json::Value;

fn pooled(reports: &[(&str, MetricsReport)]) -> Vec<FederationMetric> {
    let names: Vec<(NodeId, DatasetName)> = reports
        .iter()
        .map(|(node, _)| (node.parse().expect("a name"), "a".parse().expect("a name")))
        .collect();
    let sites: Vec<SiteMetrics<'_>> = names
        .iter()
        .zip(reports)
        .map(|((node, dataset), (_, report))| SiteMetrics { node, dataset, report })
        .collect();
    pool(&sites)
}

fn report(metrics: &[(&str, f64)], count: u64, sums: Option<MetricSums>) -> MetricsReport {
    MetricsReport {
        metrics: metrics.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
        validation_count: count,
        sums: sums.map(|sums| serde_json::to_value(sums).expect("plain data")),
    }
}

fn confusion(classes: &[f64], counts: &[&[u64]]) -> MetricSums {
    MetricSums {
        confusion: Some(ConfusionCounts {
            classes: classes.iter().map(|class| Label::Number(*class)).collect(),
            counts: counts.iter().map(|row| row.to_vec()).collect(),
            ..ConfusionCounts::default()
        }),
        ..MetricSums::default()
    }
}

/// Counts the pairs of a site that has seen only some classes.
fn count_rows(truth: &[f64], prediction: &[f64]) -> MetricSums {
    let mut classes: Vec<f64> = truth.iter().chain(prediction).copied().collect();
    classes.sort_by(f64::total_cmp);
    classes.dedup();
    let rows = truth.iter().zip(prediction);
    let cell = |t: f64, p: f64| rows.clone().filter(|row| row == &(&t, &p)).count() as u64;
    let counts: Vec<Vec<u64>> =
        classes.iter().map(|t| classes.iter().map(|p| cell(*t, *p)).collect()).collect();
    confusion(&classes, &counts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

#[expect(clippy::cast_precision_loss, reason = "a few rows")]
fn sum_rows(truth: &[f64], prediction: &[f64]) -> MetricSums {
    let errors: Vec<f64> = truth.iter().zip(prediction).map(|(t, p)| t - p).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let deviations =
        |values: &[f64]| values.iter().map(|value| (value - mean(values)).powi(2)).sum::<f64>();
    MetricSums {
        residuals: vec![ResidualSums {
            rows: truth.len() as u64,
            squared_errors: errors.iter().map(|error| error * error).sum(),
            absolute_errors: errors.iter().map(|error| error.abs()).sum(),
            error_mean: mean(&errors),
            error_deviations: deviations(&errors),
            truth_mean: mean(truth),
            truth_deviations: deviations(truth),
        }],
        ..MetricSums::default()
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(|x| x.as_f64().expect("a number")).collect()
}

#[test]
fn pooled_values_are_scikit_learn_s_over_all_rows() {
    let fixture: Value =
        serde_json::from_str(include_str!("fixtures/pooled.json")).expect("it is JSON");
    let mut compared = 0;
    for (case, content) in fixture.as_object().expect("an object") {
        let expected = content["expected"].as_object().expect("an object");
        let sites: Vec<(&str, MetricsReport)> = (0..3)
            .map(|site| {
                let truth = numbers(&content["truth"][site]);
                let prediction = numbers(&content["prediction"][site]);
                let sums = if case == "regression" { sum_rows } else { count_rows };
                // The sites' own values are wrong on purpose: they must not be used.
                let own: Vec<(&str, f64)> =
                    expected.keys().map(|name| (name.as_str(), -1.0)).collect();
                let sums = Some(sums(&truth, &prediction));
                (["north", "east", "south"][site], report(&own, truth.len() as u64, sums))
            })
            .collect();
        for metric in pooled(&sites) {
            let expected = expected[&metric.name].as_f64().expect("a number");
            let difference = (metric.value - expected).abs() / expected.abs().max(1.0);
            // Rounding of about a hundred additions; the contract asks for 1e-9.
            assert!(difference < 1e-12, "{case}, {}: {}", metric.name, metric.value);
            assert_eq!(metric.made_by, MadeBy::Pooled);
            compared += 1;
        }
    }
    assert_eq!(compared, 14);
}

#[test]
fn log_loss_and_dice_are_pooled() {
    let sums = |rows, total, counts: &[&[u64]]| MetricSums {
        log_loss: Some(LossSum { rows, total }),
        ..confusion(&[0.0, 1.0], counts)
    };
    let names = [("LOG_LOSS", 0.0), ("DICE", 0.0)];
    let metrics = pooled(&[
        ("north", report(&names, 4, Some(sums(4, 2.0, &[&[2, 0], &[1, 1]])))),
        ("south", report(&names, 1, Some(sums(1, 0.5, &[&[0, 1], &[0, 0]])))),
    ]);
    let values: Vec<_> = metrics.iter().map(|metric| (metric.value, metric.made_by)).collect();
    assert_eq!(values, [(0.5, MadeBy::Pooled), (0.5, MadeBy::Pooled)]);
}

#[test]
fn what_no_sums_hold_is_a_mean_of_sites_and_says_so() {
    let sums = || Some(confusion(&[0.0, 1.0], &[&[1, 0], &[0, 1]]));
    let metrics = pooled(&[
        ("north", report(&[("ROC_AUC", 0.5), ("OWN", 1.0)], 30, sums())),
        ("south", report(&[("ROC_AUC", 0.9)], 10, sums())),
        ("west", report(&[], 10, sums())),
    ]);
    assert_eq!(metrics.len(), 2);
    assert_eq!(metrics[0].name, "ROC_AUC");
    assert!((metrics[0].value - 0.6).abs() < 1e-15);
    assert_eq!(metrics[0].made_by.as_str(), "mean of sites");
    assert_eq!((metrics[1].value, metrics[1].made_by), (1.0, MadeBy::MeanOfSites));
}

#[test]
fn one_site_without_usable_sums_makes_a_metric_a_mean_of_sites() {
    let good = confusion(&[0.0, 1.0], &[&[1, 0], &[0, 1]]);
    let with = |change: &dyn Fn(&mut ConfusionCounts)| {
        let mut sums = good.clone();
        change(sums.confusion.as_mut().expect("it has counts"));
        Some(sums)
    };
    let unusable = [
        None,
        Some(MetricSums::default()),
        with(&|counts| counts.counts[0].push(1)),
        with(&|counts| counts.classes.swap(0, 1)),
        with(&|counts| counts.counts[0][0] = u64::MAX),
        with(&|counts| counts.average = Some(Average::Micro)),
    ];
    for sums in unusable {
        let described = format!("{sums:?}");
        let metrics = pooled(&[
            ("north", report(&[("ACCURACY", 1.0)], 2, Some(good.clone()))),
            ("south", report(&[("ACCURACY", 0.0)], 2, sums)),
        ]);
        assert_eq!(
            (metrics[0].value, metrics[0].made_by),
            (0.5, MadeBy::MeanOfSites),
            "{described}"
        );
    }
    let strange = MetricsReport {
        sums: Some(serde_json::json!([1])),
        ..report(&[("F1_SCORE", 0.25)], 2, None)
    };
    assert_eq!(pooled(&[("north", strange)])[0].made_by, MadeBy::MeanOfSites);
}

#[test]
fn a_metric_without_rows_or_without_a_finite_value_is_left_out() {
    assert_eq!(pooled(&[]), []);
    assert_eq!(pooled(&[("north", report(&[("ROC_AUC", 0.5)], 0, None))]), []);
    assert_eq!(pooled(&[("north", report(&[("ROC_AUC", f64::NAN)], 1, None))]), []);
    let infinite = MetricSums {
        log_loss: Some(LossSum { rows: 1, total: f64::MAX }),
        ..MetricSums::default()
    };
    let metrics = pooled(&[
        ("north", report(&[("LOG_LOSS", 1.0)], 1, Some(infinite.clone()))),
        ("south", report(&[("LOG_LOSS", 3.0)], 1, Some(infinite))),
    ]);
    assert_eq!((metrics[0].value, metrics[0].made_by), (2.0, MadeBy::MeanOfSites));
}

proptest! {
    #[test]
    fn the_order_of_the_reports_changes_no_bit(
        values in proptest::collection::vec((0.0..1.0_f64, 0_u64..100), 4),
        order in Just(vec![0_usize, 1, 2, 3]).prop_shuffle(),
    ) {
        let names = ["north", "east", "South", "west"];
        let reports: Vec<_> = values.iter().zip(names).map(|((value, count), name)| {
            (name, report(&[("ROC_AUC", *value), (name, *value)], *count, None))
        }).collect();
        let shuffled: Vec<_> = order.iter().map(|place| reports[*place].clone()).collect();
        prop_assert_eq!(pooled(&reports), pooled(&shuffled));
    }

    #[test]
    fn pooling_sites_is_counting_all_rows_at_once(
        rows in proptest::collection::vec((0_u8..3, 0_u8..3), 2..40),
        cut in 1_usize..39,
    ) {
        let cut = cut.min(rows.len() - 1);
        let names = ["ACCURACY", "BALANCED_ACCURACY", "PRECISION", "RECALL", "F1_SCORE", "DICE"];
        let names = names.map(|name| (name, 0.0));
        let site = |rows: &[(u8, u8)]| {
            let truth: Vec<f64> = rows.iter().map(|row| f64::from(row.0)).collect();
            let prediction: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
            report(&names, rows.len() as u64, Some(count_rows(&truth, &prediction)))
        };
        let together = pooled(&[("all", site(&rows))]);
        let apart = pooled(&[("north", site(&rows[..cut])), ("south", site(&rows[cut..]))]);
        prop_assert_eq!(together.len(), 6);
        prop_assert_eq!(apart, together);
    }
}
