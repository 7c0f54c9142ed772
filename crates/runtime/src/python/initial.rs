//! An experiment's first parameters, made by the plan itself.

use std::path::Path;

use serde_json::{Map, Value};
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

use crate::{Assignment, ExportSummary, Failure, Monitor, Runtime};

/// Writes the parameters that an experiment with a Python plan starts from: those that the plan's own model has when
/// it is built with the experiment's seed.
///
/// # Errors
///
/// As the phases of a round up to initialise, and export.
pub fn python_initial_parameters(
    runtime: &dyn Runtime,
    bundle: &Bundle,
    assignment: Assignment,
    arguments: (&Map<String, Value>, &TrainingArguments),
    path: &Path,
    monitor: &mut dyn Monitor,
) -> Result<ExportSummary, Failure> {
    let (model_args, training_args) = arguments;
    let mut instance = runtime.instantiate(bundle, assignment, monitor)?;
    instance.initialise(model_args, training_args, monitor)?;
    instance.export(path, monitor)
}
