//! Log loss.

use protocol::metric_sums::LossSum;

use super::classes::Classified;
use super::{Metric, MetricError};

/// Sums the negative logarithm of the probability that each row's true class was given.
///
/// Like scikit-learn's, probabilities are kept one machine epsilon away from 0 and 1, and rows are
/// not rescaled to a sum of 1.
pub(super) fn sum(rows: &Classified) -> Result<LossSum, MetricError> {
    let needs_scores = MetricError::NeedsScores { metric: Metric::LogLoss };
    let Some(scores) = &rows.scores else { return Err(needs_scores) };
    if rows.classes.len() > 2 && scores.columns != rows.classes.len() {
        return Err(needs_scores);
    }
    if scores.values.iter().any(|score| !(0.0..=1.0).contains(score)) {
        return Err(MetricError::NeedsProbabilities { metric: Metric::LogLoss });
    }
    let given = scores.values.chunks_exact(scores.columns).zip(&rows.truth);
    let total = given.map(|(row, class)| -probability(row, *class).ln()).sum();
    let count = u64::try_from(rows.truth.len()).expect("a count of rows in memory fits");
    Ok(LossSum { rows: count, total })
}

fn probability(row: &[f64], class: usize) -> f64 {
    let given = match (row, class) {
        ([positive], 0) => 1.0 - positive,
        ([positive], _) => *positive,
        (columns, class) => columns[class],
    };
    given.clamp(f64::EPSILON, 1.0 - f64::EPSILON)
}
