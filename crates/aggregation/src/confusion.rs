//! Metrics that confusion counts decide, over the counts of several sites.
//!
//! The formulas are scikit-learn's with its defaults: two classes take the positive one's value,
//! more than two the mean weighted by true rows (Dice: the plain mean), and an empty fraction is 0
//! (Dice: 1, for nothing found where nothing was is a perfect overlap).

use std::cmp::Ordering;

use protocol::metric_sums::{Average, ConfusionCounts, Label};

use crate::pooled::count;

/// Holds the merged counts of all sites over the union of their classes.
pub(crate) struct Confusion {
    counts: ConfusionCounts,
    classes: Vec<Class>,
}

/// Counts how the rows of one class were judged against all others.
#[derive(Clone, Copy, Default)]
struct Class {
    hits: u64,
    support: u64,
    predicted: u64,
}

/// Computes a fraction of one class's counts as (part, whole).
type Fraction = fn(Class) -> (u64, u64);

impl Confusion {
    /// Adds counts; nothing if they contradict each other or are not what a site can have counted.
    pub(crate) fn merged(sites: &[&ConfusionCounts]) -> Option<Self> {
        let first = sites.first()?;
        let agrees = |site: &&&ConfusionCounts| {
            site.average == first.average
                && site.zero_division == first.zero_division
                && site.positive == first.positive
        };
        if !sites.iter().all(|site| agrees(&site) && is_sound(site)) {
            return None;
        }
        let mut classes: Vec<Label> =
            sites.iter().flat_map(|site| &site.classes).cloned().collect();
        classes.sort_by(Label::order);
        classes.dedup_by(|left, right| left.order(right) == Ordering::Equal);
        if classes.len() > MOST_CLASSES {
            return None;
        }
        let mut counts = vec![vec![0_u64; classes.len()]; classes.len()];
        for site in sites {
            add(&mut counts, site, &classes)?;
        }
        let total = counts.iter().flatten().try_fold(0_u64, |sum, part| sum.checked_add(*part))?;
        let per_class = (0..classes.len()).map(|class| Class::of(&counts, class)).collect();
        let counts = ConfusionCounts { classes, counts, ..(*first).clone() };
        (total > 0).then_some(Self { counts, classes: per_class })
    }

    pub(crate) fn accuracy(&self) -> Option<f64> {
        let hits = self.classes.iter().map(|class| class.hits).sum();
        Some(count(hits) / count(self.support()))
    }

    /// Averages the recall of the classes that have rows.
    pub(crate) fn balanced_accuracy(&self) -> Option<f64> {
        let present = self.classes.iter().filter(|class| class.support > 0);
        mean(present.map(|class| count(class.hits) / count(class.support)))
    }

    pub(crate) fn precision(&self) -> Option<f64> {
        self.averaged(|class| (class.hits, class.predicted), 0, Average::Weighted)
    }

    pub(crate) fn recall(&self) -> Option<f64> {
        self.averaged(|class| (class.hits, class.support), 0, Average::Weighted)
    }

    pub(crate) fn f1_score(&self) -> Option<f64> {
        self.averaged(overlap, 0, Average::Weighted)
    }

    pub(crate) fn dice(&self) -> Option<f64> {
        self.averaged(overlap, 1, Average::Macro)
    }

    /// Makes one value out of the classes' fractions.
    fn averaged(&self, fraction: Fraction, empty: u8, of_many: Average) -> Option<f64> {
        let empty = f64::from(self.counts.zero_division.unwrap_or(empty));
        let value = |class: Class| match fraction(class) {
            (_, 0) => empty,
            (part, whole) => count(part) / count(whole),
        };
        let is_binary = self.classes.len() <= 2;
        let usual = if is_binary { Average::Binary } else { of_many };
        match self.counts.average.unwrap_or(usual) {
            Average::Binary if is_binary => Some(value(self.classes[self.positive()?])),
            Average::Binary => None,
            Average::Micro => Some(value(self.classes.iter().fold(Class::default(), Class::plus))),
            Average::Macro => {
                let occurring = self.classes.iter().filter(|class| class.occurs());
                mean(occurring.map(|class| value(*class)))
            }
            Average::Weighted => {
                let total = count(self.support());
                let part = |class: &Class| value(*class) * (count(class.support) / total);
                Some(self.classes.iter().map(part).sum())
            }
            Average::Samples => self.accuracy(),
        }
    }

    /// Returns the place of the positive class: the named one, else the larger.
    fn positive(&self) -> Option<usize> {
        match &self.counts.positive {
            Some(label) => self.counts.classes.iter().position(|class| class == label),
            None => self.classes.len().checked_sub(1),
        }
    }

    fn support(&self) -> u64 {
        self.classes.iter().map(|class| class.support).sum()
    }
}

impl Class {
    fn of(counts: &[Vec<u64>], class: usize) -> Self {
        Self {
            hits: counts[class][class],
            support: counts[class].iter().sum(),
            predicted: counts.iter().map(|row| row[class]).sum(),
        }
    }

    fn plus(self, other: &Self) -> Self {
        Self {
            hits: self.hits + other.hits,
            support: self.support + other.support,
            predicted: self.predicted + other.predicted,
        }
    }

    fn occurs(&self) -> bool {
        self.support + self.predicted > 0
    }
}

fn overlap(class: Class) -> (u64, u64) {
    (2 * class.hits, class.support + class.predicted)
}

/// Checks counts that come from elsewhere: square, over ascending classes, and so few that no sum
/// of them can overflow.
fn is_sound(site: &ConfusionCounts) -> bool {
    let width = site.classes.len();
    let is_ascending = site.classes.windows(2).all(|pair| pair[0].order(&pair[1]).is_lt());
    let is_square = site.counts.len() == width && site.counts.iter().all(|row| row.len() == width);
    is_ascending && is_square && site.counts.iter().flatten().all(|count| *count <= MOST_ROWS)
}

fn add(sum: &mut [Vec<u64>], site: &ConfusionCounts, classes: &[Label]) -> Option<()> {
    let place = |label: &Label| classes.binary_search_by(|class| class.order(label)).ok();
    let places: Vec<usize> = site.classes.iter().map(place).collect::<Option<_>>()?;
    for (row, truth) in site.counts.iter().zip(&places) {
        for (count, predicted) in row.iter().zip(&places) {
            let cell = &mut sum[*truth][*predicted];
            *cell = cell.checked_add(*count).filter(|count| *count <= MOST_ROWS)?;
        }
    }
    Some(())
}

#[expect(clippy::cast_precision_loss, reason = "there are at most MOST_CLASSES classes")]
fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let values: Vec<f64> = values.collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// More rows than any dataset has, and so few that doubled sums over all cells fit in 64 bits.
const MOST_ROWS: u64 = 1 << 40;

/// More classes than any plan declares; the merged table has its square of cells.
const MOST_CLASSES: usize = 1 << 11;
