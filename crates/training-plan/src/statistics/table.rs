//! What all sites together say, read out of the combined file.

use std::collections::BTreeMap;

use parameters::Parameters;
use serde::Serialize;

use super::layout::tensor;
use super::{Histogram, Layout, LayoutError, Measure, Quantile, Query};
use crate::plan::{ColumnScale, Scale};

/// The answer to a query.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Table {
    /// How many sites have answered.
    pub sites: u64,
    /// The measures that were asked for, in the order to show them.
    pub measures: Vec<&'static str>,
    /// The column that the groups are of, where there are groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group_by: Option<String>,
    /// The groups in their order; one where there are none.
    pub groups: Vec<GroupStatistics>,
}

/// What is told of a group of rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupStatistics {
    /// The group's value; none where all rows are one group.
    pub group: Option<String>,
    /// How many sites tell of the group.
    pub sites: u64,
    /// The group's rows at the sites that tell them; none where no site does.
    pub rows: Option<u64>,
    /// How many sites tell their rows.
    pub rows_sites: u64,
    /// The columns, sorted by name.
    pub columns: Vec<ColumnStatistics>,
}

/// What is told of a column in a group; what is none was withheld by every site, or does not exist.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnStatistics {
    /// The column's name.
    pub column: String,
    /// How many sites' values are in the numbers.
    pub sites: u64,
    /// Cells with a value.
    pub count: Option<u64>,
    /// Cells without a value, of the sites that tell them.
    pub missing: Option<u64>,
    /// How many sites tell their missing cells.
    pub missing_sites: u64,
    /// The mean.
    pub mean: Option<f64>,
    /// The sample variance.
    pub variance: Option<f64>,
    /// The sample standard deviation.
    pub standard_deviation: Option<f64>,
    /// The smallest value.
    pub minimum: Option<f64>,
    /// The largest value.
    pub maximum: Option<f64>,
    /// The histogram, where one was asked for and a site tells it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub histogram: Option<Histogram>,
    /// The quantiles that were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub quantiles: Vec<Quantile>,
}

/// Why a file is no table of statistics.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file carries no description.
    #[error("the file does not say which statistics it holds")]
    Undescribed,
    /// The description or its query is wrong.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The bytes are no file of tensors.
    #[error(transparent)]
    File(#[from] parameters::Error),
    /// The tensors are not those that the description asks for.
    #[error("the file does not hold the tensors that its description names")]
    Tensors,
}

/// Why a table gives no scale.
#[derive(Debug, thiserror::Error)]
pub enum ScaleError {
    /// Sites withhold what the scale of a column needs.
    #[error("no site tells the mean and the deviation of column {column:?}")]
    Withheld {
        /// The column.
        column: String,
    },
    /// Some sites withhold what the scale of a column needs.
    #[error("{told} of {sites} sites tell the mean and the deviation of column {column:?}")]
    Partial {
        /// The column.
        column: String,
        /// How many sites tell it.
        told: u64,
        /// How many sites have answered.
        sites: u64,
    },
    /// Sites that were asked have not answered.
    #[error("{answered} of {asked} sites have told their statistics, and a scale needs all")]
    Unanswered {
        /// How many sites have answered.
        answered: u64,
        /// How many sites were asked.
        asked: u64,
    },
}

impl Table {
    /// Reads the combined file of a statistics experiment.
    ///
    /// # Errors
    ///
    /// The bytes are no such file.
    pub fn parse(bytes: &[u8]) -> Result<Self, TableError> {
        let limits = parameters::header::Limits::default();
        let (parameters, header) = Parameters::from_bytes_within(bytes, &limits)?;
        let description = header.description().ok_or(TableError::Undescribed)?;
        let layout = Layout::of_description(description)?;
        if !layout.schema().differences(header.schema()).is_empty() {
            return Err(TableError::Tensors);
        }
        Ok(Self::read(&layout, &parameters))
    }

    fn read(layout: &Layout, parameters: &Parameters) -> Self {
        let query = layout.query();
        let tensors = Tensors::of(parameters);
        let names = query.group_names().into_iter().enumerate();
        let groups = names.map(|(place, name)| {
            let columns = layout.columns().iter().enumerate();
            let cell = |(column, named): (usize, &String)| {
                let cell =
                    Cell { tensors: &tensors, group: place, columns: layout.columns().len() };
                cell.read(query, column, named)
            };
            let rows_sites = tensors.whole(tensor::ROW_SITES, place);
            GroupStatistics {
                group: name.map(str::to_owned),
                sites: tensors.whole(tensor::GROUP_SITES, place),
                rows: (rows_sites > 0).then(|| tensors.whole(tensor::ROWS, place)),
                rows_sites,
                columns: columns.map(cell).collect(),
            }
        });
        Self {
            sites: tensors.whole(tensor::ANSWERS, 0),
            measures: query.measures().iter().map(|measure| measure.as_str()).collect(),
            group_by: query.group_by().map(|grouping| grouping.column.clone()),
            groups: groups.collect(),
        }
    }

