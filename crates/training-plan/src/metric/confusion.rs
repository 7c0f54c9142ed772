//! Metrics that confusion counts decide: accuracy, precision, recall, F1 and their kin.

use protocol::metric_sums::{Average, ConfusionCounts, Label};

use super::classes::Classified;
use super::pool::check;
use super::{Metric, MetricError, MetricOptions, ZeroDivision};

/// Counts the rows of each pair of true and predicted class.
pub(super) fn count(
    rows: &Classified,
    options: &MetricOptions,
) -> Result<ConfusionCounts, MetricError> {
    let predicted = rows.predicted.as_ref().map_err(Clone::clone)?;
    let mut counts = vec![vec![0; rows.classes.len()]; rows.classes.len()];
    for (truth, predicted) in rows.truth.iter().zip(predicted) {
        counts[*truth][*predicted] += 1;
    }
    Ok(ConfusionCounts {
        classes: rows.classes.clone(),
        counts,
        average: options.average,
        zero_division: options.zero_division.map(|value| match value {
            ZeroDivision::Zero => 0,
            ZeroDivision::One => 1,
        }),
        positive: options.positive.clone(),
    })
}

/// The value of a metric from confusion counts.
pub(super) fn value(metric: Metric, confusion: &ConfusionCounts) -> Result<f64, MetricError> {
    check(confusion)?;
    let per_class: Vec<ClassCounts> =
        (0..confusion.classes.len()).map(|class| ClassCounts::of(confusion, class)).collect();
    if per_class.iter().all(|class| class.support() == 0) {
        return Err(MetricError::NoRows);
    }
    match metric {
        Metric::Accuracy => Ok(accuracy(&per_class)),
        Metric::BalancedAccuracy => Ok(balanced_accuracy(&per_class)),
        Metric::Precision | Metric::Recall | Metric::F1Score | Metric::Dice => {
            averaged(Ratio::new(metric, confusion), confusion, &per_class)
        }
        Metric::RocAuc
        | Metric::LogLoss
        | Metric::MeanSquareError
        | Metric::MeanAbsoluteError
        | Metric::R2Score
        | Metric::ExplainedVariance => Err(MetricError::NotSummed { metric }),
    }
}

/// How the rows of one class against all others were judged.
#[derive(Debug, Clone, Copy, Default)]
struct ClassCounts {
    hits: u64,
    missed: u64,
    false_alarms: u64,
}

impl ClassCounts {
    fn of(confusion: &ConfusionCounts, class: usize) -> Self {
        let hits = confusion.counts[class][class];
        let support: u64 = confusion.counts[class].iter().sum();
        let said: u64 = confusion.counts.iter().map(|row| row[class]).sum();
        Self { hits, missed: support - hits, false_alarms: said - hits }
    }

    /// How many rows are of the class.
    fn support(self) -> u64 {
        self.hits + self.missed
    }

    /// Whether any row is of the class or was said to be.
    fn occurs(self) -> bool {
        self.support() + self.false_alarms > 0
    }
}

/// One of the fractions of hits, with the value it has where its denominator is zero.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    metric: Metric,
    empty: f64,
}

impl Ratio {
    fn new(metric: Metric, confusion: &ConfusionCounts) -> Self {
        // No lesion and none found is a perfect overlap; scikit-learn's F1 calls it 0.
        let usual = u8::from(metric == Metric::Dice);
        Self { metric, empty: f64::from(confusion.zero_division.unwrap_or(usual)) }
    }

    fn of(self, counts: ClassCounts) -> f64 {
        let ClassCounts { hits, missed, false_alarms } = counts;
        let (part, whole) = match self.metric {
            Metric::Precision => (hits, hits + false_alarms),
            Metric::Recall => (hits, hits + missed),
            _f1_or_dice => (2 * hits, 2 * hits + missed + false_alarms),
        };
        if whole == 0 { self.empty } else { divide(part, whole) }
    }
}

fn averaged(
    ratio: Ratio,
    confusion: &ConfusionCounts,
    per_class: &[ClassCounts],
) -> Result<f64, MetricError> {
    let is_binary = confusion.classes.len() <= 2;
    let usual = match (is_binary, ratio.metric) {
        (true, _) => Average::Binary,
        (false, Metric::Dice) => Average::Macro,
        (false, _) => Average::Weighted,
    };
    match confusion.average.unwrap_or(usual) {
        Average::Binary if !is_binary => {
            Err(MetricError::NotBinary { classes: confusion.classes.len() })
        }
        Average::Binary => Ok(ratio.of(per_class[positive(confusion)?])),
        Average::Micro => Ok(ratio.of(per_class.iter().fold(ClassCounts::default(), add))),
        Average::Macro => {
            let values: Vec<f64> =
                per_class.iter().filter(|class| class.occurs()).map(|c| ratio.of(*c)).collect();
            Ok(mean(&values))
        }
        Average::Weighted => {
            let total: u64 = per_class.iter().map(|class| class.support()).sum();
            Ok(per_class.iter().map(|c| ratio.of(*c) * divide(c.support(), total)).sum())
        }
        Average::Samples => Ok(accuracy(per_class)),
    }
}

/// The index of the positive class: the named one, else the larger.
fn positive(confusion: &ConfusionCounts) -> Result<usize, MetricError> {
    let last = confusion.classes.len() - 1;
    let named = |label: &Label| {
        let found = confusion.classes.iter().position(|class| class == label);
        found.ok_or(MetricError::UnknownPositive)
    };
    confusion.positive.as_ref().map_or(Ok(last), named)
}

fn add(sum: ClassCounts, counts: &ClassCounts) -> ClassCounts {
    ClassCounts {
        hits: sum.hits + counts.hits,
        missed: sum.missed + counts.missed,
        false_alarms: sum.false_alarms + counts.false_alarms,
    }
}

fn accuracy(per_class: &[ClassCounts]) -> f64 {
    let hits = per_class.iter().map(|class| class.hits).sum();
    divide(hits, per_class.iter().map(|class| class.support()).sum())
}

fn balanced_accuracy(per_class: &[ClassCounts]) -> f64 {
    let present = per_class.iter().filter(|class| class.support() > 0);
    let recalls: Vec<f64> = present.map(|class| divide(class.hits, class.support())).collect();
    mean(&recalls)
}

#[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
fn divide(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[expect(clippy::cast_precision_loss, reason = "no problem has 2^53 classes")]
pub(super) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}
