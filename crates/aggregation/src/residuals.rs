//! Metrics of numbers, over the sums of several sites.
//!
//! Several outputs give the plain mean of their values.

use protocol::{MetricSums, metric_sums::ResidualSums};

use crate::pooled::count;

pub(crate) fn mean_square_error(sites: &[&MetricSums]) -> Option<f64> {
    over_outputs(sites, |sums| Some(sums.squared_errors / count(sums.rows)))
}

pub(crate) fn mean_absolute_error(sites: &[&MetricSums]) -> Option<f64> {
    over_outputs(sites, |sums| Some(sums.absolute_errors / count(sums.rows)))
}

/// Has no value for fewer than two rows.
pub(crate) fn r2_score(sites: &[&MetricSums]) -> Option<f64> {
    over_outputs(sites, |sums| {
        (sums.rows >= 2).then(|| explained(sums.squared_errors, sums.truth_deviations))
    })
}

pub(crate) fn explained_variance(sites: &[&MetricSums]) -> Option<f64> {
    over_outputs(sites, |sums| Some(explained(sums.error_deviations, sums.truth_deviations)))
}

/// Returns the explained share; a constant truth is explained wholly or not at all, as scikit-learn
/// has it.
fn explained(unexplained: f64, total: f64) -> f64 {
    if unexplained == 0.0 {
        1.0
    } else if total == 0.0 {
        0.0
    } else {
        1.0 - unexplained / total
    }
}

fn over_outputs(
    sites: &[&MetricSums],
    value: impl Fn(&ResidualSums) -> Option<f64>,
) -> Option<f64> {
    let outputs = sites.first()?.residuals.len();
    if outputs == 0 || sites.iter().any(|sums| sums.residuals.len() != outputs) {
        return None;
    }
    let mut sum = 0.0;
    for output in 0..outputs {
        let merged = sites.iter().try_fold(ResidualSums::default(), |merged, sums| {
            merge(&merged, &sums.residuals[output])
        })?;
        sum += value(&merged).filter(|_| merged.rows > 0)?;
    }
    Some(sum / count(outputs as u64))
}

/// Merges means and squared deviations by the number of rows (Chan, Golub and LeVeque, 1979).
fn merge(left: &ResidualSums, right: &ResidualSums) -> Option<ResidualSums> {
    let rows = left.rows.checked_add(right.rows)?;
    let share = |part: u64| if rows == 0 { 0.0 } else { count(part) / count(rows) };
    let spread = count(left.rows) * share(right.rows);
    let error_difference = right.error_mean - left.error_mean;
    let truth_difference = right.truth_mean - left.truth_mean;
    Some(ResidualSums {
        rows,
        squared_errors: left.squared_errors + right.squared_errors,
        absolute_errors: left.absolute_errors + right.absolute_errors,
        error_mean: left.error_mean + error_difference * share(right.rows),
        error_deviations: left.error_deviations
            + right.error_deviations
            + error_difference * error_difference * spread,
        truth_mean: left.truth_mean + truth_difference * share(right.rows),
        truth_deviations: left.truth_deviations
            + right.truth_deviations
            + truth_difference * truth_difference * spread,
    })
}
