//! A site's answer: the tensors of its layout, without what may not be told.

use dataset::Interrupt;
use parameters::{Dtype, Parameters, Tensor};
use protocol::Code;
use training_plan::statistics::{Edges, Layout, Measure, tensor};

use super::moments::Moments;
use super::protection;
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
    for (group, _) in told(&rows.withheld) {
        sheet.set(tensor::GROUP_SITES, group, 1.0);
    }
    let mut withheld = Vec::with_capacity(layout.columns().len());
    for (place, name) in layout.columns().iter().enumerate() {
        interrupt.look()?;
        let column = Column::new(rows, place, rows.table.numbers(name)?);
        for (group, _) in told(&column.withheld) {
            column.tell(layout, &mut sheet, group, name)?;
        }
        withheld.push(column.withheld);
    }
    let told_rows = if layout.query().asks(Measure::Missing) {
        tell_missing(layout, rows, &withheld, &mut sheet)?
    } else {
        0
    };
    Ok(Answer { parameters: sheet.into_parameters(layout)?, told_rows })
}

fn told(withheld: &[bool]) -> impl Iterator<Item = (usize, &bool)> {
    withheld.iter().enumerate().filter(|(_, withheld)| !**withheld)
}

/// A column of all groups, and in which of them it is withheld.
struct Column<'a> {
    rows: &'a Rows,
    place: usize,
    numbers: &'a [f64],
    /// The rows of each group in which the column has a value.
    known: Vec<Vec<usize>>,
    withheld: Vec<bool>,
}

impl<'a> Column<'a> {
    fn new(rows: &'a Rows, place: usize, numbers: &'a [f64]) -> Self {
        let parts = rows.groups.iter().chain([&rows.rest]);
        let has_value = |row: &&usize| !numbers[**row].is_nan();
        let mut known: Vec<Vec<usize>> =
            parts.map(|part| part.iter().filter(has_value).copied().collect()).collect();
        let mut column = Self { rows, place, numbers, known: Vec::new(), withheld: Vec::new() };
        let sizes: Vec<u64> = known.iter().map(|part| rows.count_patients(part)).collect();
        let of_groups = rows.withheld.iter().copied().chain([false]);
        let flagged: Vec<bool> = known
            .iter()
            .zip(of_groups)
            .map(|(part, withheld)| withheld || column.has_rare_value(part))
            .collect();
        let groups = rows.groups.len();
        column.withheld = protection::withheld(&sizes, &flagged, groups, rows.least());
        // A group that is withheld is withheld of every column, of one in which it has no value, too.
        for (withheld, of_group) in column.withheld.iter_mut().zip(&rows.withheld) {
            *withheld |= *of_group;
        }
        known.truncate(groups);
        column.known = known;
        column
    }

    /// Whether the column has so few distinct values that mean and variance tell how often each occurs, and one of
    /// them is some few patients'.
    fn has_rare_value(&self, rows: &[usize]) -> bool {
        let mut values: Vec<(u64, Vec<usize>)> = Vec::new();
        for row in rows {
            // 0 and -0 are one value.
            let bits = (self.numbers[*row] + 0.0).to_bits();
            match values.iter().position(|(value, _)| *value == bits) {
                Some(place) => values[place].1.push(*row),
                None if values.len() == FEW_VALUES => return false,
                None => values.push((bits, vec![*row])),
            }
        }
        values.iter().any(|(_, rows)| self.rows.are_few(rows))
    }

    /// Writes what is told of the column in a group.
    fn tell(
        &self,
        layout: &Layout,
        sheet: &mut Sheet,
        group: usize,
        name: &str,
    ) -> Result<(), Failure> {
        let query = layout.query();
        let cell = group * layout.columns().len() + self.place;
        let numbers: Vec<f64> = self.known[group].iter().map(|row| self.numbers[*row]).collect();
        sheet.set(tensor::COLUMN_SITES, cell, 1.0);
        if query.asks_moments() {
            let moments = Moments::of(&numbers);
            if !moments.is_finite() {
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
        if let Some(place) = query.histograms().keys().position(|column| column == name) {
            self.tell_histogram(&query.histograms()[name], sheet, group, place);
        }
        Ok(())
    }

    /// Writes the histogram: neighbouring bins with few patients are counted as one, in the last of them.
    fn tell_histogram(&self, edges: &Edges, sheet: &mut Sheet, group: usize, place: usize) {
        let mut bins = vec![Vec::new(); edges.bins()];
        for row in &self.known[group] {
            bins[edges.place(self.numbers[*row])].push(*row);
        }
        let sizes: Vec<u64> = bins.iter().map(|bin| self.rows.count_patients(bin)).collect();
        let told = protection::told_edges(&sizes, self.rows.least());
        let mut count = 0;
        for (bin, rows) in bins.iter().enumerate() {
            count += rows.len() as u64;
            let is_told = told.get(bin).copied();
            if is_told.unwrap_or(true) {
                sheet.set(&tensor::bins(place), group * bins.len() + bin, float(count));
                count = 0;
            }
            if is_told == Some(true) {
                sheet.set(&tensor::edges(place), group * told.len() + bin, 1.0);
            }
        }
    }
}

/// Writes rows and missing cells, and gives how many rows are told.
///
/// With the values that a column has in a group, rows are missing cells, and rows of another column's, too; and how
/// many are missing in all is shown to whoever searches. So they are told only where nothing at all is withheld and no
/// count of missing cells is small.
fn tell_missing(
    layout: &Layout,
    rows: &Rows,
    withheld: &[Vec<bool>],
    sheet: &mut Sheet,
) -> Result<u64, Failure> {
    let is_any_withheld = withheld.iter().flatten().chain(&rows.withheld).any(|withheld| *withheld);
    let mut missing = Vec::with_capacity(layout.columns().len());
    for name in layout.columns() {
        let numbers = rows.table.numbers(name)?;
        let parts = rows.groups.iter().chain([&rows.rest]);
        let without = |part: &Vec<usize>| -> Vec<usize> {
            part.iter().filter(|row| numbers[**row].is_nan()).copied().collect()
        };
        missing.push(parts.map(without).collect::<Vec<_>>());
    }
    let is_any_few = missing.iter().flatten().any(|part| rows.are_few(part));
    if is_any_withheld || is_any_few || rows.are_few(&rows.rest) {
        return Ok(0);
    }
    let mut told_rows = 0;
    for (group, part) in rows.groups.iter().enumerate() {
        told_rows += part.len() as u64;
        sheet.set(tensor::ROWS, group, float(part.len() as u64));
        sheet.set(tensor::ROW_SITES, group, 1.0);
        for (column, parts) in missing.iter().enumerate() {
            let cell = group * layout.columns().len() + column;
            sheet.set(tensor::MISSING, cell, float(parts[group].len() as u64));
            sheet.set(tensor::MISSING_SITES, cell, 1.0);
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
