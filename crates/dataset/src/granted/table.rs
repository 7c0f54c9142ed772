//! The granted view of a table: a CSV file of its own.

use std::collections::HashMap;
use std::io::Write;
use std::path::Path;

use protocol::ColumnType;

use crate::view::{self, Value, ViewColumn};
use crate::{AttachedPlan, Error, Exclusions, Interrupt, Kind, Registration, rows};

/// What of a table is granted.
#[derive(Debug, Clone, Copy)]
pub struct TableGrant<'a> {
    /// The table's file.
    pub path: &'a Path,
    /// What was registered of it.
    pub registration: &'a Registration,
    /// The data loading plan of the dataset.
    pub loading_plan: Option<&'a AttachedPlan>,
    /// The columns by the study's names, in the order wanted; without any, all that may be read, in the file's order.
    pub columns: &'a [String],
    /// The patients whom the owner leaves out.
    pub exclusions: &'a Exclusions,
    /// The column by whose values a split is stratified.
    pub label: Option<&'a str>,
}

/// What was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedTable {
    /// The rows.
    pub rows: u64,
    /// Rows of excluded patients, which are none of them.
    pub excluded: u64,
    /// The columns.
    pub columns: Vec<GrantedColumn>,
    /// One number for each row, the same for the rows of one patient, where the dataset names such a column; a row
    /// without an identifier is a patient of its own.
    pub groups: Option<Vec<u32>>,
    /// One number for each row, the same for rows with the same label; rows without one share a number.
    pub labels: Option<Vec<u32>>,
}

/// A granted column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedColumn {
    /// Its name in the study.
    pub name: String,
    /// What its cells are.
    pub column_type: ColumnType,
    /// How many of the granted cells are missing.
    pub missing: u64,
}

/// Writes a table's granted view as CSV: UTF-8, commas, a header, quotes where RFC 4180 needs them, `\n` after each row.
///
/// A missing cell is empty, a number has a point and is the shortest that reads back the same, a truth value is `true`
/// or `false`. Withheld and identifying columns are not in it, nor are the rows of excluded patients; the others keep their order.
/// A column of a Parquet file that cannot be read is left out where no columns are named.
///
/// # Errors
///
/// A column is not there or hidden; the file cannot be read, has changed, or has a value that the plan does not map.
///
/// # Examples
///
/// ```
/// use dataset::granted::{TableGrant, table_view};
/// use dataset::{Exclusions, Interrupt, Options, register};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("ward.csv");
/// std::fs::write(&path, "patient;age;weight\n7;61;70,5\n7;;71\n8;48;NA\n")?;
/// let options = Options { patient_id: Some("patient".to_owned()), ..Options::default() };
/// let registration = register(&path, &options)?;
///
/// let grant = TableGrant {
///     path: &path,
///     registration: &registration,
///     loading_plan: None,
///     columns: &[],
///     exclusions: Exclusions::none(),
///     label: None,
/// };
/// let mut view = Vec::new();
/// let granted = table_view(&grant, &mut view, &mut Interrupt::never())?;
/// assert_eq!(view, b"age,weight\n61,70.5\n,71\n48,\n");
/// assert_eq!(granted.groups, Some(vec![0, 0, 1]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn table_view(
    grant: &TableGrant<'_>,
    output: &mut dyn Write,
    interrupt: &mut Interrupt<'_>,
) -> Result<GrantedTable, Error> {
    let mut view = selected(grant)?;
    loop {
        match write(grant, &view, output, interrupt) {
            // Of a Parquet file all columns are read before the first row is written.
            Err(Error::UnreadableColumn { column, .. }) if grant.columns.is_empty() => {
                view.retain(|other| other.name != column);
            }
            outcome => return outcome,
        }
    }
}

/// The columns that are granted.
fn selected(grant: &TableGrant<'_>) -> Result<Vec<ViewColumn>, Error> {
    let all = view::columns(grant.registration, grant.loading_plan)?;
    if grant.columns.is_empty() {
        return Ok(all);
    }
    let named = grant.columns.iter().map(|name| find(grant, &all, name).cloned());
    named.collect()
}

fn find<'v>(
    grant: &TableGrant<'_>,
    view: &'v [ViewColumn],
    name: &str,
) -> Result<&'v ViewColumn, Error> {
    view::find(view, name).ok_or_else(|| match grant.registration.is_hidden(name) {
        true => Error::HiddenColumn(name.to_owned()),
        false => Error::UnknownColumn(name.to_owned()),
    })
}

