//! The metrics' names and what is known about each without any data.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A metric of a validation.
///
/// Values agree with scikit-learn's function of the same name.
///
/// # Examples
///
/// ```
/// use training_plan::metric::Metric;
///
/// assert_eq!("roc_auc".parse::<Metric>()?, Metric::RocAuc);
/// assert_eq!(Metric::RocAuc.name(), "ROC_AUC");
/// # Ok::<(), training_plan::metric::UnknownMetric>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Metric {
    /// The share of rows with the right label.
    Accuracy,
    /// The mean of the classes' recalls.
    BalancedAccuracy,
    /// Of the rows said to be of a class, the share that are.
    Precision,
    /// Of the rows that are of a class, the share said to be.
    Recall,
    /// The harmonic mean of precision and recall.
    F1Score,
    /// The area under the receiver operating characteristic.
    RocAuc,
    /// The mean negative logarithm of the true class's probability.
    LogLoss,
    /// The mean of the squared errors.
    MeanSquareError,
    /// The mean of the absolute errors.
    MeanAbsoluteError,
    /// The coefficient of determination.
    R2Score,
    /// The share of the truth's variance that the prediction explains.
    ExplainedVariance,
    /// Twice the overlap over the sum of the sizes of truth and prediction.
    Dice,
}

/// How the sites' values of a metric become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Sums of the sites give exactly the value of all rows together.
    Exact,
    /// Only a mean of the sites' values exists, and it is labelled so.
    MeanOfSites,
}

/// What kind of prediction a metric judges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricTask {
    /// Classes.
    Classification,
    /// Numbers.
    Regression,
}

impl Metric {
    /// Every metric, in the order of the reference.
    pub const ALL: [Self; 12] = [
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::Precision,
        Self::Recall,
        Self::F1Score,
        Self::RocAuc,
        Self::LogLoss,
        Self::MeanSquareError,
        Self::MeanAbsoluteError,
        Self::R2Score,
        Self::ExplainedVariance,
        Self::Dice,
    ];

    /// The name, in capitals.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Accuracy => "ACCURACY",
            Self::BalancedAccuracy => "BALANCED_ACCURACY",
            Self::Precision => "PRECISION",
            Self::Recall => "RECALL",
            Self::F1Score => "F1_SCORE",
            Self::RocAuc => "ROC_AUC",
            Self::LogLoss => "LOG_LOSS",
            Self::MeanSquareError => "MEAN_SQUARE_ERROR",
            Self::MeanAbsoluteError => "MEAN_ABSOLUTE_ERROR",
            Self::R2Score => "R2_SCORE",
            Self::ExplainedVariance => "EXPLAINED_VARIANCE",
            Self::Dice => "DICE",
        }
    }

    /// How the sites' values become one.
    #[must_use]
    pub fn pooling(self) -> Pooling {
        match self {
            Self::RocAuc => Pooling::MeanOfSites,
            Self::Accuracy
            | Self::BalancedAccuracy
            | Self::Precision
            | Self::Recall
            | Self::F1Score
            | Self::LogLoss
            | Self::MeanSquareError
            | Self::MeanAbsoluteError
            | Self::R2Score
            | Self::ExplainedVariance
            | Self::Dice => Pooling::Exact,
        }
    }

    /// What the metric judges.
    #[must_use]
    pub fn task(self) -> MetricTask {
        match self {
            Self::MeanSquareError
            | Self::MeanAbsoluteError
            | Self::R2Score
            | Self::ExplainedVariance => MetricTask::Regression,
            Self::Accuracy
            | Self::BalancedAccuracy
            | Self::Precision
            | Self::Recall
            | Self::F1Score
            | Self::RocAuc
            | Self::LogLoss
            | Self::Dice => MetricTask::Classification,
        }
    }

    /// Whether a larger value is a better one.
    #[must_use]
    pub fn is_larger_better(self) -> bool {
        !matches!(self, Self::LogLoss | Self::MeanSquareError | Self::MeanAbsoluteError)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A text names no metric.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a metric")]
pub struct UnknownMetric(String);

impl FromStr for Metric {
    type Err = UnknownMetric;

    fn from_str(text: &str) -> Result<Self, UnknownMetric> {
        Self::ALL
            .into_iter()
            .find(|metric| metric.name().eq_ignore_ascii_case(text))
            .ok_or_else(|| UnknownMetric(text.chars().take(80).collect()))
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Metric {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}
