//! The report of an experiment: one HTML file that needs nothing else.
//!
//! Curves are drawn as inline SVG and stay apart without colour: every line has its own dashes,
//! its own marker and its name at its end. The numbers stand in a table beside each figure. The
//! page has no script and loads nothing.

mod axis;
mod curves;
mod label;
mod markup;
mod number;
mod page;
mod plot;
mod statistics;
mod tables;

use protocol::History;
use training_plan::statistics::Table;

/// What a report shows.
///
/// # Examples
///
/// ```
/// use protocol::{ExperimentId, History};
/// use researcher::report::Report;
///
/// let history = History {
///     experiment_id: "0197f3a0-0000-7000-8000-000000000001".parse().unwrap(),
///     name: "breast cancer <logistic>".to_owned(),
///     state: "completed".to_owned(),
///     seed: 42,
///     rounds_planned: 0,
///     rounds: Vec::new(),
/// };
/// let page = Report::new(history).to_html();
/// assert!(page.starts_with("<!DOCTYPE html>"));
/// assert!(page.contains("breast cancer &lt;logistic&gt;"));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What the experiment did.
    pub history: History,
    /// Facts for the head of the page, beside those of the history: a name and a text each.
    pub facts: Vec<(String, String)>,
    /// Models measured on rows that none of them has seen.
    pub comparison: Option<Comparison>,
    /// What the sites say of their data, where that was asked for.
    pub statistics: Option<Table>,
}

/// Models side by side on the same rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// What was measured on what: `114 patients that no hospital trained on`.
    pub caption: String,
    /// The names of the metrics.
    pub metrics: Vec<String>,
    /// The models, in the order to show them.
    pub models: Vec<ComparedModel>,
}

/// One line of a comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct ComparedModel {
    /// The model's name: `federated`, `north alone`, `all data pooled`.
    pub name: String,
    /// What it was trained on, in words.
    pub trained_on: String,
    /// Whether this is the model that the report is about.
    pub emphasis: Emphasis,
    /// One value for each metric; none where it has none.
    pub values: Vec<Option<f64>>,
}

/// Whether a line stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emphasis {
    /// It does.
    Strong,
    /// It does not.
    Plain,
}

impl Report {
    /// Reports a history and nothing else.
    #[must_use]
    pub fn new(history: History) -> Self {
        Self { history, facts: Vec::new(), comparison: None, statistics: None }
    }

    /// The whole page.
    #[must_use]
    pub fn to_html(&self) -> String {
        page::render(self)
    }
}
