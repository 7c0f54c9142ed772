//! A declared scale: the mean and deviation of each column, written in a file of its own.

use std::collections::BTreeMap;

use crate::document::{Document, Error, Section};

/// The mean and deviation that bring a column's numbers to one scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnScale {
    /// What is taken off, in the column's unit.
    pub mean: f64,
    /// What the rest is divided by, in the column's unit; greater than zero.
    pub deviation: f64,
}

impl ColumnScale {
    /// Brings a value to the scale.
    #[must_use]
    pub fn apply(self, value: f64) -> f64 {
        (value - self.mean) / self.deviation
    }
}

/// The scale of each column, by the column's name.
///
/// The file has one table for each column: `mean_radius = { mean = 14.1, deviation = 3.5 }`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Scale(BTreeMap<String, ColumnScale>);

impl Scale {
    /// Reads the text of a scale file; `file` is the name that errors give.
    ///
    /// # Errors
    ///
    /// The text is not TOML, or a column lacks a finite mean or a deviation greater than zero.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let document = Document::parse(file, text)?;
        let root = document.open_root()?;
        let columns = root.entries().iter().map(|(name, _)| {
            let column = root.required_section(name, &["mean", "deviation"])?;
            let mean = column.required_number("mean")?;
            let deviation = column.required_number("deviation")?;
            // The smallest normal number: anything below it divides a value into infinity.
            if deviation < f64::MIN_POSITIVE {
                let rule = format!("must be greater than 0, found {deviation}");
                return Err(column.rule("deviation", rule));
            }
            Ok((name.clone(), ColumnScale { mean, deviation }))
        });
        columns.collect::<Result<_, _>>().map(Self)
    }

    /// A scale of these columns.
    pub(crate) fn from_columns(columns: BTreeMap<String, ColumnScale>) -> Self {
        Self(columns)
    }

    /// The text of the scale's file.
    #[must_use]
    pub fn to_toml(&self) -> String {
        let number = |value: f64| toml::Value::Float(value).to_string();
        let lines = self.0.iter().map(|(name, ColumnScale { mean, deviation })| {
            let name = crate::document::quoted(name);
            let (mean, deviation) = (number(*mean), number(*deviation));
            format!("{name} = {{ mean = {mean}, deviation = {deviation} }}\n")
        });
        lines.collect()
    }

    /// The scale of a column.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<ColumnScale> {
        self.0.get(name).copied()
    }

    /// The columns with a scale, sorted by name.
    pub fn columns(&self) -> impl Iterator<Item = (&str, ColumnScale)> {
        self.0.iter().map(|(name, scale)| (name.as_str(), *scale))
    }
}

/// Reads the name of the scale file out of `[data]`.
pub(super) fn file_name(data: Section<'_>) -> Result<Option<&str>, Error> {
    let Some(name) = data.text("scale")? else { return Ok(None) };
    if !super::is_plain_name(name) || name == crate::bundle::PLAN_FILE {
        let rule = "must name a file beside the plan, without folders, other than plan.toml";
        return Err(data.rule("scale", rule));
    }
    Ok(Some(name))
}
