//! Which cells of a partition are withheld, so that what is told determines no small count.
//!
//! The rows of a dataset are divided into cells, by groups, and perhaps a rest that is in no group. How many there are
//! in all is taken as known: it is shown to whoever searches, and another query may ask for it. So a small cell that is
//! withheld alone would be the difference, and the smallest cells that are not small are withheld with it.
//!
//! Which cells are withheld depends on sizes alone, and of equal ones all are: so with each possible world, all are
//! possible in which the withheld cells have changed places, and no cell can be told to be a small one.

/// Tells for each of the first `tellable` cells whether it is withheld; cells after them are never told.
///
/// `flagged` cells are withheld whatever their size. An empty cell concerns nobody and is told as empty.
pub(super) fn withheld(sizes: &[u64], flagged: &[bool], tellable: usize, least: u64) -> Vec<bool> {
    let cells = sizes.iter().zip(flagged).enumerate();
    let mut cells: Vec<Cell> = cells
        .map(|(place, (size, flagged))| Cell {
            size: *size,
            is_small: (1..least).contains(size),
            is_flagged: *flagged && *size > 0,
            is_beyond: place >= tellable && *size > 0,
            is_company: false,
        })
        .collect();
    while !is_safe(&cells, least) {
        let Some(smallest) = smallest_told(&cells) else { break };
        let told = cells.iter_mut().filter(|cell| !cell.is_withheld() && cell.size == smallest);
        told.for_each(|cell| cell.is_company = true);
    }
    cells.iter().take(tellable).map(Cell::is_withheld).collect()
}

/// A cell of a partition.
struct Cell {
    size: u64,
    is_small: bool,
    is_flagged: bool,
    /// It is none of those that can be told.
    is_beyond: bool,
    /// It is withheld for the sake of another one.
    is_company: bool,
}

impl Cell {
    fn is_withheld(&self) -> bool {
        self.is_small || self.is_flagged || self.is_beyond || self.is_company
    }

    /// The sizes that the cell may have for whoever knows why it is withheld.
    fn bounds(&self, least: u64, smallest_told: u64) -> (u64, u64) {
        if self.is_small {
            (1, least - 1)
        } else if self.is_company {
            (least, smallest_told - 1)
        } else {
            (least.max(1), u64::MAX)
        }
    }
}

fn smallest_told(cells: &[Cell]) -> Option<u64> {
    let told = cells.iter().filter(|cell| !cell.is_withheld() && cell.size > 0);
    told.map(|cell| cell.size).min()
}

/// Whether every withheld cell that must not be known is withheld beside one that is not small, and could have another
/// size even for whoever knows which of them are small.
fn is_safe(cells: &[Cell], least: u64) -> bool {
    let withheld: Vec<&Cell> = cells.iter().filter(|cell| cell.is_withheld()).collect();
    if !withheld.iter().any(|cell| cell.is_small || cell.is_flagged) {
        return true;
    }
    if withheld.iter().all(|cell| cell.is_small || cell.is_flagged) {
        return false;
    }
    let total: u64 = withheld.iter().map(|cell| cell.size).sum();
    let smallest = smallest_told(cells).unwrap_or(u64::MAX);
    let bounds: Vec<(u64, u64)> =
        withheld.iter().map(|cell| cell.bounds(least, smallest)).collect();
    withheld.iter().enumerate().filter(|(_, cell)| cell.is_small).all(|(place, _)| {
        let others = || bounds.iter().enumerate().filter(move |(other, _)| *other != place);
        let least_of_others: u64 = others().map(|(_, (low, _))| low).sum();
        let most_of_others = others().fold(0_u64, |sum, (_, (_, high))| sum.saturating_add(*high));
        let (low, high) = bounds[place];
        let lowest = low.max(total.saturating_sub(most_of_others));
        let highest = high.min(total.saturating_sub(least_of_others));
        lowest < highest
    })
}

