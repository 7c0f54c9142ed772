//! The validation group: which rows are kept apart, when they are used, and what is measured.

use std::num::NonZeroU64;

use serde_json::{Map, Value};

use super::Rule;
use super::reader::Reader;
use crate::metric::{Metric, MetricOptions};

/// The arguments of the validation subset and its metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// The share of rows kept apart (`test_ratio`), from 0 to 1.
    pub test_ratio: f64,
    /// Validate after training (`test_on_local_updates`).
    pub on_local_updates: bool,
    /// Validate the received parameters (`test_on_global_updates`).
    pub on_global_updates: bool,
    /// The metric asked for (`test_metric`); none means the plan's default.
    pub metric: Option<Metric>,
    /// What `test_metric_args` says about computing it.
    pub metric_options: MetricOptions,
    /// `test_metric_args` as it was written.
    pub metric_args: Map<String, Value>,
    /// Rows of a validation batch (`test_batch_size`); none means all at once.
    pub batch_size: Option<NonZeroU64>,
    /// Whether the split keeps the classes' shares (`stratify`).
    pub stratify: bool,
    /// Whether each round splits anew (`shuffle_testing_dataset`).
    pub shuffle_testing_dataset: bool,
}

impl Default for Validation {
    fn default() -> Self {
        Self {
            test_ratio: 0.0,
            on_local_updates: false,
            on_global_updates: false,
            metric: None,
            metric_options: MetricOptions::default(),
            metric_args: Map::new(),
            batch_size: None,
            stratify: false,
            shuffle_testing_dataset: false,
        }
    }
}

impl Validation {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let test_ratio = reader
            .number("test_ratio", "a number from 0 to 1", |ratio| (0.0..=1.0).contains(&ratio));
        let batch_size = reader.integer("test_batch_size", "an integer of at least 0", |_| true);
        let metric = read_metric(reader);
        let mut validation = Self {
            test_ratio: test_ratio.unwrap_or(0.0),
            on_local_updates: reader.boolean("test_on_local_updates", false),
            on_global_updates: reader.boolean("test_on_global_updates", false),
            metric,
            batch_size: batch_size.and_then(NonZeroU64::new),
            stratify: reader.boolean("stratify", false),
            shuffle_testing_dataset: reader.boolean("shuffle_testing_dataset", false),
            ..Self::default()
        };
        if let Some(mut members) = reader.member("test_metric_args") {
            validation.metric_options = MetricOptions::read(metric, &mut members);
            validation.metric_args = members.object().clone();
        }
        validation
    }

    /// Whether the round validates at all.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on_local_updates || self.on_global_updates
    }
}

fn read_metric(reader: &mut Reader<'_>) -> Option<Metric> {
    if !reader.has("test_metric") {
        return None;
    }
    let metric = reader.raw("test_metric").and_then(Value::as_str).and_then(|name| {
        let parsed: Result<Metric, _> = name.parse();
        parsed.ok()
    });
    if metric.is_none() {
        reader.refuse("test_metric", Rule::MustBe(METRIC_NAMES));
    }
    metric
}

const METRIC_NAMES: &str = "null or one of ACCURACY, BALANCED_ACCURACY, PRECISION, RECALL, \
     F1_SCORE, ROC_AUC, LOG_LOSS, MEAN_SQUARE_ERROR, MEAN_ABSOLUTE_ERROR, R2_SCORE, \
     EXPLAINED_VARIANCE, DICE";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_for_metrics_names_all_of_them() {
        for metric in Metric::ALL {
            assert!(METRIC_NAMES.contains(metric.name()), "{metric}");
        }
    }
}
