//! A site's answer: the tensors of its layout, without what may not be told.

use dataset::Interrupt;
use parameters::{Dtype, Parameters, Tensor};
use protocol::Code;
use training_plan::statistics::{Edges, Layout, Measure, tensor};

use super::bins::{self, Entry};
use super::moments::Moments;
use super::protection::{self, Filled, Given};
use super::rows::Rows;
use crate::Failure;

/// An answer, and how many rows it tells of.
pub(super) struct Answer {
    pub(super) parameters: Parameters,
    /// The rows whose number the answer itself tells.
    pub(super) told_rows: u64,
}

/// Computes the answer of some rows.
pub(super) fn answer(
    layout: &Layout,
    rows: &Rows,
    interrupt: &mut Interrupt<'_>,
) -> Result<Answer, Failure> {
    let mut sheet = Sheet::new(layout);
    sheet.set(tensor::ANSWERS, 0, 1.0);
    for (group, _) in told(rows, &rows.withheld) {
        sheet.set(tensor::GROUP_SITES, group, 1.0);
    }
    let mut is_any_withheld = rows.withheld.contains(&true);
    for (place, name) in layout.columns().iter().enumerate() {
        interrupt.look()?;
        let column = Column::new(rows, place, rows.table.numbers(name)?);
        for (group, cell) in told(rows, &column.withheld) {
            column.tell(layout, &mut sheet, (group, cell), name)?;
        }
        if let Some(place) = layout.query().histograms().keys().position(|other| other == name) {
            column.tell_histograms(&layout.query().histograms()[name], &mut sheet, place);
        }
        is_any_withheld |= column.withheld.contains(&true);
    }
    // With the values that a column has in a group, rows are missing cells, and rows of another column's, too; and how
    // many are missing in all is shown to whoever searches. So they are told only where nothing at all is withheld.
    let told_rows = if layout.query().asks(Measure::Missing) && !is_any_withheld {
        tell_missing(layout, rows, &mut sheet)?
    } else {
        0
    };
    Ok(Answer { parameters: sheet.into_parameters(layout)?, told_rows })
}

/// The groups whose cells are not withheld, each with its cell.
fn told<'a>(
    rows: &'a Rows,
    withheld: &'a [bool],
) -> impl Iterator<Item = (usize, usize)> + use<'a> {
    let groups = rows.groups.iter().copied().enumerate();
    groups.filter(|(_, cell)| !withheld[*cell])
}

/// A column of all cells, and in which of them it is withheld.
struct Column<'a> {
    rows: &'a Rows,
    place: usize,
    numbers: &'a [f64],
    /// The rows of each cell in which the column has a value.
    known: Vec<Vec<usize>>,
    withheld: Vec<bool>,
}

impl<'a> Column<'a> {
    fn new(rows: &'a Rows, place: usize, numbers: &'a [f64]) -> Self {
        let mut column = Self { rows, place, numbers, known: Vec::new(), withheld: Vec::new() };
        let mut cells = Vec::with_capacity(rows.cells.len());
        for (cell, group_is_withheld) in rows.cells.iter().zip(&rows.withheld) {
            let (lacking, known): (Vec<usize>, Vec<usize>) =
                cell.iter().partition(|row| numbers[**row].is_nan());
            let given = if *group_is_withheld {
                Given::Hidden
            } else if column.has_rare_value(&known) {
                Given::Secret
            } else {
                Given::Open
            };
            cells.push(Filled {
                known: rows.count_patients(&known),
                lacking: rows.count_patients(&lacking),
                patients: (!group_is_withheld).then(|| rows.count_patients(cell)),
                given,
            });
            column.known.push(known);
        }
        // A group that is withheld is withheld of every column, of one in which it has no value, too.
        let withheld = protection::withheld_column(&cells, rows.least()).into_iter();
        let withheld = withheld.zip(&rows.withheld).map(|(column, group)| column || *group);
        column.withheld = withheld.collect();
        column
    }

    /// Whether count, mean and variance tell of some few patients: where all others have one value, they are those
    /// few's; and of a column with few distinct values they tell how often each occurs.
    fn has_rare_value(&self, rows: &[usize]) -> bool {
        let mut sorted = rows.to_vec();
        sorted.sort_unstable_by(|one, next| self.numbers[*one].total_cmp(&self.numbers[*next]));
        // 0 and -0 are one value, and sorted beside one another.
        let values: Vec<&[usize]> =
            sorted.chunk_by(|one, next| self.numbers[*one] == self.numbers[*next]).collect();
        let is_whole = |row: &usize| self.numbers[*row].fract() == 0.0;
        let few = if rows.iter().all(is_whole) { FEW_WHOLE_VALUES } else { FEW_VALUES };
        if values.len() <= few && values.iter().any(|rows| self.rows.are_few(rows)) {
            return true;
        }
        let commonest = (0..values.len()).max_by_key(|place| values[*place].len());
        let others = values.iter().enumerate().filter(|(place, _)| Some(*place) != commonest);
        let others: Vec<usize> = others.flat_map(|(_, rows)| rows.iter().copied()).collect();
        // A value that is most patients' is easily guessed.
        let is_most = commonest.is_some_and(|place| values[place].len() >= others.len());
        is_most && self.rows.are_few(&others)
    }

