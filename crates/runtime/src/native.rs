//! The native runtime: plans that are data, executed by our own engine inside this process.

mod description;
mod fit;
mod initial;
mod instance;
mod predictor;
mod preparation;
mod tensors;
mod training;
mod validation;

use protocol::{Code, RuntimeKind};
use training_plan::plan::Standardize;
use training_plan::{Bundle, Plan};

use crate::{Assignment, Failure, Instance, Monitor, Runtime};

pub use description::Description;
pub use fit::check_plan;
pub use initial::{InitialError, initial_parameters};
pub use predictor::{Predictor, PredictorError};
pub(crate) use tensors::mismatch;

/// Executes native plans inside this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct NativeRuntime;

impl Runtime for NativeRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Native
    }

    fn instantiate(
        &self,
        bundle: &Bundle,
        assignment: Assignment,
        _monitor: &mut dyn Monitor,
    ) -> Result<Box<dyn Instance>, Failure> {
        match bundle.runtime() {
            RuntimeKind::Native => {}
            RuntimeKind::Python | RuntimeKind::Statistics => {
                let local = "the native runtime was given another plan";
                return Err(Failure::new(Code::PlanUnsupportedRuntime, local));
            }
        }
        let refused = |error: training_plan::document::Error| {
            Failure::new(Code::PlanNotLoadable, error.to_string())
        };
        let plan = Plan::parse(bundle).map_err(refused)?;
        if *plan.data().standardize() == Standardize::Federated {
            let local = "the plan's scale was to come from statistics and is not in its bundle";
            return Err(Failure::new(Code::PlanNotLoadable, local));
        }
        let parts = fit::Parts::of(&plan).map_err(refused)?;
        Ok(Box::new(instance::NativeInstance::new(plan, parts, assignment)))
    }
}
