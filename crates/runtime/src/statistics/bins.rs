//! Which edges of a histogram are told, so that no range between told edges holds few patients.

use std::collections::{HashMap, HashSet};

/// A value in a bin: whose it is, and what can be told apart of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// A group whose histogram is told, or all that is withheld together: what is left of all rows without the groups.
    pub(super) unit: u32,
    /// The patient's number.
    pub(super) patient: u32,
}

/// Tells for each inner edge between neighbouring bins whether it is told.
///
/// Between told edges each unit has nobody or enough patients, and all together have enough: whoever subtracts groups
/// from one another, and from all rows, finds no range with few. Only edges are told that are told of all rows, too,
/// and which they are depends on no unit, so that ranges of two answers never overlap by a part.
pub(super) fn told_edges(bins: &[Vec<Entry>], least: u64) -> Vec<bool> {
    let every = vec![true; bins.len().saturating_sub(1)];
    let of_all_rows = narrowed(bins, &every, least, |_| 0);
    narrowed(bins, &of_all_rows, least, |entry| entry.unit)
}

/// Those of the allowed edges between which each unit has nobody or enough.
fn narrowed(
    bins: &[Vec<Entry>],
    allowed: &[bool],
    least: u64,
    unit: impl Fn(&Entry) -> u32,
) -> Vec<bool> {
    let mut told = vec![false; allowed.len()];
    let mut range = Range { patients: HashMap::new(), least: least.max(1) };
    for (place, bin) in bins.iter().enumerate() {
        bin.iter().for_each(|entry| range.add(unit(entry), entry.patient));
        if allowed.get(place) == Some(&true) && range.is_tellable() {
            told[place] = true;
            range.patients.clear();
        }
    }
    // What is left over at the end joins the range before it, and the one before that while it is too little.
    while !range.is_tellable() {
        let Some(last) = told.iter().rposition(|is_told| *is_told) else { break };
        told[last] = false;
        let start = told.iter().rposition(|is_told| *is_told).map_or(0, |before| before + 1);
        let joined = bins[start..=last].iter().flatten();
        joined.for_each(|entry| range.add(unit(entry), entry.patient));
    }
    told
}

/// The patients of each unit whose values lie in a range.
struct Range {
    patients: HashMap<u32, HashSet<u32>>,
    least: u64,
}

impl Range {
    fn add(&mut self, unit: u32, patient: u32) {
        self.patients.entry(unit).or_default().insert(patient);
    }

    /// Whether the range holds somebody, and of no unit too few.
    fn is_tellable(&self) -> bool {
        !self.patients.is_empty()
            && self.patients.values().all(|patients| patients.len() as u64 >= self.least)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bins of so many patients of each unit, every patient with one value.
    fn bins(units: &[&[u64]]) -> Vec<Vec<Entry>> {
        let mut patient = 0;
        (0..units[0].len())
            .map(|bin| {
                let of = units.iter().zip(0_u32..).flat_map(|(sizes, unit)| {
                    (0..sizes[bin]).map(move |_| unit).collect::<Vec<_>>()
                });
                let entries = of.map(|unit| {
                    patient += 1;
                    Entry { unit, patient }
                });
                entries.collect()
            })
            .collect()
    }

    /// The told ranges of some sizes: where each ends, and how much it holds.
    fn ranges(sizes: &[u64], told: &[bool]) -> Vec<(usize, u64)> {
        let (mut ranges, mut sum) = (Vec::new(), 0);
        for (place, size) in sizes.iter().enumerate() {
            sum += size;
            if told.get(place).copied().unwrap_or(true) {
                ranges.push((place, sum));
                sum = 0;
            }
        }
        ranges
    }

    /// Every list of so many sizes below `end`.
    fn worlds(bins: usize, end: u64) -> Vec<Vec<u64>> {
        (0..bins).fold(vec![Vec::new()], |worlds, _| {
            let longer = |world: &Vec<u64>| {
                let world = world.clone();
                (0..end).map(move |size| [world.as_slice(), &[size]].concat())
            };
            worlds.iter().flat_map(longer).collect()
        })
    }

    #[test]
    fn ranges_between_told_edges_hold_enough() {
        let of = |sizes: &[u64]| told_edges(&bins(&[sizes]), 10);
        assert_eq!(of(&[3, 7, 12, 4, 0, 8, 2]), [false, true, true, false, false, false]);
        assert_eq!(of(&[3, 4, 2]), [false, false]);
        for sizes in worlds(5, 5) {
            let ranges = ranges(&sizes, &told_edges(&bins(&[&sizes]), 4));
            let is_enough = ranges.iter().all(|(_, sum)| *sum >= 4);
            assert!(ranges.len() == 1 || is_enough, "{sizes:?}: {ranges:?}");
        }
    }

    #[test]
    fn a_patient_with_values_in_two_bins_is_one() {
        let entry = |patient| Entry { unit: 0, patient };
        let twice: Vec<Vec<Entry>> = (0..4).map(|_| (0..5).map(entry).collect()).collect();
        assert_eq!(told_edges(&twice, 10), [false; 3]);
        assert_eq!(told_edges(&twice, 5), [true; 3]);
    }

    #[test]
    fn what_is_told_of_a_histogram_determines_no_small_bin() {
        let mut alike: HashMap<_, Vec<Vec<u64>>> = HashMap::new();
        for world in worlds(5, 8) {
            let told = ranges(&world, &told_edges(&bins(&[&world]), 3));
            alike.entry(told).or_default().push(world);
        }
        for (told, worlds) in alike {
            // A column with so few values is withheld as a whole, and worlds with larger bins are missing.
            let total: u64 = told.iter().map(|(_, sum)| sum).sum();
            if !(3..8).contains(&total) {
                continue;
            }
            for bin in 0..5 {
                let size = worlds[0][bin];
                let is_determined = worlds.iter().all(|world| world[bin] == size);
                assert!(
                    !is_determined || size == 0 || size >= 3,
                    "bin {bin} must be {size}, told {told:?}: {worlds:?}"
                );
            }
        }
    }

    #[test]
    fn all_rows_less_a_group_have_no_range_with_few() {
        let (one, other) = (&[12, 11, 30][..], &[0, 1, 20][..]);
        let of_all = told_edges(&bins(&[&[12, 12, 50]]), 10);
        assert_eq!(of_all, [true, true]);
        assert_eq!(
            told_edges(&bins(&[one, other]), 10),
            [true, false],
            "one is left of 12 less 11"
        );
        let worlds = worlds(3, 6);
        for (one, other) in
            worlds.iter().flat_map(|one| worlds.iter().map(move |other| (one, other)))
        {
            let all: Vec<u64> = one.iter().zip(other).map(|(one, other)| one + other).collect();
            let of_all = told_edges(&bins(&[&all]), 3);
            let of_groups = told_edges(&bins(&[one, other]), 3);
            assert!(of_groups.iter().zip(&of_all).all(|(group, all)| *all || !group));
            for sizes in [one, other] {
                let ranges = ranges(sizes, &of_groups);
                let is_enough = ranges.iter().all(|(_, sum)| *sum == 0 || *sum >= 3);
                assert!(ranges.len() == 1 || is_enough, "{one:?} {other:?}: {ranges:?}");
            }
        }
    }
}
