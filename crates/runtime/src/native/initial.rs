//! An experiment's first parameters.

use std::path::Path;

use dataset::Interrupt;
use training_plan::plan::{Input, InputError, Standardize};
use training_plan::seed::Seed;
use training_plan::{Bundle, Plan, document};

use super::description::Description;
use super::fit::Parts;
use super::tensors;
use crate::ExportSummary;

/// Writes the parameters that an experiment starts from.
///
/// The same plan, columns and seed give the same bytes. The file carries the [`Description`] that makes
/// the model usable without its plan.
///
/// # Errors
///
/// The plan or the columns do not fit, or the file cannot be written.
pub fn initial_parameters(
    bundle: &Bundle,
    columns: &[String],
    seed: u64,
    path: &Path,
) -> Result<ExportSummary, InitialError> {
    let plan = Plan::parse(bundle)?;
    let parts = Parts::of(&plan)?;
    if *plan.data().standardize() == Standardize::Federated {
        return Err(InitialError::NoScale);
    }
    let inputs = plan.inputs(columns)?;
    let mut model = parts.model(inputs.iter().map(Input::width).sum())?;
    model.initialise(&|tensor| Seed::initialisation(seed, tensor).into_bytes());
    let description = Description::of(&plan, &inputs).to_json();
    tensors::write(&model, Some(&description), path, &mut Interrupt::never())
        .map_err(|failure| InitialError::File(failure.local))
}

/// Why there are no first parameters.
#[derive(Debug, thiserror::Error)]
pub enum InitialError {
    /// The plan breaks a rule.
    #[error(transparent)]
    Plan(#[from] document::Error),
    /// The columns are not the plan's.
    #[error(transparent)]
    Columns(#[from] InputError),
    /// The layers do not fit the columns.
    #[error(transparent)]
    Model(#[from] engine::description::Error),
    /// The plan is standardised by statistics that nobody has asked for.
    #[error("the plan's scale is to come from statistics, and is not there")]
    NoScale,
    /// The file cannot be written.
    #[error("{0}")]
    File(String),
}
