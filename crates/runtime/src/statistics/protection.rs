//! Which cells of a partition are withheld, so that what is told determines no small count.
//!
//! The rows of a dataset are divided into cells, by groups, and perhaps a rest that is in no group. How many there are
//! in all is taken as known: it is shown to whoever searches, and another query may ask for it. So a small cell that is
//! withheld alone would be the difference; others are withheld with it until it can have at least two sizes.

/// Tells for each of the first `tellable` cells whether it is withheld; cells after them are never told.
///
/// `flagged` cells are withheld whatever their size. An empty cell concerns nobody and is told as empty.
pub(super) fn withheld(sizes: &[u64], flagged: &[bool], tellable: usize, least: u64) -> Vec<bool> {
    let cells: Vec<Cell> = sizes
        .iter()
        .zip(flagged)
        .enumerate()
        .map(|(place, (size, flagged))| Cell {
            size: *size,
            is_small: (1..least).contains(size),
            is_flagged: *flagged && *size > 0,
            is_beyond: place >= tellable && *size > 0,
            is_added: false,
        })
        .collect();
    let mut cells = cells;
    while !is_safe(&cells, least) {
        let told = cells.iter_mut().take(tellable).filter(|cell| !cell.is_withheld());
        let Some(next) = told.filter(|cell| cell.size > 0).min_by_key(|cell| cell.size) else {
            break;
        };
        next.is_added = true;
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
    is_added: bool,
}

impl Cell {
    fn is_withheld(&self) -> bool {
        self.is_small || self.is_flagged || self.is_beyond || self.is_added
    }

    /// The sizes that the cell may have for whoever knows why it is withheld.
    fn bounds(&self, least: u64, smallest_told: u64) -> (u64, u64) {
        if self.is_small {
            (1, least - 1)
        } else if self.is_added {
            (least, smallest_told.max(least))
        } else {
            (least.max(1), u64::MAX)
        }
    }
}

/// Whether the withheld cells together are no small group, and none of them that must not be known has one size only.
fn is_safe(cells: &[Cell], least: u64) -> bool {
    let withheld: Vec<&Cell> = cells.iter().filter(|cell| cell.is_withheld()).collect();
    if !withheld.iter().any(|cell| cell.is_small || cell.is_flagged) {
        return true;
    }
    let total: u64 = withheld.iter().map(|cell| cell.size).sum();
    if withheld.len() < 2 || total < least {
        return false;
    }
    let told = cells.iter().filter(|cell| !cell.is_withheld() && cell.size > 0);
    let smallest = told.map(|cell| cell.size).min().unwrap_or(u64::MAX);
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