/// Tells for each inner edge between neighbouring bins whether it is told, so that no range between told edges holds
/// fewer than `least` patients; nothing is told where all bins together hold fewer.
pub(super) fn told_edges(sizes: &[u64], least: u64) -> Vec<bool> {
    let mut told = vec![false; sizes.len().saturating_sub(1)];
    let mut range = 0_u64;
    let mut last = None;
    for (place, size) in sizes.iter().enumerate() {
        range = range.saturating_add(*size);
        if range >= least.max(1)
            && let Some(edge) = told.get_mut(place)
        {
            *edge = true;
            last = Some(place);
            range = 0;
        }
    }
    // What is left over at the end joins the range before it.
    if range < least.max(1)
        && let Some(last) = last
    {
        told[last] = false;
    }
    told
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// What somebody sees who knows the total: which cells are withheld, and the sizes of the others.
    fn seen(sizes: &[u64], tellable: usize, least: u64) -> (u64, Vec<Option<u64>>) {
        let withheld = withheld(sizes, &vec![false; sizes.len()], tellable, least);
        let told = sizes.iter().zip(&withheld).map(|(size, withheld)| (!withheld).then_some(*size));
        (sizes.iter().sum(), told.collect())
    }

    /// Every vector of so many sizes below `end`.
    fn worlds(cells: usize, end: u64) -> Vec<Vec<u64>> {
        (0..cells).fold(vec![Vec::new()], |worlds, _| {
            let longer = |world: &Vec<u64>| {
                let world = world.clone();
                (0..end).map(move |size| [world.as_slice(), &[size]].concat())
            };
            worlds.iter().flat_map(longer).collect()
        })
    }

    /// All worlds are gone through: whoever knows the rule, the total and every told cell cannot tell the size of a
    /// withheld small cell.
    fn no_small_cell_is_determined(cells: usize, tellable: usize, least: u64, end: u64) {
        let mut alike: HashMap<_, Vec<Vec<u64>>> = HashMap::new();
        for world in worlds(cells, end) {
            alike.entry(seen(&world, tellable, least)).or_default().push(world);
        }
        for ((total, told), worlds) in alike {
            // At the end of what is gone through, worlds are missing; with nothing told, nothing is an answer.
            if total >= end || told.iter().all(|cell| cell.is_none_or(|size| size == 0)) {
                continue;
            }
            for cell in (0..cells).filter(|cell| told.get(*cell).is_none_or(Option::is_none)) {
                let size = worlds[0][cell];
                let is_determined = worlds.iter().all(|world| world[cell] == size);
                assert!(
                    !is_determined || size == 0 || size >= least,
                    "cell {cell} must be {size} of {total}, told {told:?}: {worlds:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_told_of_groups_determines_no_small_one() {
        no_small_cell_is_determined(2, 2, 3, 24);
        no_small_cell_is_determined(3, 3, 3, 20);
        no_small_cell_is_determined(4, 4, 3, 14);
        no_small_cell_is_determined(3, 2, 3, 20);
        no_small_cell_is_determined(4, 3, 3, 14);
        no_small_cell_is_determined(3, 3, 4, 20);
        no_small_cell_is_determined(3, 3, 2, 14);
    }

    #[test]
    fn the_threshold_itself_is_told_and_one_less_is_not() {
        assert_eq!(withheld(&[10, 90], &[false; 2], 2, 10), [false, false]);
        assert_eq!(
            withheld(&[9, 90], &[false; 2], 2, 10),
            [true, true],
            "one alone would be the rest"
        );
        assert_eq!(withheld(&[9, 40, 90], &[false; 3], 3, 10), [true, true, false]);
        assert_eq!(withheld(&[0, 90], &[false; 2], 2, 10), [false, false], "nobody is in it");
        assert_eq!(withheld(&[40, 90, 3], &[false; 3], 2, 10), [true, false], "the rest is small");
    }

    #[test]
    fn ranges_between_told_edges_hold_enough() {
        assert_eq!(
            told_edges(&[3, 7, 12, 4, 0, 8, 2], 10),
            [false, true, true, false, false, false]
        );
        assert_eq!(told_edges(&[3, 4, 2], 10), [false, false]);
        for sizes in worlds(5, 5) {
            let told = told_edges(&sizes, 4);
            let mut range = 0;
            let mut ranges = Vec::new();
            for (place, size) in sizes.iter().enumerate() {
                range += size;
                if told.get(place).copied().unwrap_or(true) {
                    ranges.push(range);
                    range = 0;
                }
            }
            assert!(
                ranges.len() == 1 || ranges.iter().all(|range| *range >= 4),
                "{sizes:?}: {told:?}"
            );
        }
    }

    /// Each told range and how much it holds.
    fn ranges(sizes: &[u64], least: u64) -> Vec<(usize, u64)> {
        let told = told_edges(sizes, least);
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

    #[test]
    fn what_is_told_of_a_histogram_determines_no_small_bin() {
        let mut alike: HashMap<_, Vec<Vec<u64>>> = HashMap::new();
        for world in worlds(5, 8) {
            alike.entry(ranges(&world, 3)).or_default().push(world);
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
}
