//! What one site's validation contributes to the metrics of all sites together.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// Sums over validation rows, from which pooled metrics are exactly those of all rows together.
///
/// It travels as [`MetricsReport::sums`](crate::MetricsReport). Adding two of them is: counts and
/// totals added, means and squared deviations merged by the number of rows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricSums {
    /// For accuracy, balanced accuracy, precision, recall, F1 and Dice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confusion: Option<ConfusionCounts>,
    /// For log loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_loss: Option<LossSum>,
    /// For the regression metrics: one for each output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub residuals: Vec<ResidualSums>,
}

/// How often rows of one class were said to be of another.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfusionCounts {
    /// The classes, in ascending order, each once.
    pub classes: Vec<Label>,
    /// One list for each true class, with one count for each predicted class.
    pub counts: Vec<Vec<u64>>,
    /// How the classes' values become one, where the researcher said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<Average>,
    /// The value, 0 or 1, of a fraction whose denominator is zero, where the researcher said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zero_division: Option<u8>,
    /// The positive class, where it is not the larger of two.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Label>,
}

/// The sum of the rows' losses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossSum {
    /// The number of rows.
    pub rows: u64,
    /// The sum of their losses.
    pub total: f64,
}

/// What the errors (truth less prediction) and the truth of one output sum to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResidualSums {
    /// The number of rows.
    pub rows: u64,
    /// The sum of the squared errors.
    pub squared_errors: f64,
    /// The sum of the absolute errors.
    pub absolute_errors: f64,
    /// The mean of the errors.
    pub error_mean: f64,
    /// The sum of the squared deviations of the errors from their mean.
    pub error_deviations: f64,
    /// The mean of the truth.
    pub truth_mean: f64,
    /// The sum of the squared deviations of the truth from its mean.
    pub truth_deviations: f64,
}

/// How the classes' values become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Average {
    /// Only the positive class's value.
    Binary,
    /// The value over all classes' counts together.
    Micro,
    /// The plain mean of the classes.
    Macro,
    /// The mean of the classes, weighted by their number of true rows.
    Weighted,
    /// The mean of the rows; with one label a row this is the accuracy.
    Samples,
}

/// A class label; numbers come before texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

impl Label {
    /// Orders labels: numbers by value, then texts by their bytes.
    #[must_use]
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Number(left), Self::Number(right)) => left.total_cmp(right),
            (Self::Text(left), Self::Text(right)) => left.cmp(right),
            (Self::Number(_), Self::Text(_)) => Ordering::Less,
            (Self::Text(_), Self::Number(_)) => Ordering::Greater,
        }
    }
}
