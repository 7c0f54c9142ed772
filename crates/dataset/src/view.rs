//! A table's columns as a round sees them: without hidden ones, under the study's names, with what changes their cells.

use std::borrow::Cow;
use std::collections::HashMap;

use protocol::ColumnType;

use crate::cell::Cell;
use crate::error::{Error, Place};
use crate::format::DecimalMark;
use crate::loading_plan::{self, AttachedPlan, LoadingPlan, Unit};
use crate::registration::Registration;

/// One column of a view.
#[derive(Clone)]
pub(crate) struct ViewColumn {
    /// Its name in the study.
    pub(crate) name: String,
    /// Its place in the file, counted from 0.
    pub(crate) place: usize,
    /// What its cells are in the file.
    pub(crate) source_type: ColumnType,
    /// What its cells are in the view.
    pub(crate) column_type: ColumnType,
    change: Change,
}

/// What happens to a cell.
#[derive(Clone)]
enum Change {
    None,
    Map(HashMap<String, Mapped>),
    Scale(Unit),
}

/// What a value is mapped to.
#[derive(Clone)]
enum Mapped {
    Missing,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(String),
}

/// A cell of a view.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value<'a> {
    Missing,
    Boolean(bool),
    Integer(i64),
    Number(f64),
    Text(Cow<'a, str>),
}

/// The columns of a table that a round may see, in the file's order.
pub(crate) fn columns(
    registration: &Registration,
    attached: Option<&AttachedPlan>,
) -> Result<Vec<ViewColumn>, Error> {
    let mut columns = under(registration, attached.map(|attached| &attached.plan))?;
    if let Some(attached) = attached {
        for column in &mut columns {
            let known = attached.columns.iter().find(|known| known.name == column.name);
            // Another file is behind the plan than the one it was attached to.
            column.column_type = known.ok_or(Error::Changed)?.column_type;
        }
    }
    Ok(columns)
}

/// The columns under a plan that is not attached yet, so that their types are still those of the file.
pub(crate) fn under(
    registration: &Registration,
    plan: Option<&LoadingPlan>,
) -> Result<Vec<ViewColumn>, Error> {
    let shown = registration.columns.iter().enumerate();
    let shown = shown.filter(|(_, column)| !registration.is_hidden(&column.name));
    let mut columns: Vec<ViewColumn> = shown
        .map(|(place, column)| ViewColumn {
            name: column.name.clone(),
            place,
            source_type: column.column_type,
            column_type: column.column_type,
            change: Change::None,
        })
        .collect();
    if let Some(plan) = plan {
        apply(plan, &mut columns)?;
    }
    Ok(columns)
}

/// A hidden column, for who the rows belong to; its cells never leave this crate.
pub(crate) fn hidden(registration: &Registration, name: &str) -> Result<ViewColumn, Error> {
    let place = registration.place(name)?;
    let text = ColumnType::Text;
    let name = name.to_owned();
    Ok(ViewColumn { name, place, source_type: text, column_type: text, change: Change::None })
}

/// The column of a name.
pub(crate) fn find<'v>(columns: &'v [ViewColumn], name: &str) -> Option<&'v ViewColumn> {
    columns.iter().find(|column| column.name == name)
}

fn apply(plan: &LoadingPlan, columns: &mut [ViewColumn]) -> Result<(), loading_plan::Error> {
    let unknown = |name: &str| loading_plan::Error::Column(name.to_owned());
    let mut renamed = Vec::new();
    for renaming in &plan.columns {
        let place = columns.iter().position(|column| column.name == renaming.here);
        renamed.push((place.ok_or_else(|| unknown(&renaming.here))?, &renaming.column));
    }
    // All at once: two columns may change their names with each other.
    for (place, name) in renamed {
        columns[place].name.clone_from(name);
    }
    for (place, column) in columns.iter().enumerate() {
        if columns[..place].iter().any(|other| other.name == column.name) {
            return Err(loading_plan::Error::DuplicateColumn(column.name.clone()));
        }
    }
    let find = |columns: &mut [ViewColumn], name: &str| {
        columns.iter().position(|column| column.name == name).ok_or_else(|| unknown(name))
    };
    for map in &plan.categories {
        let place = find(columns, &map.column)?;
        let source_type = columns[place].source_type;
        columns[place].change = Change::Map(mapping(&map.values, source_type));
    }
    for unit in &plan.units {
        let place = find(columns, &unit.column)?;
        let is_free = matches!(columns[place].change, Change::None);
        if !is_free || !columns[place].source_type.is_numeric() {
            return Err(loading_plan::Error::NotNumeric(unit.column.clone()));
        }
        columns[place].change = Change::Scale(unit.clone());
    }
    Ok(())
}

