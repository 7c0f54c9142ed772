//! The area under the receiver operating characteristic.

use protocol::metric_sums::Average;

use super::classes::{Classified, Scores};
use super::confusion::mean;
use super::{Metric, MetricError, MetricOptions};

/// The area, or none where the rows have one class only.
///
/// With two classes the area belongs to the larger label. With more it is the mean of each class
/// against the rest, plain by default, `weighted` by the classes' rows on demand.
pub(super) fn roc_auc(
    rows: &Classified,
    options: &MetricOptions,
) -> Result<Option<f64>, MetricError> {
    let scores = rows.scores.as_ref().ok_or(NEEDS_SCORES)?;
    let mut supports = vec![0_u32; rows.classes.len()];
    for class in &rows.truth {
        supports[*class] += 1;
    }
    if rows.classes.len() <= 2 {
        return Ok(area(&column(scores, scores.columns - 1), &rows.truth, rows.classes.len() - 1));
    }
    if scores.columns != rows.classes.len() {
        return Err(NEEDS_SCORES);
    }
    let areas: Option<Vec<f64>> =
        (0..scores.columns).map(|class| area(&column(scores, class), &rows.truth, class)).collect();
    Ok(areas.map(|areas| match options.average {
        Some(Average::Weighted) => weighted(&areas, &supports),
        Some(Average::Binary | Average::Micro | Average::Macro | Average::Samples) | None => {
            mean(&areas)
        }
    }))
}

fn column(scores: &Scores, column: usize) -> Vec<f64> {
    scores.values.iter().skip(column).step_by(scores.columns).copied().collect()
}

fn weighted(areas: &[f64], supports: &[u32]) -> f64 {
    let total: f64 = supports.iter().copied().map(f64::from).sum();
    areas.iter().zip(supports).map(|(area, rows)| area * f64::from(*rows)).sum::<f64>() / total
}

/// The share of pairs of a positive and another row that are in the right order; ties count half.
fn area(scores: &[f64], truth: &[usize], positive: usize) -> Option<f64> {
    let mut rows: Vec<(f64, bool)> =
        scores.iter().zip(truth).map(|(score, class)| (*score, *class == positive)).collect();
    rows.sort_by(|left, right| left.0.total_cmp(&right.0));
    let (mut below, mut twice_won, mut positives) = (0_u128, 0_u128, 0_u128);
    for tied in rows.chunk_by(|left, right| left.0 == right.0) {
        let ours = tied.iter().map(|(_, is_positive)| u128::from(*is_positive)).sum::<u128>();
        let others = tied.iter().map(|(_, is_positive)| u128::from(!is_positive)).sum::<u128>();
        twice_won += ours * (2 * below + others);
        below += others;
        positives += ours;
    }
    let pairs = positives * below;
    #[expect(clippy::cast_precision_loss, reason = "a ratio keeps 53 bits, more than is asked")]
    (pairs > 0).then(|| twice_won as f64 / (2 * pairs) as f64)
}

const NEEDS_SCORES: MetricError = MetricError::NeedsScores { metric: Metric::RocAuc };
