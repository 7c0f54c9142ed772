//! Federated statistics: a plan that counts and averages instead of training.
//!
//! A query says which columns are described, by which measures, for which groups of rows. Each site answers with a
//! file of named tensors ([`Layout`]), which are combined without being understood: the first part of a tensor's name
//! is its rule. What comes out is read as a [`Table`].

mod csv;
mod histogram;
mod layout;
mod reading;
mod resolve;
mod table;
mod writing;

use std::collections::BTreeMap;

use crate::bundle::{Bundle, STATISTICS_FILE};
use crate::document::{Document, Error};

pub use histogram::{Bin, Edges, Histogram, Quantile};
pub use layout::{Layout, LayoutError, tensor};
pub use table::{ColumnStatistics, GroupStatistics, ScaleError, Table, TableError};

pub(crate) use reading::{KEYS, read};

/// What is asked of the selected datasets.
///
/// # Examples
///
/// ```
/// use training_plan::Bundle;
/// use training_plan::statistics::{Measure, Query};
///
/// let text = "columns = [\"age\"]\n[histograms]\nage = { from = 0, to = 100, bins = 10 }\n";
/// let query = Query::parse("statistics.toml", text)?;
/// assert!(query.measures().contains(&Measure::Mean));
/// let bundle = Bundle::statistics(&query)?;
/// assert_eq!(Query::of_bundle(&bundle)?, query);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    columns: Columns,
    group_by: Option<Grouping>,
    measures: Vec<Measure>,
    histograms: BTreeMap<String, Edges>,
    quantiles: Vec<f64>,
}

/// Which columns are described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Columns {
    /// Every numeric column that the sites show.
    All,
    /// The named columns, sorted.
    Named(Vec<String>),
}

/// The groups of rows that are described apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// The column whose value says to which group a row belongs.
    pub column: String,
    /// The values that make a group, in the order of the table; rows with others are in none.
    pub values: Vec<String>,
}

/// A number that describes a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// How many cells have a value.
    Count,
    /// How many cells have none.
    Missing,
    /// The arithmetic mean.
    Mean,
    /// The sample variance, over the count less one.
    Variance,
    /// The square root of the sample variance.
    Deviation,
    /// The smallest value.
    Minimum,
    /// The largest value.
    Maximum,
}

impl Measure {
    /// Every measure, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Count,
        Self::Missing,
        Self::Mean,
        Self::Variance,
        Self::Deviation,
        Self::Minimum,
        Self::Maximum,
    ];

    /// The word that files and tables use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Missing => "missing",
            Self::Mean => "mean",
            Self::Variance => "variance",
            Self::Deviation => "standard_deviation",
            Self::Minimum => "minimum",
            Self::Maximum => "maximum",
        }
    }
}

impl Query {
    /// Reads the text of a query; `file` is the name that errors give.
    ///
    /// # Errors
    ///
    /// The first thing that breaks a rule, with its file, line, key and rule.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let document = Document::parse(file, text)?;
        reading::read(document.root(KEYS)?)
    }

    /// Reads the query of a bundle.
    ///
    /// # Errors
    ///
    /// As [`Query::parse`].
    pub fn of_bundle(bundle: &Bundle) -> Result<Self, Error> {
        Self::parse(STATISTICS_FILE, bundle.file(STATISTICS_FILE).unwrap_or_default())
    }

    /// A query for the mean and the deviation of columns, as a training plan's scale needs them.
    #[must_use]
    pub fn scale_of(mut columns: Vec<String>) -> Self {
        columns.sort();
        Self {
            columns: Columns::Named(columns),
            group_by: None,
            measures: vec![Measure::Count, Measure::Mean, Measure::Deviation],
            histograms: BTreeMap::new(),
            quantiles: Vec::new(),
        }
    }

    /// The query's one spelling: queries that ask the same have the same text, and so the same digest.
    #[must_use]
    pub fn to_toml(&self) -> String {
        writing::write(self)
    }

    /// Which columns are described.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.columns
    }

    /// The groups that are described apart; none for one group of all rows.
    #[must_use]
    pub fn group_by(&self) -> Option<&Grouping> {
        self.group_by.as_ref()
    }

    /// The measures, in the order of the table.
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Whether a measure is asked for.
    #[must_use]
    pub fn asks(&self, measure: Measure) -> bool {
        self.measures.contains(&measure)
    }

    /// Whether means or what needs them are asked for.
    #[must_use]
    pub fn asks_moments(&self) -> bool {
        self.asks(Measure::Mean) || self.asks_spread()
    }

    /// Whether variances or what needs them are asked for.
    #[must_use]
    pub fn asks_spread(&self) -> bool {
        self.asks(Measure::Variance) || self.asks(Measure::Deviation)
    }

    /// Whether the smallest or the largest values are asked for.
    #[must_use]
    pub fn asks_extremes(&self) -> bool {
        self.asks(Measure::Minimum) || self.asks(Measure::Maximum)
    }

    /// The edges of each column's histogram.
    #[must_use]
    pub fn histograms(&self) -> &BTreeMap<String, Edges> {
        &self.histograms
    }

    /// The quantiles that are read off the histograms, each above 0 and below 1, ascending.
    #[must_use]
    pub fn quantiles(&self) -> &[f64] {
        &self.quantiles
    }

    /// The names of the groups in the order of the table; one without a name where there are no groups.
    #[must_use]
    pub fn group_names(&self) -> Vec<Option<&str>> {
        match &self.group_by {
            Some(grouping) => grouping.values.iter().map(|value| Some(value.as_str())).collect(),
            None => vec![None],
        }
    }
}
