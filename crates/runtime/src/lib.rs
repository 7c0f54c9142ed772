//! Runtimes that execute a training plan on a dataset.
//!
//! A [`Runtime`] turns a plan into an [`Instance`], whose methods are the middle phases of a round:
//! initialise, load, open the data, validate, train, validate, export. They are called in this order,
//! block, and end early when the [`Monitor`] says so. What goes wrong is a [`Failure`]: a code and at
//! most a typed detail for whoever asked, and a text that stays with the node.
//!
//! This crate must never know the network, who asks, or what may leave a node.
//!
//! Start reading at [`Instance`], then [`NativeRuntime`], [`initial_parameters`], which makes an
//! experiment's first model, [`Predictor`], which uses a model file without its plan, and [`Rehearsal`], a whole round
//! on a researcher's machine.

pub mod failure;
pub mod instance;
pub mod made_up;
pub mod monitor;
pub mod native;
pub mod python;
pub mod rehearsal;
pub mod statistics;

pub use failure::Failure;
pub use instance::{
    Assignment, DataGrant, DataSummary, ExportSummary, Instance, KeptState, Runtime,
    TrainingSummary, Validated, ValidationOutcome,
};
pub use made_up::MadeUp;
pub use monitor::{Interruption, Measurement, Monitor, Stage, Unfollowed};
pub use native::{NativeRuntime, Predictor, check_plan, initial_parameters};
pub use python::{Confinement, PythonRuntime, python_initial_parameters};
pub use rehearsal::Rehearsal;
pub use statistics::{Cohort, PatientRow, StatisticsRuntime, StatisticsTerms, empty_statistics};
