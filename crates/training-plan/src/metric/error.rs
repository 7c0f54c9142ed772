//! Why a metric has no value.

use super::Metric;

/// Truth and prediction do not fit a metric or each other.
///
/// No message holds a value of the data, so it may be logged anywhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricError {
    /// An array has three dimensions or more.
    #[error("the {side} has {dimensions} dimensions, a metric takes one or two")]
    Dimensions {
        /// Which array.
        side: Side,
        /// How many dimensions it has.
        dimensions: usize,
    },
    /// An array's shape does not fit its number of values.
    #[error("the {side} has {values} values, which its shape does not hold")]
    Shape {
        /// Which array.
        side: Side,
        /// How many values it has.
        values: usize,
    },
    /// There is no row.
    #[error("there is no row to measure")]
    NoRows,
    /// Truth and prediction have different numbers of rows.
    #[error("the truth has {truth} rows, the prediction {prediction}")]
    Lengths {
        /// Rows of the truth.
        truth: usize,
        /// Rows of the prediction.
        prediction: usize,
    },
    /// Truth and prediction, or the known number of classes, have different widths.
    #[error("the truth has {truth} columns, the prediction {prediction}")]
    Widths {
        /// Columns of the truth, or the number of classes.
        truth: usize,
        /// Columns of the prediction.
        prediction: usize,
    },
    /// One side has numbers and the other texts.
    #[error("the labels are of different kinds: numbers on one side, texts on the other")]
    DifferentKinds,
    /// A value is not a number, or infinite.
    #[error("the {side} has a value that is not finite")]
    NotFinite {
        /// Which array.
        side: Side,
    },
    /// Fractions outside 0 to 1 are neither labels nor probabilities.
    #[error("the {side} has values that are neither labels nor probabilities")]
    Continuous {
        /// Which array.
        side: Side,
    },
    /// A label lies outside the known classes.
    #[error("the {side} has a label outside the {classes} classes")]
    UnknownClass {
        /// Which array.
        side: Side,
        /// How many classes there are.
        classes: usize,
    },
    /// The positive class is no class of the data.
    #[error("the positive label is not among the classes")]
    UnknownPositive,
    /// A binary average was asked for and there are more than two classes.
    #[error("a binary average needs two classes, there are {classes}")]
    NotBinary {
        /// How many classes there are.
        classes: usize,
    },
    /// The metric needs probabilities or scores and got labels.
    #[error("{metric} needs one score for each class, the prediction has labels")]
    NeedsScores {
        /// The metric.
        metric: Metric,
    },
    /// The metric needs probabilities and got something outside 0 to 1.
    #[error("{metric} needs probabilities, the prediction has values outside 0 to 1")]
    NeedsProbabilities {
        /// The metric.
        metric: Metric,
    },
    /// The metric needs more rows.
    #[error("{metric} needs at least {needed} rows")]
    TooFewRows {
        /// The metric.
        metric: Metric,
        /// How many rows it needs.
        needed: u64,
    },
    /// The value overflows.
    #[error("{metric} is too large to be a number")]
    Overflow {
        /// The metric.
        metric: Metric,
    },
    /// Two sites' sums are of different kinds or shapes.
    #[error("the sums of two sites do not fit each other")]
    DifferentSums,
    /// The sums hold nothing for the metric.
    #[error("the sums hold nothing for {metric}")]
    NotSummed {
        /// The metric.
        metric: Metric,
    },
}

/// One of the two arrays that a metric compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// What is so.
    Truth,
    /// What was predicted.
    Prediction,
}

impl std::fmt::Display for Side {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Truth => "truth",
            Self::Prediction => "prediction",
        })
    }
}
