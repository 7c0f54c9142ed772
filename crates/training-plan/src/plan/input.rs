//! The model's inputs: what each resolved column becomes.

use super::Plan;
use super::data::{Features, Standardize};
use super::scale::ColumnScale;

/// One column and the inputs that it becomes.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// The column's name.
    pub column: String,
    /// How a cell becomes numbers.
    pub encoding: Encoding,
}

/// How a cell becomes numbers.
#[derive(Clone, Debug, PartialEq)]
pub enum Encoding {
    /// A number, brought to a declared scale where there is one.
    Number(Option<ColumnScale>),
    /// One input a category: 1 for the cell's own category, 0 for the others.
    OneHot(Vec<String>),
}

impl Input {
    /// How many numbers the column becomes.
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.encoding {
            Encoding::Number(_) => 1,
            Encoding::OneHot(categories) => categories.len(),
        }
    }
}

/// Resolved columns do not fit the plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// There is no column at all.
    #[error("the request names no column")]
    None,
    /// The names are not in order, or one stands twice.
    #[error("the request's columns are not in order at {0:?}")]
    Order(String),
    /// The target stands among the columns.
    #[error("the request's columns hold the plan's target {0:?}")]
    Target(String),
    /// The plan lists its features, and these are others.
    #[error("the request's columns are not the plan's features, as {0:?} shows")]
    NotTheFeatures(String),
    /// The declared scale lacks a column.
    #[error("the plan's scale lacks column {0:?}")]
    NoScale(String),
}

impl Plan {
    /// Turns resolved columns into the model's inputs, in the columns' order.
    ///
    /// # Errors
    ///
    /// The columns are not sorted, are not the plan's, or lack a declared scale: a request made by
    /// [`Plan::resolve`](super::Plan::resolve) never does.
    pub fn inputs(&self, columns: &[String]) -> Result<Vec<Input>, InputError> {
        if columns.is_empty() {
            return Err(InputError::None);
        }
        if let Some(pair) = columns.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(InputError::Order(pair[1].clone()));
        }
        if columns.iter().any(|column| column == self.data.target()) {
            return Err(InputError::Target(self.data.target().to_owned()));
        }
        if let Some(name) = self.first_difference(columns) {
            return Err(InputError::NotTheFeatures(name));
        }
        columns.iter().map(|column| self.input(column)).collect()
    }

    /// A column that the plan wants and `columns` lack, or the other way round.
    fn first_difference(&self, columns: &[String]) -> Option<String> {
        let wanted: Vec<&String> = match self.data.features() {
            Features::All => self.data.categories().keys().collect(),
            Features::Named(names) => {
                if let Some(extra) = columns.iter().find(|column| !names.contains(column)) {
                    return Some(extra.clone());
                }
                names.iter().collect()
            }
        };
        wanted.into_iter().find(|name| columns.binary_search(name).is_err()).cloned()
    }

    fn input(&self, column: &str) -> Result<Input, InputError> {
        let encoding = match (self.data.categories().get(column), self.data.standardize()) {
            (Some(categories), _) => Encoding::OneHot(categories.clone()),
            (None, Standardize::Declared(scale)) => {
                let scale = scale.column(column);
                Encoding::Number(Some(scale.ok_or_else(|| InputError::NoScale(column.to_owned()))?))
            }
            (None, Standardize::Federated | Standardize::Local | Standardize::None) => {
                Encoding::Number(None)
            }
        };
        Ok(Input { column: column.to_owned(), encoding })
    }
}
