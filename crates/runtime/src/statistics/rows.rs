//! The rows that a query is about: their groups, their patients, and what of them may be told.

use std::collections::HashMap;

use dataset::{Interrupt, Request, Table, TabularSource};
use protocol::{Code, Digest};
use training_plan::statistics::{Grouping, Layout};

use super::protection::{self, Cell, Given};
use super::{Cohort, PatientRow};
use crate::{DataGrant, Failure};

/// A dataset's rows, divided by the column that a query groups by.
pub(super) struct Rows {
    pub(super) table: Table,
    /// The rows of each value, listed by the query or not, and those without a value; without groups, all in one.
    pub(super) cells: Vec<Vec<usize>>,
    /// The cell of each group of the query.
    pub(super) groups: Vec<usize>,
    /// Whether a cell is withheld as a whole.
    pub(super) withheld: Vec<bool>,
    /// Rows that the owner leaves out.
    pub(super) excluded: u64,
    least: u64,
    /// Each row's patient. Where the dataset does not say, each row is taken for one.
    patients: Vec<u32>,
}

impl Rows {
    /// Reads the query's columns and divides the rows.
    pub(super) fn read(
        layout: &Layout,
        grant: &DataGrant<'_>,
        least: u64,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Self, Failure> {
        let registration = grant.table()?;
        let source = TabularSource::open(grant.path, registration)?.under(grant.loading_plan);
        let mut source = source.without(grant.exclusions).identified();
        let numbers = layout.columns().iter().map(|column| Request::Numbers(column));
        let grouping = layout.query().group_by();
        let by = grouping.map(|grouping| Request::Categories(&grouping.column));
        let requests: Vec<Request<'_>> = numbers.chain(by).collect();
        let table = source.read_interruptibly(&requests, interrupt)?;
        let excluded = registration.rows.saturating_sub(table.rows() as u64);
        if (table.rows() as u64) < grant.minimum_samples {
            let local = format!("{} rows, {} are required", table.rows(), grant.minimum_samples);
            return Err(Failure::new(Code::DataTooFewSamples, local));
        }
        let (cells, groups) = divide(&table, grouping)?;
        let patients = match table.groups() {
            Some(numbers) => numbers.to_vec(),
            None => (0..).take(table.rows()).collect(),
        };
        let withheld = Vec::new();
        let mut rows = Self { table, cells, groups, withheld, excluded, least, patients };
        let open = |cell: &Vec<usize>| Cell {
            size: rows.count_patients(cell),
            between: (0, u64::MAX),
            given: Given::Open,
        };
        let sizes: Vec<Cell> = rows.cells.iter().map(open).collect();
        rows.withheld = protection::withheld(&sizes, least);
        Ok(rows)
    }

    /// The patient of a row.
    pub(super) fn patient(&self, row: usize) -> u32 {
        self.patients[row]
    }

    /// How many patients some rows are of.
    pub(super) fn count_patients(&self, rows: &[usize]) -> u64 {
        let mut seen: Vec<u32> = rows.iter().map(|row| self.patients[*row]).collect();
        seen.sort_unstable();
        seen.dedup();
        seen.len() as u64
    }

    /// Whether some rows are of somebody, and of too few to be told of.
    pub(super) fn are_few(&self, rows: &[usize]) -> bool {
        (1..self.least).contains(&self.count_patients(rows))
    }

    /// The fewest patients that may be told of.
    pub(super) fn least(&self) -> u64 {
        self.least
    }

    /// Whom the answer tells of: each group that is not withheld.
    pub(super) fn cohorts(&self, data: Digest) -> Vec<Cohort> {
        let told = self.groups.iter().filter(|cell| !self.withheld[**cell]);
        let told = told.map(|cell| &self.cells[*cell]).filter(|rows| !rows.is_empty());
        let Some(patients) = self.table.patients() else {
            let places = |rows: &Vec<usize>| rows.iter().map(|row| *row as u64).collect();
            return told.map(|rows| Cohort::of_rows(data, places(rows))).collect();
        };
        let rows_of_patients = numbered(patients);
        let of = |rows: &Vec<usize>| rows.iter().map(|row| rows_of_patients[*row]).collect();
        told.map(|rows| Cohort::of_patients(data, of(rows))).collect()
    }
}

/// The rows of each value of the grouping column, and the place of each group among them.
fn divide(
    table: &Table,
    grouping: Option<&Grouping>,
) -> Result<(Vec<Vec<usize>>, Vec<usize>), Failure> {
    let Some(grouping) = grouping else {
        return Ok((vec![(0..table.rows()).collect()], vec![0]));
    };
    let categories = table.categories(&grouping.column)?;
    let values = categories.values();
    // After the values, the rows without one.
    let mut cells = vec![Vec::new(); values.len() + 1];
    for (row, code) in categories.codes().enumerate() {
        cells[code.map_or(values.len(), |code| code as usize)].push(row);
    }
    let places: HashMap<&str, usize> = values.iter().map(String::as_str).zip(0..).collect();
    let groups = grouping.values.iter().map(|value| {
        places.get(value.as_str()).copied().unwrap_or_else(|| {
            // A value that no row has.
            cells.push(Vec::new());
            cells.len() - 1
        })
    });
    let groups = groups.collect();
    Ok((cells, groups))
}

/// Each row's patient, and which of the patient's rows it is: a number that stays while others are left out.
fn numbered(patients: &[u64]) -> Vec<PatientRow> {
    let mut counts: HashMap<u64, u64> = HashMap::new();
    let number = |patient: &u64| {
        let count = counts.entry(*patient).or_default();
        *count += 1;
        PatientRow { patient: *patient, row: *count }
    };
    patients.iter().map(number).collect()
}