    /// Writes what is told of the column in a group.
    fn tell(
        &self,
        layout: &Layout,
        sheet: &mut Sheet,
        (group, cell): (usize, usize),
        name: &str,
    ) -> Result<(), Failure> {
        let query = layout.query();
        let numbers: Vec<f64> = self.known[cell].iter().map(|row| self.numbers[*row]).collect();
        let cell = group * layout.columns().len() + self.place;
        sheet.set(tensor::COLUMN_SITES, cell, 1.0);
        if query.asks_moments() {
            let moments = Moments::of(&numbers);
            if !moments.can_be_combined() {
                let local =
                    format!("column {name:?} has values too large for a mean and a variance");
                return Err(Failure::new(Code::DataInvalid, local));
            }
            sheet.set(tensor::MOMENT_COUNT, cell, float(moments.count));
            sheet.set(tensor::MOMENT_MEAN, cell, moments.mean);
            if query.asks_spread() {
                sheet.set(tensor::MOMENT_SQUARES, cell, moments.squares);
            }
        } else {
            sheet.set(tensor::COUNT, cell, float(numbers.len() as u64));
        }
        let smallest = numbers.iter().copied().fold(f64::MAX, f64::min);
        let largest = numbers.iter().copied().fold(f64::MIN, f64::max);
        sheet.set(tensor::MINIMUM, cell, smallest);
        sheet.set(tensor::MAXIMUM, cell, largest);
        Ok(())
    }

    /// Writes the histograms of the told groups: neighbouring bins with few patients are counted as one, in the last of
    /// them.
    fn tell_histograms(&self, edges: &Edges, sheet: &mut Sheet, place: usize) {
        let mut entries = vec![Vec::new(); edges.bins()];
        for ((cell, own), known) in (0..).zip(0_u32..).zip(&self.known) {
            // What is withheld is known together, as all rows less those that are told.
            let unit = if self.withheld[cell] { u32::MAX } else { own };
            for row in known {
                let entry = Entry { unit, patient: self.rows.patient(*row) };
                entries[edges.place(self.numbers[*row])].push(entry);
            }
        }
        let told_edges = bins::told_edges(&entries, self.rows.least());
        for (group, cell) in told(self.rows, &self.withheld) {
            let mut counts = vec![0; edges.bins()];
            for row in &self.known[cell] {
                counts[edges.place(self.numbers[*row])] += 1;
            }
            let mut count = 0;
            for (bin, counted) in counts.iter().enumerate() {
                count += counted;
                let is_told = told_edges.get(bin).copied();
                if is_told.unwrap_or(true) {
                    sheet.set(&tensor::bins(place), group * counts.len() + bin, float(count));
                    count = 0;
                }
                if is_told == Some(true) {
                    sheet.set(&tensor::edges(place), group * told_edges.len() + bin, 1.0);
                }
            }
        }
    }
}

/// Writes rows and missing cells, and gives how many rows are told.
fn tell_missing(layout: &Layout, rows: &Rows, sheet: &mut Sheet) -> Result<u64, Failure> {
    let mut told_rows = 0;
    for (group, cell) in rows.groups.iter().enumerate() {
        let count = rows.cells[*cell].len() as u64;
        told_rows += count;
        sheet.set(tensor::ROWS, group, float(count));
        sheet.set(tensor::ROW_SITES, group, 1.0);
    }
    for (place, name) in layout.columns().iter().enumerate() {
        let numbers = rows.table.numbers(name)?;
        for (group, cell) in rows.groups.iter().enumerate() {
            let missing = rows.cells[*cell].iter().filter(|row| numbers[**row].is_nan()).count();
            let place = group * layout.columns().len() + place;
            sheet.set(tensor::MISSING, place, float(missing as u64));
            sheet.set(tensor::MISSING_SITES, place, 1.0);
        }
    }
    Ok(told_rows)
}

/// The numbers of an answer by tensor; what nobody writes tells nothing.
struct Sheet(Vec<(String, Vec<f64>)>);

impl Sheet {
    fn new(layout: &Layout) -> Self {
        let tensors = layout.schema().tensors().iter().map(|tensor| {
            // What changes no minimum and no maximum.
            let nothing = match tensor.name.as_str() {
                tensor::MINIMUM => f64::MAX,
                tensor::MAXIMUM => f64::MIN,
                _ => 0.0,
            };
            (tensor.name.clone(), vec![nothing; tensor.checked_elements().unwrap_or(0)])
        });
        Self(tensors.collect())
    }

    /// Writes a number, where the query asks for the tensor.
    fn set(&mut self, name: &str, place: usize, number: f64) {
        if let Ok(found) = self.0.binary_search_by(|(other, _)| other.as_str().cmp(name)) {
            self.0[found].1[place] = number;
        }
    }

    fn into_parameters(self, layout: &Layout) -> Result<Parameters, Failure> {
        let mut parameters = Parameters::new();
        for ((name, numbers), tensor) in self.0.iter().zip(layout.schema().tensors()) {
            let made = Tensor::from_f64(Dtype::F64, &tensor.shape, numbers);
            made.and_then(|tensor| parameters.insert(name, tensor))
                .map_err(|error| Failure::new(Code::NodeInternal, error.to_string()))?;
        }
        Ok(parameters)
    }
}

#[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
fn float(count: u64) -> f64 {
    count as f64
}

/// So many distinct values are found out from count, mean and variance.
const FEW_VALUES: usize = 3;

/// So many where all are whole numbers: only few ways of dividing the patients among them give the same sums.
const FEW_WHOLE_VALUES: usize = 8;
