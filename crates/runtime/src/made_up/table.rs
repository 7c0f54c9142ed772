//! Rows of a table.

use protocol::ColumnType;

use super::drawn;

/// A column that rows are made up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUpColumn {
    /// Its name.
    pub name: String,
    /// What its cells are.
    pub column_type: ColumnType,
    /// Whether some cells are missing.
    pub has_missing: bool,
    /// What its cells say; without any, something of its type.
    pub values: Vec<String>,
}

/// Rows in which every column has several values; whole numbers are 0 and 1, so that they can be classes.
pub(super) fn rows(columns: &[MadeUpColumn], rows: usize) -> String {
    let mut text = line(columns.iter().map(|column| column.name.clone()));
    for row in 0..rows {
        text.push_str(&cells(columns, row));
    }
    text
}

/// The cells of one row, as a line.
pub(super) fn cells(columns: &[MadeUpColumn], row: usize) -> String {
    line(columns.iter().enumerate().map(|(place, column)| cell(row, place, column)))
}

fn cell(row: usize, place: usize, column: &MadeUpColumn) -> String {
    if column.has_missing && row % 10 == 9 {
        return String::new();
    }
    let drawn = drawn(row, place);
    if let Some(value) = column.values.get(drawn % column.values.len().max(1)) {
        return value.clone();
    }
    match column.column_type {
        ColumnType::Integer => (drawn % 2).to_string(),
        #[expect(clippy::cast_precision_loss, reason = "it is below 17")]
        ColumnType::Number => format!("{:?}", drawn as f64 / 8.0 - 1.0625),
        ColumnType::Boolean => drawn.is_multiple_of(2).to_string(),
        ColumnType::Category => ["a", "b"][drawn % 2].to_owned(),
        ColumnType::Text => format!("text {row}"),
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    cells.map(quoted).collect::<Vec<_>>().join(",") + "\n"
}

/// A cell as CSV has it; an empty one, which is missing, has no quotes.
pub(super) fn quoted(cell: String) -> String {
    let is_plain = !cell.contains([',', '"', '\n', '\r', ';', '\t']);
    if is_plain { cell } else { format!("\"{}\"", cell.replace('"', "\"\"")) }
}

/// Made-up rows of a table.
pub(super) const ROWS: usize = 200;
