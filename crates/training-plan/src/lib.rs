//! Training plans, experiment files, training arguments, metrics and seeds.
//!
//! This crate must never know engines, child processes or where approvals are kept: it is pure, reads
//! texts and numbers, and gives values that cannot be wrong or an error that names the rule.
//!
//! Start reading at [`Plan::parse`] and [`Experiment::parse`](experiment::Experiment::parse), then
//! [`TrainingArguments`](arguments::TrainingArguments).

pub mod arguments;
pub mod bundle;
pub mod document;
pub mod experiment;
pub mod metric;
pub mod normal;
pub mod plan;
pub mod seed;
pub mod statistics;

pub use bundle::Bundle;
pub use plan::Plan;
