//! Which cells of a partition are withheld, so that what is told determines no small count.
//!
//! The rows of a dataset are divided into cells: one for each value of the grouping column, whether it is asked for or
//! not, and one for the rows without a value. How many there are in all is taken as known: it is shown to whoever
//! searches, and another query may ask for it. So a small cell that is withheld alone would be the difference, and the
//! smallest cells that are not small are withheld with it.
//!
//! Which cells are withheld depends on sizes alone, and of equal ones all are: so with each possible world, all are
//! possible in which the withheld cells have changed places, and no cell can be told to be a small one. It depends on
//! nothing that a query says but the column, so that two queries withhold the same cells.

/// One cell, and what is known of it elsewhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    /// How many patients it holds.
    pub(super) size: u64,
    /// How few and how many it could hold for whoever sees the other columns.
    pub(super) between: (u64, u64),
    /// What is decided of it before.
    pub(super) given: Given,
}

/// What is decided of a cell for other reasons than its size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// Nothing.
    Open,
    /// It is withheld, and its size is no secret: it can be another cell's company.
    Hidden,
    /// It is withheld, and must not follow from the others.
    Secret,
}

/// A column's numbers of patients in one cell: those with a value, and those that lack one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Filled {
    pub(super) known: u64,
    pub(super) lacking: u64,
    /// How many there are in all, where that is told.
    pub(super) patients: Option<u64>,
    pub(super) given: Given,
}

/// Tells for each cell whether it is withheld. An empty cell concerns nobody, and is told as empty where anything is.
pub(super) fn withheld(cells: &[Cell], least: u64) -> Vec<bool> {
    let mut cells: Vec<Judged> = cells
        .iter()
        .map(|cell| Judged { cell: *cell, is_small: is_small(cell.size, least), is_company: false })
        .collect();
    while !is_safe(&cells, least) {
        let Some(smallest) = smallest_told(&cells) else { return vec![true; cells.len()] };
        let told = cells.iter_mut().filter(|cell| cell.is_told() && cell.cell.size == smallest);
        told.for_each(|cell| cell.is_company = true);
    }
    cells.iter().map(|cell| !cell.is_told() && cell.cell.size > 0).collect()
}

/// Tells for each cell whether a column is withheld in it: neither few values nor few missing ones may follow from what
/// is told, though another column tell how many patients there are in the cell.
pub(super) fn withheld_column(cells: &[Filled], least: u64) -> Vec<bool> {
    let known = cells.iter().map(|cell| {
        let is_telling = is_small(cell.lacking, least) && cell.given == Given::Open;
        let given = if is_telling { Given::Secret } else { cell.given };
        Cell { size: cell.known, between: cell.beside(cell.lacking, least), given }
    });
    // A secret of other values is none of how many lack one.
    let lacking = cells.iter().map(|cell| Cell {
        size: cell.lacking,
        between: cell.beside(cell.known, least),
        given: if cell.given == Given::Secret { Given::Open } else { cell.given },
    });
    let known = withheld(&known.collect::<Vec<_>>(), least);
    let lacking = withheld(&lacking.collect::<Vec<_>>(), least);
    known.iter().zip(lacking).map(|(known, lacking)| *known || lacking).collect()
}

impl Filled {
    /// How few and how many patients there are beside so many others for whoever knows whether these are none, few or
    /// enough.
    fn beside(&self, others: u64, least: u64) -> (u64, u64) {
        match self.patients {
            None => (0, u64::MAX),
            Some(patients) if others == 0 => (patients, patients),
            Some(patients) if is_small(others, least) => {
                (patients.saturating_sub(least - 1), patients - 1)
            }
            Some(patients) => (0, patients.saturating_sub(least)),
        }
    }
}

fn is_small(size: u64, least: u64) -> bool {
    (1..least).contains(&size)
}

/// A cell, and why it is withheld.
struct Judged {
    cell: Cell,
    is_small: bool,
    /// It is withheld for the sake of another one.
    is_company: bool,
}

impl Judged {
    fn is_told(&self) -> bool {
        self.cell.size == 0 || !(self.is_small || self.is_company || self.cell.given != Given::Open)
    }

    /// Whether its size must not follow from the others.
    fn is_secret(&self) -> bool {
        self.is_small || self.cell.given == Given::Secret
    }