fn write(
    grant: &TableGrant<'_>,
    granted: &[ViewColumn],
    output: &mut dyn Write,
    interrupt: &mut Interrupt<'_>,
) -> Result<GrantedTable, Error> {
    let mut view = granted.to_vec();
    let label = grant.label.map(|name| {
        let all = view::columns(grant.registration, grant.loading_plan)?;
        view.push(find(grant, &all, name)?.clone());
        Ok::<_, Error>(view.len() - 1)
    });
    let label = label.transpose()?;
    let patient = grant.registration.options.patient_id.as_deref().map(|name| {
        view.push(view::hidden(grant.registration, name)?);
        Ok::<_, Error>(view.len() - 1)
    });
    let patient = patient.transpose()?;
    if patient.is_none() && !grant.exclusions.is_empty() {
        return Err(Error::NoPatients(Kind::Table));
    }
    let mut excluded = 0;
    let mut writer = Writer { output, has_begun: false };
    let mut missing = vec![0_u64; granted.len()];
    let (mut count, mut groups, mut labels) = (0, Numbering::default(), Numbering::default());
    let header: Vec<Value<'_>> =
        granted.iter().map(|column| Value::Text(column.name.as_str().into())).collect();
    rows::for_each(grant.path, grant.registration, &view, interrupt, |row| {
        writer.begin(&header)?;
        let named = patient.and_then(|place| row.values[place].text());
        if named.is_some_and(|patient| grant.exclusions.names(&patient)) {
            excluded += 1;
            return Ok(());
        }
        let (cells, _) = row.values.split_at(granted.len());
        writer.row(cells)?;
        count += 1;
        for (value, missing) in cells.iter().zip(&mut missing) {
            *missing += u64::from(*value == Value::Missing);
        }
        if let Some(place) = patient {
            groups.push_apart(&row.values[place]);
        }
        if let Some(place) = label {
            labels.push(&row.values[place]);
        }
        Ok(())
    })?;
    writer.begin(&header)?;
    writer.output.flush().map_err(Error::Write)?;
    let columns = granted.iter().zip(missing).map(|(column, missing)| GrantedColumn {
        name: column.name.clone(),
        column_type: column.column_type,
        missing,
    });
    Ok(GrantedTable {
        rows: count,
        excluded,
        columns: columns.collect(),
        groups: patient.map(|_| groups.numbers),
        labels: label.map(|_| labels.numbers),
    })
}

/// Writes rows of CSV.
struct Writer<'a> {
    output: &'a mut dyn Write,
    has_begun: bool,
}

impl Writer<'_> {
    /// Writes the header, once.
    fn begin(&mut self, header: &[Value<'_>]) -> Result<(), Error> {
        if std::mem::replace(&mut self.has_begun, true) { Ok(()) } else { self.row(header) }
    }

    fn row(&mut self, cells: &[Value<'_>]) -> Result<(), Error> {
        let mut line = String::new();
        for (place, cell) in cells.iter().enumerate() {
            if place > 0 {
                line.push(',');
            }
            if let Some(text) = cell.text() {
                quote(&text, &mut line);
            }
        }
        // A row of one empty cell would be a blank line, which readers pass over.
        if line.is_empty() {
            line.push_str("\"\"");
        }
        line.push('\n');
        self.output.write_all(line.as_bytes()).map_err(Error::Write)
    }
}

/// Writes a text in quotes where it would not read back otherwise.
fn quote(text: &str, line: &mut String) {
    if !text.contains([',', '"', '\n', '\r']) {
        return line.push_str(text);
    }
    line.push('"');
    line.push_str(&text.replace('"', "\"\""));
    line.push('"');
}

/// Numbers texts in the order in which they come.
#[derive(Default)]
struct Numbering {
    known: HashMap<Option<String>, u32>,
    numbers: Vec<u32>,
    next: u32,
}

impl Numbering {
    /// Gives equal values one number, and so values that are missing.
    fn push(&mut self, value: &Value<'_>) {
        let key = value.text().map(|text| text.into_owned());
        let next = self.next;
        let number = *self.known.entry(key).or_insert(next);
        self.next = next.max(number + 1);
        self.numbers.push(number);
    }

    /// Gives equal values one number, and each that is missing one of its own.
    fn push_apart(&mut self, value: &Value<'_>) {
        if *value == Value::Missing {
            self.numbers.push(self.next);
            self.next += 1;
        } else {
            self.push(value);
        }
    }
}
