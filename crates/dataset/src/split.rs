//! The split of a dataset's rows into those that train and those that validate.

use std::collections::BTreeMap;

use crate::permutation::Generator;

/// The two sides of a split, as row indexes in the dataset's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The rows that train.
    pub train: Vec<usize>,
    /// The rows that validate; never any of those that train.
    pub validation: Vec<usize>,
}

/// What keeps a split from being made. All of it is the caller's doing.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum Error {
    /// The part is not a number from 0 to 1.
    #[error("the part of the rows that validate is {0}, which is not within 0 and 1")]
    Ratio(f64),
    /// The list of groups or classes is not as long as the dataset.
    #[error("{what} are given for {given} rows, the dataset has {rows}")]
    Length {
        /// "groups" or "classes".
        what: &'static str,
        /// The length of the list.
        given: usize,
        /// The dataset's rows.
        rows: usize,
    },
}

/// Chooses which of `rows` rows validate: `floor(rows · ratio)` of them, the product taken in 64-bit floats.
///
/// The same arguments give the same split for ever, on every machine. A ratio of 0 leaves all rows in training,
/// a ratio of 1 none.
///
/// With `groups` (one number for each row, the same for all rows of one patient) no group stands on both sides.
/// Whole groups are then drawn one after the other, and one that would exceed `floor(rows · ratio)` rows is
/// passed over: the count becomes the most rows that may validate, and fewer do where no group fills the rest.
///
/// With `classes` (one number for each row) every class gives its part: `floor(n · ratio)` of its `n` rows or one
/// more, the largest remainders first and the smaller class number among equals. A group counts for the class
/// that most of its rows have, the smallest number among equals; with groups the parts are the most that a class
/// may give.
///
/// The draws: each class in ascending order (all rows are one class without `classes`) lists its units, groups in
/// the order of their first row or else rows, and shuffles them with one [`Generator`] that goes on from class to
/// class. Units are taken from the front.
///
/// # Errors
///
/// A ratio outside 0 to 1, or a list that does not have one number for each row.
///
/// # Examples
///
/// ```
/// let split = dataset::split(10, 0.2, [7; 32], None, None)?;
/// assert_eq!((split.train.len(), split.validation.len()), (8, 2));
/// # Ok::<(), dataset::split::Error>(())
/// ```
pub fn split(
    rows: usize,
    ratio: f64,
    seed: [u8; 32],
    groups: Option<&[u32]>,
    classes: Option<&[u32]>,
) -> Result<Split, Error> {
    if !(0.0..=1.0).contains(&ratio) {
        return Err(Error::Ratio(ratio));
    }
    same_length("groups", groups, rows)?;
    same_length("classes", classes, rows)?;
    let strata = strata(units(rows, groups), classes);
    let quotas = quotas(rows, ratio, &strata);
    let mut validates = vec![false; rows];
    let mut generator = Generator::new(seed);
    for (mut units, mut quota) in strata.into_values().zip(quotas) {
        generator.shuffle(&mut units);
        for unit in units {
            if unit.len() <= quota {
                quota -= unit.len();
                unit.into_iter().for_each(|row| validates[row] = true);
            }
        }
    }
    let (validation, train) = (0..rows).partition(|&row| validates[row]);
    Ok(Split { train, validation })
}

fn same_length(what: &'static str, list: Option<&[u32]>, rows: usize) -> Result<(), Error> {
    match list {
        Some(list) if list.len() != rows => Err(Error::Length { what, given: list.len(), rows }),
        _ => Ok(()),
    }
}

/// The rows that must stay together, in the order of their first row.
fn units(rows: usize, groups: Option<&[u32]>) -> Vec<Vec<usize>> {
    let Some(groups) = groups else {
        return (0..rows).map(|row| vec![row]).collect();
    };
    let mut places = BTreeMap::new();
    let mut units: Vec<Vec<usize>> = Vec::new();
    for (row, group) in groups.iter().enumerate() {
        let place = *places.entry(group).or_insert_with(|| {
            units.push(Vec::new());
            units.len() - 1
        });
        units[place].push(row);
    }
    units
}

fn strata(units: Vec<Vec<usize>>, classes: Option<&[u32]>) -> BTreeMap<u32, Vec<Vec<usize>>> {
    let mut strata: BTreeMap<u32, Vec<Vec<usize>>> = BTreeMap::new();
    for unit in units {
        let class = classes.map_or(0, |classes| commonest(&unit, classes));
        strata.entry(class).or_default().push(unit);
    }
    strata
}

/// The class that most of the rows have; the smallest number among equals.
fn commonest(unit: &[usize], classes: &[u32]) -> u32 {
    let mut counts = BTreeMap::new();
    for &row in unit {
        *counts.entry(classes[row]).or_insert(0_usize) += 1;
    }
    let most = counts.values().max().copied();
    counts.into_iter().find(|(_, count)| Some(*count) == most).map_or(0, |(class, _)| class)
}

/// How many rows each stratum gives at most: largest remainders, `floor(rows · ratio)` in all.
fn quotas(rows: usize, ratio: f64, strata: &BTreeMap<u32, Vec<Vec<usize>>>) -> Vec<usize> {
    let exact: Vec<f64> =
        strata.values().map(|units| part(units.iter().map(Vec::len).sum(), ratio)).collect();
    let mut quotas: Vec<usize> = exact.iter().map(|&value| whole(value)).collect();
    let rest = whole(part(rows, ratio)).saturating_sub(quotas.iter().sum());
    let mut order: Vec<usize> = (0..exact.len()).collect();
    order.sort_by(|&a, &b| exact[b].fract().total_cmp(&exact[a].fract()).then(a.cmp(&b)));
    for &stratum in order.iter().take(rest) {
        quotas[stratum] += 1;
    }
    quotas
}

#[expect(clippy::cast_precision_loss, reason = "row counts stay far below 2^53")]
fn part(rows: usize, ratio: f64) -> f64 {
    rows as f64 * ratio
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is a part of a row count: not negative, and a count again"
)]
fn whole(value: f64) -> usize {
    value.floor() as usize
}
