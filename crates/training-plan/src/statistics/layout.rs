//! The file in which a site answers: its tensors, which are also those of all sites together.

use parameters::{Dtype, Schema, TensorSchema};
use serde::{Deserialize, Serialize};

use super::{Columns, Measure, Query};

/// The names of the tensors. What stands before the first dot is how they are combined.
pub mod tensor {
    /// How many sites have answered.
    pub const ANSWERS: &str = "sum.answers";
    /// By group: how many sites tell of it.
    pub const GROUP_SITES: &str = "sum.groups";
    /// By group: rows, of the sites that tell them.
    pub const ROWS: &str = "sum.rows";
    /// By group: how many sites tell their rows.
    pub const ROW_SITES: &str = "sum.rows_sites";
    /// By group and column: how many sites tell of it.
    pub const COLUMN_SITES: &str = "sum.columns_sites";
    /// By group and column: cells with a value, where no mean is asked for.
    pub const COUNT: &str = "sum.count";
    /// By group and column: cells without a value, of the sites that tell them.
    pub const MISSING: &str = "sum.missing";
    /// By group and column: how many sites tell their missing cells.
    pub const MISSING_SITES: &str = "sum.missing_sites";
    /// By group and column: cells with a value.
    pub const MOMENT_COUNT: &str = "moments.count";
    /// By group and column: the mean.
    pub const MOMENT_MEAN: &str = "moments.mean";
    /// By group and column: the sum of squared differences from the mean.
    pub const MOMENT_SQUARES: &str = "moments.squares";
    /// By group and column: the smallest value; the largest number where there is none.
    pub const MINIMUM: &str = "min.value";
    /// By group and column: the largest value; the smallest number where there is none.
    pub const MAXIMUM: &str = "max.value";

    /// By group and bin of the histogram at this place: how many values.
    #[must_use]
    pub fn bins(place: usize) -> String {
        format!("sum.bins.{place}")
    }

    /// By group and edge of the histogram at this place: how many sites tell what lies on both sides of it.
    #[must_use]
    pub fn edges(place: usize) -> String {
        format!("sum.edges.{place}")
    }
}

/// A query whose columns are known: what its answers hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Layout {
    query: Query,
    columns: Vec<String>,
    schema: Schema,
}

/// Why columns do not fit a query, or an answer is none.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    /// The columns are not those that the query describes.
    #[error("the columns are not those of the query")]
    Columns,
    /// The answer would hold more numbers than is allowed.
    #[error("the query asks for {asked} numbers, at most {MOST_NUMBERS} are answered")]
    TooMany {
        /// How many numbers the answer would hold.
        asked: u64,
    },
    /// The tensors make no file.
    #[error(transparent)]
    Schema(#[from] parameters::schema::Error),
    /// The text is no description of statistics.
    #[error("the description is not one of statistics")]
    Description(#[source] serde_json::Error),
    /// The query breaks a rule.
    #[error(transparent)]
    Query(#[from] crate::document::Error),
}

impl Layout {
    /// Lays a query out for columns, which are sorted.
    ///
    /// # Errors
    ///
    /// The columns are not the query's, or there are too many numbers.
    pub fn new(query: Query, columns: Vec<String>) -> Result<Self, LayoutError> {
        let known = |name: &String| columns.binary_search(name).is_ok();
        let ascend = columns.windows(2).all(|pair| pair[0] < pair[1]);
        let all = match query.columns() {
            Columns::All => query.histograms().keys().all(known),
            Columns::Named(names) => *names == columns,
        };
        let apart = query.group_by().is_none_or(|grouping| !known(&grouping.column));
        if !ascend || !all || !apart || columns.is_empty() {
            return Err(LayoutError::Columns);
        }
        let schema = schema(&query, columns.len())?;
        Ok(Self { query, columns, schema })
    }

    /// Reads the description of a file of statistics.
    ///
    /// # Errors
    ///
    /// The text is none, or what it says breaks a rule.
    pub fn of_description(text: &str) -> Result<Self, LayoutError> {
        let description: Description =
            serde_json::from_str(text).map_err(LayoutError::Description)?;
        if description.format != FORMAT {
            let error = serde::de::Error::custom("the description has another format");
            return Err(LayoutError::Description(error));
        }
        let query = Query::parse("the query", &description.query)?;
        Self::new(query, description.columns)
    }

    /// What the file says of itself, as compact JSON.
    #[must_use]
    pub fn description(&self) -> String {
        let description = Description {
            format: FORMAT.to_owned(),
            query: self.query.to_toml(),
            columns: self.columns.clone(),
        };
        serde_json::to_string(&description).expect("texts are always JSON")
    }

    /// The query.
    #[must_use]
    pub fn query(&self) -> &Query {
        &self.query
    }

    /// The described columns, sorted.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The tensors of an answer.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    format: String,
    query: String,
    columns: Vec<String>,
}

fn schema(query: &Query, columns: usize) -> Result<Schema, LayoutError> {
    let groups = query.group_names().len();
    let mut tensors = Vec::new();
    let mut add = |name: &str, shape: &[usize]| {
        tensors.push(TensorSchema::new(name, Dtype::F64, shape));
    };
    add(tensor::ANSWERS, &[1]);
    add(tensor::GROUP_SITES, &[groups]);
    let cells = [groups, columns];
    add(tensor::COLUMN_SITES, &cells);
    if query.asks_moments() {
        for name in [tensor::MOMENT_COUNT, tensor::MOMENT_MEAN, tensor::MOMENT_SQUARES] {
            add(name, &cells);
        }
    } else {
        add(tensor::COUNT, &cells);
    }
    if query.asks(Measure::Missing) {
        add(tensor::ROWS, &[groups]);
        add(tensor::ROW_SITES, &[groups]);
        add(tensor::MISSING, &cells);
        add(tensor::MISSING_SITES, &cells);
    }
    if query.asks(Measure::Minimum) {
        add(tensor::MINIMUM, &cells);
    }
    if query.asks(Measure::Maximum) {
        add(tensor::MAXIMUM, &cells);
    }
    for (place, edges) in query.histograms().values().enumerate() {
        add(&tensor::bins(place), &[groups, edges.bins()]);
        add(&tensor::edges(place), &[groups, edges.as_slice().len()]);
    }
    let schema = Schema::new(tensors)?;
    let asked = schema.data_bytes() / 8;
    if asked > MOST_NUMBERS { Err(LayoutError::TooMany { asked }) } else { Ok(schema) }
}

/// The name and version of the description.
const FORMAT: &str = "wardround-statistics/1";

/// The most numbers of an answer: 32 MiB.
const MOST_NUMBERS: u64 = 1 << 22;
