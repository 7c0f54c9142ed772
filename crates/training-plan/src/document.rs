//! Strict reading of TOML documents: every value knows its line, and nothing unknown passes.
//!
//! A plan or an experiment file is written by a person, so each refusal names the file, the line,
//! the key and the rule, and offers the nearest known name as a hint beside the message.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

mod error;
mod nearest;
mod section;

pub use error::{Error, Problem};
pub use nearest::nearest;
pub(crate) use section::Section;

/// A parsed TOML text whose values know their lines.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    file: String,
    root: Item,
}

impl Document {
    /// Parses `text`; `file` is the name that errors give.
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let lines = Lines::of(text);
        let table = DeTable::parse(text).map_err(|error| {
            let line = error.span().map_or(1, |span| lines.line(span.start));
            Error::syntax(file, line, error.message())
        })?;
        let builder = Builder { file, lines: &lines };
        let root = builder.table("", 1, table.into_inner())?;
        Ok(Self { file: file.to_owned(), root })
    }

    /// Opens the top of the document; a key outside `known` is refused.
    pub(crate) fn root(&self, known: &[&str]) -> Result<Section<'_>, Error> {
        Section::open(&self.file, &self.root, known)
    }

    /// Opens the top of a document whose keys are the writer's own words.
    pub(crate) fn open_root(&self) -> Result<Section<'_>, Error> {
        Section::open_any(&self.file, &self.root)
    }
}

/// A text as TOML writes it in one line, for a value or a key.
pub(crate) fn quoted(text: &str) -> String {
    let escaped = toml::Value::String(text.to_owned()).to_string();
    if escaped.starts_with("\"\"\"") || escaped.starts_with("'''") {
        // JSON escapes more than TOML needs, and nothing that TOML does not know.
        return serde_json::Value::from(text).to_string();
    }
    escaped
}

/// One value, the path of its key and its line.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) path: String,
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// A TOML value; tables keep their keys in bytewise order.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Text(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Datetime,
    Array(Vec<Item>),
    Table(Vec<(String, Item)>),
}

impl Value {
    /// Names the kind of value as it stands in an error message.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a float",
            Self::Boolean(_) => "a boolean",
            Self::Datetime => "a date or time",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// Builds our own tree out of the parser's, so that nothing borrows the text.
struct Builder<'t> {
    file: &'t str,
    lines: &'t Lines,
}

impl Builder<'_> {
    fn table(&self, path: &str, line: usize, table: DeTable<'_>) -> Result<Item, Error> {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let line = self.lines.line(key.span().start);
            let name = key.into_inner().into_owned();
            let child = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            entries.push((name, self.item(&child, line, value)?));
        }
        Ok(Item { path: path.to_owned(), line, value: Value::Table(entries) })
    }

    fn item(&self, path: &str, line: usize, value: Spanned<DeValue<'_>>) -> Result<Item, Error> {
        let value =
            match value.into_inner() {
                DeValue::String(text) => Value::Text(text.into_owned()),
                DeValue::Integer(integer) => {
                    let parsed = i128::from_str_radix(integer.as_str(), integer.radix()).ok();
                    let fits = parsed.filter(|value| INTEGERS.contains(value));
                    Value::Integer(fits.ok_or_else(|| {
                        Error::rule(self.file, line, path, "must fit into 64 bits")
                    })?)
                }
                DeValue::Float(float) => {
                    let parsed =
                        float.as_str().parse::<f64>().ok().filter(|value| value.is_finite());
                    Value::Float(parsed.ok_or_else(|| {
                        Error::rule(self.file, line, path, "must be a finite number")
                    })?)
                }
                DeValue::Boolean(boolean) => Value::Boolean(boolean),
                DeValue::Datetime(_) => Value::Datetime,
                DeValue::Array(array) => {
                    let mut items = Vec::with_capacity(array.len());
                    for (index, item) in array.into_iter().enumerate() {
                        let line = self.lines.line(item.span().start);
                        items.push(self.item(&format!("{path}[{index}]"), line, item)?);
                    }
                    Value::Array(items)
                }
                DeValue::Table(table) => return self.table(path, line, table),
            };
        Ok(Item { path: path.to_owned(), line, value })
    }
}

/// Where the lines of a text begin.
#[derive(Debug)]
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(std::iter::once(0).chain(breaks.map(|(at, _)| at + 1)).collect())
    }

    /// The line, counted from 1, of the byte at `offset`.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|start| *start <= offset)
    }
}

/// The integers that a document may hold: signed or unsigned, 64 bits.
const INTEGERS: std::ops::RangeInclusive<i128> = (i64::MIN as i128)..=(u64::MAX as i128);
