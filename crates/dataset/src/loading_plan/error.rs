//! What is wrong with a data loading plan.

use crate::Kind;

/// Why a text is no data loading plan, or the plan is not one for a dataset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is too long.
    #[error("the data loading plan is longer than {limit} bytes")]
    TooLong {
        /// The most bytes.
        limit: usize,
    },
    /// The text is not TOML.
    #[error("line {line}: not valid TOML: {problem}")]
    Syntax {
        /// The line, counted from 1.
        line: usize,
        /// What the parser says.
        problem: String,
    },
    /// A key that nothing knows.
    #[error("line {line}: unknown key {key:?}, expected one of {known}")]
    UnknownKey {
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The keys that are known there.
        known: String,
    },
    /// A value that breaks a rule.
    #[error("line {line}: key {key:?} {rule}")]
    Rule {
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The rule, of which the key is the subject.
        rule: String,
    },
    /// A key that must be there.
    #[error("key {0:?} is missing")]
    Missing(String),
    /// A plan for another kind of dataset.
    #[error("the data loading plan is for {}, the dataset is {}", plan.article(), dataset.article())]
    Kind {
        /// What the plan is for.
        plan: Kind,
        /// What the dataset is.
        dataset: Kind,
    },
    /// A column that the table lacks or hides.
    #[error(
        "the data loading plan names column {0:?}, which the table does not have or does not show"
    )]
    Column(String),
    /// Two columns would have one name.
    #[error("the data loading plan gives two columns the name {0:?}")]
    DuplicateColumn(String),
    /// Numbers are wanted of a column that has none.
    #[error("the data loading plan changes the unit of column {0:?}, which is not numeric")]
    NotNumeric(String),
    /// Columns of a medical folder without a table.
    #[error("the data loading plan names columns, the dataset has no demographics")]
    NoDemographics,
}
