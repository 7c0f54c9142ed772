//! Metrics of numbers: squared and absolute errors, R² and explained variance.

use protocol::metric_sums::ResidualSums;

use super::observations::{Values, check_pair};
use super::{Metric, MetricError, Observations};

/// Sums errors and truth of every output.
pub(super) fn sum(
    truth: &Observations<'_>,
    prediction: &Observations<'_>,
) -> Result<Vec<ResidualSums>, MetricError> {
    let (columns, predicted_columns) = check_pair(truth, prediction)?;
    if columns != predicted_columns {
        return Err(MetricError::Widths { truth: columns, prediction: predicted_columns });
    }
    let (Values::Numbers(truth), Values::Numbers(prediction)) =
        (truth.values(), prediction.values())
    else {
        return Err(MetricError::DifferentKinds);
    };
    let output = |column| {
        let truth: Vec<f64> = truth.iter().skip(column).step_by(columns).copied().collect();
        let prediction = prediction.iter().skip(column).step_by(columns);
        let errors: Vec<f64> = truth.iter().zip(prediction).map(|(t, p)| t - p).collect();
        sum_output(&truth, &errors)
    };
    Ok((0..columns).map(output).collect())
}

/// The value of a metric for one output.
pub(super) fn value(metric: Metric, sums: &ResidualSums) -> Result<f64, MetricError> {
    if sums.rows == 0 {
        return Err(MetricError::NoRows);
    }
    #[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
    let rows = sums.rows as f64;
    match metric {
        Metric::MeanSquareError => Ok(sums.squared_errors / rows),
        Metric::MeanAbsoluteError => Ok(sums.absolute_errors / rows),
        Metric::R2Score if sums.rows < 2 => Err(MetricError::TooFewRows { metric, needed: 2 }),
        Metric::R2Score => Ok(explained(sums.squared_errors, sums.truth_deviations)),
        Metric::ExplainedVariance => Ok(explained(sums.error_deviations, sums.truth_deviations)),
        Metric::Accuracy
        | Metric::BalancedAccuracy
        | Metric::Precision
        | Metric::Recall
        | Metric::F1Score
        | Metric::RocAuc
        | Metric::LogLoss
        | Metric::Dice => Err(MetricError::NotSummed { metric }),
    }
}

/// The explained share; a constant truth is explained wholly or not at all, as scikit-learn has it.
fn explained(unexplained: f64, total: f64) -> f64 {
    if unexplained == 0.0 {
        1.0
    } else if total == 0.0 {
        0.0
    } else {
        1.0 - unexplained / total
    }
}

fn sum_output(truth: &[f64], errors: &[f64]) -> ResidualSums {
    let (error_mean, error_deviations) = spread(errors);
    let (truth_mean, truth_deviations) = spread(truth);
    ResidualSums {
        rows: u64::try_from(truth.len()).expect("a count of rows in memory fits"),
        squared_errors: errors.iter().map(|error| error * error).sum(),
        absolute_errors: errors.iter().map(|error| error.abs()).sum(),
        error_mean,
        error_deviations,
        truth_mean,
        truth_deviations,
    }
}

/// The mean, and the sum of squared deviations from it.
///
/// Values are taken relative to the first, so that a constant column has no deviation at all.
fn spread(values: &[f64]) -> (f64, f64) {
    let first = values[0];
    #[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
    let offset = values.iter().map(|value| value - first).sum::<f64>() / values.len() as f64;
    let deviations = values.iter().map(|value| (value - first - offset).powi(2)).sum();
    (first + offset, deviations)
}
