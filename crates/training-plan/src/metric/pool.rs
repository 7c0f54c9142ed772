//! Pooling: the sums of several sites become those of all rows together.

use protocol::MetricSums;
use protocol::metric_sums::{ConfusionCounts, Label, LossSum, ResidualSums};

use super::MetricError;

/// Adds the sums of several sites, in the order given.
///
/// Log loss is pooled where every site has probabilities, and left out otherwise.
///
/// # Errors
///
/// Returns an error where the sites' sums are of different kinds, for instance for different
/// numbers of outputs, or where their counts do not fit their classes.
///
/// # Examples
///
/// ```
/// use training_plan::metric::{Metric, MetricOptions, Observations, pool, summarise, value};
///
/// let options = MetricOptions::default();
/// let site = |truth: &[f64], prediction: &[f64]| {
///     summarise(Observations::numbers(truth), Observations::numbers(prediction), &options)
/// };
/// let north = site(&[0.0, 1.0, 1.0], &[0.0, 1.0, 1.0])?;
/// let south = site(&[0.0], &[1.0])?;
/// assert_eq!(value(Metric::Accuracy, &pool(&[north, south])?)?, 0.75);
/// # Ok::<(), training_plan::metric::MetricError>(())
/// ```
pub fn pool(sites: &[MetricSums]) -> Result<MetricSums, MetricError> {
    let Some((first, rest)) = sites.split_first() else { return Err(MetricError::NoRows) };
    rest.iter().try_fold(first.clone(), |sum, site| add(&sum, site))
}

fn add(sum: &MetricSums, site: &MetricSums) -> Result<MetricSums, MetricError> {
    if sum.residuals.len() != site.residuals.len() {
        return Err(MetricError::DifferentSums);
    }
    let residuals = sum.residuals.iter().zip(&site.residuals);
    Ok(MetricSums {
        confusion: match (&sum.confusion, &site.confusion) {
            (Some(sum), Some(site)) => Some(add_confusion(sum, site)?),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(MetricError::DifferentSums),
        },
        log_loss: sum.log_loss.zip(site.log_loss).map(|(sum, site)| LossSum {
            rows: sum.rows.saturating_add(site.rows),
            total: sum.total + site.total,
        }),
        residuals: residuals.map(|(sum, site)| add_residuals(sum, site)).collect(),
    })
}

/// Adds counts over the union of both sites' classes.
fn add_confusion(
    sum: &ConfusionCounts,
    site: &ConfusionCounts,
) -> Result<ConfusionCounts, MetricError> {
    check(sum)?;
    check(site)?;
    let mut classes: Vec<Label> = sum.classes.iter().chain(&site.classes).cloned().collect();
    classes.sort_by(Label::order);
    classes.dedup();
    let mut counts = vec![vec![0_u64; classes.len()]; classes.len()];
    for part in [sum, site] {
        let places: Vec<usize> = part
            .classes
            .iter()
            .filter_map(|label| classes.binary_search_by(|class| class.order(label)).ok())
            .collect();
        for (row, truth) in part.counts.iter().zip(&places) {
            for (count, predicted) in row.iter().zip(&places) {
                counts[*truth][*predicted] += count;
            }
        }
    }
    let pooled = ConfusionCounts { classes, counts, ..sum.clone() };
    check(&pooled)?;
    Ok(pooled)
}

/// Checks counts that may come from elsewhere: square, over ascending classes, and few enough that
/// no sum of them overflows.
pub(super) fn check(confusion: &ConfusionCounts) -> Result<(), MetricError> {
    let width = confusion.classes.len();
    let ascending = confusion.classes.windows(2).all(|pair| pair[0].order(&pair[1]).is_lt());
    let is_square =
        confusion.counts.len() == width && confusion.counts.iter().all(|row| row.len() == width);
    let total = confusion.counts.iter().flatten().try_fold(0_u64, |sum, c| sum.checked_add(*c));
    let is_countable = total.is_some_and(|total| total <= MOST_ROWS);
    if ascending && is_square && is_countable { Ok(()) } else { Err(MetricError::DifferentSums) }
}

/// Far above any dataset; up to here every count is a float.
const MOST_ROWS: u64 = 1 << 53;

/// Merges means and squared deviations by the number of rows (Chan, Golub and LeVeque, 1979).
fn add_residuals(sum: &ResidualSums, site: &ResidualSums) -> ResidualSums {
    let rows = (sum.rows, site.rows);
    let (error_mean, error_deviations) = merge(
        rows,
        (sum.error_mean, sum.error_deviations),
        (site.error_mean, site.error_deviations),
    );
    let (truth_mean, truth_deviations) = merge(
        rows,
        (sum.truth_mean, sum.truth_deviations),
        (site.truth_mean, site.truth_deviations),
    );
    ResidualSums {
        rows: sum.rows.saturating_add(site.rows),
        squared_errors: sum.squared_errors + site.squared_errors,
        absolute_errors: sum.absolute_errors + site.absolute_errors,
        error_mean,
        error_deviations,
        truth_mean,
        truth_deviations,
    }
}

fn merge(rows: (u64, u64), left: (f64, f64), right: (f64, f64)) -> (f64, f64) {
    match rows {
        (_, 0) => return left,
        (0, _) => return right,
        _ => {}
    }
    #[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
    let (ours, theirs) = (rows.0 as f64, rows.1 as f64);
    let difference = right.0 - left.0;
    let mean = left.0 + difference * (theirs / (ours + theirs));
    (mean, left.1 + right.1 + difference * difference * (ours * theirs / (ours + theirs)))
}