/// A map by what a cell says: numbers are compared as numbers where the column has numbers.
fn mapping(values: &[(String, String)], source_type: ColumnType) -> HashMap<String, Mapped> {
    let targets: Vec<Cell<'_>> =
        values.iter().map(|(_, there)| Cell::parse(there.as_bytes(), DecimalMark::Point)).collect();
    let all =
        |is: fn(&Cell<'_>) -> bool| targets.iter().all(|cell| *cell == Cell::Missing || is(cell));
    let is_typed = all(|cell| matches!(cell, Cell::Integer(_) | Cell::Number(_)))
        || all(|cell| matches!(cell, Cell::Boolean(_)));
    let pairs = values.iter().zip(targets).map(|((here, there), cell)| {
        let mapped = match cell {
            Cell::Missing => Mapped::Missing,
            Cell::Integer(value) if is_typed => Mapped::Integer(value),
            Cell::Number(value) if is_typed => Mapped::Number(value),
            Cell::Boolean(value) if is_typed => Mapped::Boolean(value),
            _ => Mapped::Text(there.clone()),
        };
        let here = Value::of(here.as_bytes(), source_type, DecimalMark::Point);
        (here.map_or_else(|| String::from("\0"), |here| here.key()), mapped)
    });
    pairs.collect()
}

impl ViewColumn {
    /// Whether its cells are others than the file's.
    pub(crate) fn is_changed(&self) -> bool {
        !matches!(self.change, Change::None)
    }

    /// What a cell of the file is in the view.
    pub(crate) fn present<'a>(
        &'a self,
        value: Value<'a>,
        place: Place,
    ) -> Result<Value<'a>, Error> {
        if value == Value::Missing {
            return Ok(value);
        }
        match &self.change {
            Change::None => Ok(value),
            Change::Map(map) => {
                let mapped = map.get(&value.key());
                let unmapped = || Error::Unmapped { place, column: self.name.clone() };
                Ok(match mapped.ok_or_else(unmapped)? {
                    Mapped::Missing => Value::Missing,
                    Mapped::Boolean(value) => Value::Boolean(*value),
                    Mapped::Integer(value) => Value::Integer(*value),
                    Mapped::Number(value) => Value::Number(*value),
                    Mapped::Text(text) => Value::Text(Cow::Borrowed(text)),
                })
            }
            Change::Scale(unit) => {
                // A column of this type has nothing but numbers.
                let number = value.number().ok_or(Error::Changed)?;
                let scaled = number * unit.factor + unit.offset;
                if !scaled.is_finite() {
                    return Err(Error::Unscalable { place, column: self.name.clone() });
                }
                Ok(Value::Number(scaled))
            }
        }
    }
}

impl<'a> Value<'a> {
    /// Reads a cell's text as its column's type; nothing where it is not UTF-8 or of another type.
    pub(crate) fn of(raw: &'a [u8], column_type: ColumnType, decimal: DecimalMark) -> Option<Self> {
        let cell = Cell::parse(raw, decimal);
        Some(match (column_type, cell) {
            (_, Cell::Missing) => Self::Missing,
            (ColumnType::Category | ColumnType::Text, _) => {
                Self::Text(Cow::Borrowed(str::from_utf8(raw.trim_ascii()).ok()?))
            }
            (_, Cell::Boolean(value)) => Self::Boolean(value),
            (_, Cell::Integer(value)) => Self::Integer(value),
            (_, Cell::Number(value)) => Self::Number(value),
            // Only a loading plan's key can be a text in a column of numbers; no cell is equal to it.
            (_, Cell::Text(text)) => Self::Text(Cow::Borrowed(str::from_utf8(text).ok()?)),
            (_, Cell::OutOfRange) => return None,
        })
    }

    /// What a value is compared by: equal numbers are equal, however they are written.
    fn key(&self) -> String {
        match self {
            Self::Missing => String::new(),
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(text) => text.to_string(),
        }
    }

    /// The value as a number, as far as it is one.
    #[expect(clippy::cast_precision_loss, reason = "documented: integers are exact up to 2^53")]
    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Self::Missing => Some(f64::NAN),
            Self::Boolean(value) => Some(f64::from(u8::from(*value))),
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Text(_) => None,
        }
    }

    /// The value as the text of a cell; nothing where it is missing. Numbers are the shortest that read back the same.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Self::Missing => return None,
            Self::Boolean(value) => Cow::Owned(value.to_string()),
            Self::Integer(value) => Cow::Owned(value.to_string()),
            Self::Number(value) => Cow::Owned(format!("{value:?}")),
            Self::Text(text) => Cow::Borrowed(text),
        })
    }

    /// The value as a profile counts it.
    pub(crate) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Missing => Cell::Missing,
            Self::Boolean(value) => Cell::Boolean(*value),
            Self::Integer(value) => Cell::Integer(*value),
            Self::Number(value) => Cell::Number(*value),
            Self::Text(text) => Cell::Text(text.as_bytes()),
        }
    }
}
