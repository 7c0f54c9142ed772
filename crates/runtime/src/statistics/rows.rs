//! The rows that a query is about: their groups, their patients, and what of them may be told.

use dataset::{Interrupt, Request, Table, TabularSource};
use protocol::{Code, Digest};
use training_plan::statistics::{Grouping, Layout};

use super::{Cohort, protection};
use crate::{DataGrant, Failure};

/// A dataset's rows in their groups.
pub(super) struct Rows {
    pub(super) table: Table,
    /// The rows of each group.
    pub(super) groups: Vec<Vec<usize>>,
    /// Rows that are in no group.
    pub(super) rest: Vec<usize>,
    /// Whether a group is withheld as a whole.
    pub(super) withheld: Vec<bool>,
    /// Rows that the owner leaves out.
    pub(super) excluded: u64,
    least: u64,
    patients: Patients,
}

/// Which rows are of one patient.
enum Patients {
    /// Rows of one number are.
    Numbered(Vec<u32>),
    /// The dataset does not say: each row is taken for a patient.
    Unknown,
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
        let (groups, rest) = divide(&table, grouping)?;
        let patients = match table.groups() {
            Some(numbers) => Patients::Numbered(numbers.to_vec()),
            None => Patients::Unknown,
        };
        let mut rows =
            Self { table, groups, rest, withheld: Vec::new(), excluded, least, patients };
        let parts = rows.groups.iter().chain([&rows.rest]);
        let sizes: Vec<u64> = parts.map(|part| rows.count_patients(part)).collect();
        let flagged = vec![false; sizes.len()];
        rows.withheld = protection::withheld(&sizes, &flagged, rows.groups.len(), least);
        Ok(rows)
    }

    /// How many patients some rows are of.
    pub(super) fn count_patients(&self, rows: &[usize]) -> u64 {
        match &self.patients {
            Patients::Unknown => rows.len() as u64,
            Patients::Numbered(numbers) => {
                let mut seen: Vec<u32> = rows.iter().map(|row| numbers[*row]).collect();
                seen.sort_unstable();
                seen.dedup();
                seen.len() as u64
            }
        }
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
        let told = self.groups.iter().zip(&self.withheld).filter(|(_, withheld)| !**withheld);
        let cohort = |rows: &Vec<usize>| match self.table.patients() {
            Some(keys) => Cohort::of_patients(data, rows.iter().map(|row| keys[*row]).collect()),
            None => Cohort::of_rows(data, rows.iter().map(|row| *row as u64).collect()),
        };
        told.map(|(rows, _)| cohort(rows)).filter(|cohort| !cohort.is_empty()).collect()
    }
}

/// The rows of each declared value, and those of none.
fn divide(
    table: &Table,
    grouping: Option<&Grouping>,
) -> Result<(Vec<Vec<usize>>, Vec<usize>), Failure> {
    let Some(grouping) = grouping else {
        return Ok((vec![(0..table.rows()).collect()], Vec::new()));
    };
    let categories = table.categories(&grouping.column)?;
    let places: Vec<Option<usize>> = categories
        .values()
        .iter()
        .map(|value| grouping.values.iter().position(|declared| declared == value))
        .collect();
    let (mut groups, mut rest) = (vec![Vec::new(); grouping.values.len()], Vec::new());
    for (row, code) in categories.codes().enumerate() {
        match code.and_then(|code| places[code as usize]) {
            Some(group) => groups[group].push(row),
            None => rest.push(row),
        }
    }
    Ok((groups, rest))
}