    /// The scale that brings each column to mean 0 and population deviation 1 over all sites that were asked; a column
    /// that does not vary is only shifted.
    ///
    /// # Errors
    ///
    /// A site has not answered, or withholds what a column needs.
    pub fn scale(&self, asked: u64) -> Result<Scale, ScaleError> {
        if self.sites < asked {
            return Err(ScaleError::Unanswered { answered: self.sites, asked });
        }
        let columns = self.groups.first().map(|group| group.columns.as_slice()).unwrap_or_default();
        let scales = columns.iter().map(|column| {
            let name = column.column.clone();
            let (Some(mean), Some(count)) = (column.mean, column.count) else {
                return Err(ScaleError::Withheld { column: name });
            };
            if column.sites < self.sites {
                let (told, sites) = (column.sites, self.sites);
                return Err(ScaleError::Partial { column: name, told, sites });
            }
            let squares = column.variance.unwrap_or(0.0) * float(count.saturating_sub(1));
            let deviation = (squares / float(count)).sqrt();
            let deviation = if deviation >= f64::MIN_POSITIVE { deviation } else { 1.0 };
            Ok((name, ColumnScale { mean, deviation }))
        });
        let scales: BTreeMap<String, ColumnScale> = scales.collect::<Result<_, _>>()?;
        Ok(Scale::from_columns(scales))
    }
}

/// The numbers of a file by the names of their tensors.
struct Tensors(BTreeMap<String, Vec<f64>>);

impl Tensors {
    fn of(parameters: &Parameters) -> Self {
        let tensors = parameters.iter();
        Self(tensors.map(|(name, tensor)| (name.to_owned(), tensor.to_f64())).collect())
    }

    /// A number of a tensor; 0 where the query does not ask for the tensor.
    fn number(&self, name: &str, place: usize) -> f64 {
        self.0.get(name).and_then(|numbers| numbers.get(place)).copied().unwrap_or(0.0)
    }

    fn whole(&self, name: &str, place: usize) -> u64 {
        whole(self.number(name, place))
    }

    fn row(&self, name: &str, row: usize, length: usize) -> &[f64] {
        let numbers = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        numbers.get(row * length..(row + 1) * length).unwrap_or_default()
    }
}

/// One column in one group.
struct Cell<'a> {
    tensors: &'a Tensors,
    group: usize,
    columns: usize,
}

impl Cell<'_> {
    fn read(&self, query: &Query, column: usize, name: &str) -> ColumnStatistics {
        let place = self.group * self.columns + column;
        let tensors = self.tensors;
        let sites = tensors.whole(tensor::COLUMN_SITES, place);
        let counted = if query.asks_moments() { tensor::MOMENT_COUNT } else { tensor::COUNT };
        let count = tensors.whole(counted, place);
        let has = |measure, least| sites > 0 && count >= least && query.asks(measure);
        let variance = tensors.number(tensor::MOMENT_SQUARES, place) / float(count.max(2) - 1);
        let spread = (query.asks_spread() && sites > 0 && count > 1).then_some(variance.max(0.0));
        let missing_sites = tensors.whole(tensor::MISSING_SITES, place);
        let histogram = self.histogram(query, name, sites);
        let quantile = |histogram: &Histogram| {
            query.quantiles().iter().map(|quantile| histogram.quantile(*quantile)).collect()
        };
        ColumnStatistics {
            column: name.to_owned(),
            sites,
            count: (sites > 0).then_some(count),
            missing: (missing_sites > 0).then(|| tensors.whole(tensor::MISSING, place)),
            missing_sites,
            mean: (query.asks_moments() && sites > 0 && count > 0)
                .then(|| tensors.number(tensor::MOMENT_MEAN, place)),
            variance: spread,
            standard_deviation: spread.map(f64::sqrt),
            minimum: has(Measure::Minimum, 1).then(|| tensors.number(tensor::MINIMUM, place)),
            maximum: has(Measure::Maximum, 1).then(|| tensors.number(tensor::MAXIMUM, place)),
            quantiles: histogram.as_ref().map(quantile).unwrap_or_default(),
            histogram,
        }
    }

    fn histogram(&self, query: &Query, name: &str, sites: u64) -> Option<Histogram> {
        let place = query.histograms().keys().position(|column| column == name)?;
        let edges = &query.histograms()[name];
        let counts = self.tensors.row(&tensor::bins(place), self.group, edges.bins());
        let told = self.tensors.row(&tensor::edges(place), self.group, edges.as_slice().len());
        (sites > 0).then(|| Histogram::pooled(edges, sites, counts, told))
    }
}

/// A count that was kept as a float; what is none is 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
pub(super) fn whole(number: f64) -> u64 {
    number.round() as u64
}

#[expect(clippy::cast_precision_loss, reason = "no federation has 2^53 rows")]
fn float(count: u64) -> f64 {
    count as f64
}
