//! The statistics runtime: queries that count and average, answered so that few patients are never told of.

mod answer;
mod bins;
mod cohort;
mod instance;
mod moments;
mod protection;
mod rows;

use std::path::Path;

use parameters::{Durability, Parameters, Tensor};
use protocol::{Code, Digest, RuntimeKind};
use training_plan::Bundle;
use training_plan::statistics::{Layout, LayoutError, Query};

use crate::{Assignment, ExportSummary, Failure, Instance, Monitor, Runtime};

pub use cohort::{Cohort, PatientRow};

/// Answers queries inside this process, within the owner's terms.
#[derive(Clone, Copy, Debug)]
pub struct StatisticsRuntime {
    /// What may be told.
    pub terms: StatisticsTerms,
}

/// What an owner lets statistics tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatisticsTerms {
    /// Counts of fewer patients than this are withheld, with everything that is computed from them.
    pub minimum_count: u64,
    /// Whether smallest and largest values are told, each of which is one patient's.
    pub extremes: bool,
}

impl Default for StatisticsTerms {
    fn default() -> Self {
        Self { minimum_count: 10, extremes: false }
    }
}

impl Runtime for StatisticsRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Statistics
    }

    fn instantiate(
        &self,
        bundle: &Bundle,
        assignment: Assignment,
        _monitor: &mut dyn Monitor,
    ) -> Result<Box<dyn Instance>, Failure> {
        match bundle.runtime() {
            RuntimeKind::Statistics => {}
            RuntimeKind::Native | RuntimeKind::Python => {
                let local = "the statistics runtime was given another plan";
                return Err(Failure::new(Code::PlanUnsupportedRuntime, local));
            }
        }
        let query = Query::of_bundle(bundle)
            .map_err(|error| Failure::new(Code::PlanNotLoadable, error.to_string()))?;
        Ok(Box::new(instance::StatisticsInstance::new(query, assignment, self.terms)))
    }
}

/// Writes the file that a query starts from: the tensors of its answer, all 0.
///
/// # Errors
///
/// The columns are not the query's, or the file cannot be written.
pub fn empty_statistics(
    bundle: &Bundle,
    columns: &[String],
    path: &Path,
) -> Result<ExportSummary, EmptyError> {
    let layout =
        Layout::new(Query::of_bundle(bundle).map_err(LayoutError::from)?, columns.to_vec())?;
    let mut parameters = Parameters::new();
    for tensor in layout.schema().tensors() {
        let elements = tensor.checked_elements().unwrap_or(0);
        let bytes = vec![0; elements * tensor.dtype.size()];
        parameters.insert(&tensor.name, Tensor::new(tensor.dtype, &tensor.shape, bytes)?)?;
    }
    Ok(write(&parameters, &layout.description(), path)?)
}

/// Why there is no file that a query starts from.
#[derive(Debug, thiserror::Error)]
pub enum EmptyError {
    /// The columns are not the query's, or ask for too much.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// The file cannot be written.
    #[error(transparent)]
    File(#[from] parameters::Error),
}

fn write(
    parameters: &Parameters,
    description: &str,
    path: &Path,
) -> Result<ExportSummary, parameters::Error> {
    let digest = Digest::of(&parameters.to_bytes(Some(description))?);
    let size = parameters.write(path, Some(description), Durability::Renamed)?;
    Ok(ExportSummary { digest, size })
}