    /// The sizes that the cell may have for whoever knows why it is withheld.
    fn bounds(&self, least: u64, smallest_told: u64) -> (u64, u64) {
        let (low, high) = if self.is_small {
            (1, least - 1)
        } else if self.is_company {
            (least, smallest_told - 1)
        } else {
            (least.max(1), u64::MAX)
        };
        let (least_beside, most_beside) = self.cell.between;
        // Of a patient some rows may have a value and others lack one: the size itself is always possible.
        (low.max(least_beside).min(self.cell.size), high.min(most_beside).max(self.cell.size))
    }
}

fn smallest_told(cells: &[Judged]) -> Option<u64> {
    let told = cells.iter().filter(|cell| cell.is_told() && cell.cell.size > 0);
    told.map(|cell| cell.cell.size).min()
}

/// Whether every withheld cell that must not be known is withheld beside one that may be, and each small one could have
/// another size even for whoever knows which of them are small.
fn is_safe(cells: &[Judged], least: u64) -> bool {
    let withheld: Vec<&Judged> = cells.iter().filter(|cell| !cell.is_told()).collect();
    if !withheld.iter().any(|cell| cell.is_secret()) {
        return true;
    }
    if withheld.iter().all(|cell| cell.is_secret()) {
        return false;
    }
    let smallest = smallest_told(cells).unwrap_or(u64::MAX);
    let bounds: Vec<(u64, u64)> =
        withheld.iter().map(|cell| cell.bounds(least, smallest)).collect();
    let sum = |numbers: &mut dyn Iterator<Item = u64>| numbers.map(u128::from).sum::<u128>();
    let total = sum(&mut withheld.iter().map(|cell| cell.cell.size));
    let (lows, highs) = (
        sum(&mut bounds.iter().map(|(low, _)| *low)),
        sum(&mut bounds.iter().map(|(_, high)| *high)),
    );
    withheld.iter().zip(&bounds).filter(|(cell, _)| cell.is_small).all(|(_, (low, high))| {
        let (low, high) = (u128::from(*low), u128::from(*high));
        let lowest = low.max(total.saturating_sub(highs - high));
        let highest = high.min(total.saturating_sub(lows - low));
        lowest < highest
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn of_sizes(sizes: &[u64], least: u64) -> Vec<bool> {
        let cell = |size: &u64| Cell { size: *size, between: (0, u64::MAX), given: Given::Open };
        withheld(&sizes.iter().map(cell).collect::<Vec<_>>(), least)
    }

    /// What somebody sees who knows the total: which cells are withheld, and the sizes of the others.
    fn seen(sizes: &[u64], least: u64) -> (u64, Vec<Option<u64>>) {
        let withheld = of_sizes(sizes, least);
        let told = sizes.iter().zip(&withheld).map(|(size, withheld)| (!withheld).then_some(*size));
        (sizes.iter().sum(), told.collect())
    }

    /// Every vector of so many sizes that are together at most this.
    fn worlds(cells: usize, most: u64) -> Vec<Vec<u64>> {
        (0..cells).fold(vec![Vec::new()], |worlds, _| {
            let longer = |world: &Vec<u64>| {
                let (world, sum) = (world.clone(), world.iter().sum::<u64>());
                (0..=most - sum).map(move |size| [world.as_slice(), &[size]].concat())
            };
            worlds.iter().flat_map(longer).collect()
        })
    }

    /// All worlds are gone through: whoever knows the rule, the total and every told cell cannot tell the size of a
    /// withheld small cell. Whoever asks may list any cells, and subtract; so all that are told are taken as known.
    fn no_small_cell_is_determined(cells: usize, least: u64, most: u64) {
        let mut alike: HashMap<_, Vec<Vec<u64>>> = HashMap::new();
        for world in worlds(cells, most) {
            alike.entry(seen(&world, least)).or_default().push(world);
        }
        for ((total, told), worlds) in alike {
            // With nothing told, nothing is an answer.
            if told.iter().all(Option::is_none) {
                continue;
            }
            for cell in (0..cells).filter(|cell| told[*cell].is_none()) {
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
        no_small_cell_is_determined(2, 3, 24);
        no_small_cell_is_determined(3, 3, 24);
        no_small_cell_is_determined(4, 3, 18);
        no_small_cell_is_determined(5, 3, 14);
        no_small_cell_is_determined(3, 4, 24);
        no_small_cell_is_determined(3, 2, 18);
    }

    #[test]
    fn the_threshold_itself_is_told_and_one_less_is_not() {
        assert_eq!(of_sizes(&[10, 90], 10), [false, false]);
        assert_eq!(of_sizes(&[9, 90], 10), [true, true], "one alone would be the rest");
        assert_eq!(of_sizes(&[9, 40, 90], 10), [true, true, false]);
        assert_eq!(of_sizes(&[0, 90], 10), [false, false], "nobody is in it");
        assert_eq!(of_sizes(&[0, 9, 9], 10), [true, true, true], "18 less nobody would be twice 9");
    }

    /// A world of one column beside a complete one: patients of each cell, and those of them with a value.
    fn columns(patients: &[u64], known: &[u64], least: u64) -> (Vec<bool>, Vec<bool>) {
        let groups = of_sizes(patients, least);
        let cells = patients.iter().zip(known).zip(&groups);
        let cells = cells.map(|((patients, known), withheld)| Filled {
            known: *known,
            lacking: patients - known,
            patients: (!withheld).then_some(*patients),
            given: if *withheld { Given::Hidden } else { Given::Open },
        });
        let column = withheld_column(&cells.collect::<Vec<_>>(), least);
        let column = column.iter().zip(&groups).map(|(column, group)| *column || *group).collect();
        (groups, column)
    }

    /// All worlds of two columns are gone through, of which one has every value.
    fn no_small_cell_of_a_column_is_determined(cells: usize, least: u64, most: u64) {
        let mut alike: HashMap<_, Vec<[Vec<u64>; 3]>> = HashMap::new();
        for world in worlds(2 * cells, most) {
            let (known, lacking) = world.split_at(cells);
            let patients: Vec<u64> =
                known.iter().zip(lacking).map(|(one, two)| one + two).collect();
            let (groups, column) = columns(&patients, known, least);
            let told = |numbers: &[u64], withheld: &[bool]| -> Vec<Option<u64>> {
                let pairs = numbers.iter().zip(withheld);
                pairs.map(|(number, withheld)| (!withheld).then_some(*number)).collect()
            };
            let totals = (patients.iter().sum::<u64>(), known.iter().sum::<u64>());
            let seen = (totals, told(&patients, &groups), told(known, &column));
            let numbers = [known.to_vec(), lacking.to_vec(), patients];
            alike.entry(seen).or_default().push(numbers);
        }
        for (seen, worlds) in alike {
            if seen.2.iter().all(Option::is_none) {
                continue;
            }
            let places = (0..3).flat_map(|number| (0..cells).map(move |cell| (number, cell)));
            for (number, cell) in places {
                let size = worlds[0][number][cell];
                let is_determined = worlds.iter().all(|world| world[number][cell] == size);
                assert!(
                    !is_determined || size == 0 || size >= least,
                    "cell {cell} must have {size}, seen {seen:?}: {worlds:?}"
                );
            }
        }
    }

    #[test]
    fn what_is_told_of_two_columns_determines_no_few_values_and_no_few_missing_ones() {
        no_small_cell_of_a_column_is_determined(2, 3, 20);
        no_small_cell_of_a_column_is_determined(3, 3, 15);
        no_small_cell_of_a_column_is_determined(3, 2, 12);
        no_small_cell_of_a_column_is_determined(4, 2, 9);
    }

    #[test]
    fn a_column_that_few_lack_is_withheld_with_company_that_many_lack() {
        let of = |cells: &[(u64, u64)]| {
            let (known, patients): (Vec<u64>, Vec<u64>) =
                cells.iter().map(|(known, lacking)| (*known, known + lacking)).unzip();
            columns(&patients, &known, 10).1
        };
        assert_eq!(of(&[(47, 3)]), [true]);
        assert_eq!(of(&[(40, 10)]), [false]);
        assert_eq!(of(&[(9, 3), (40, 0), (90, 0)]), [true; 3], "three are missing in all");
        assert_eq!(of(&[(47, 3), (60, 20), (40, 0), (90, 0)]), [true, true, true, false]);
    }
}
