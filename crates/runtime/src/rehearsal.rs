//! A whole round without a node: what would fail there, and where, and what it would give.

use std::path::Path;

use dataset::{Exclusions, Registered};
use protocol::{Code, DatasetName, Digest, Mode, NodeId, Phase, RuntimeKind, Warning};
use serde_json::{Map, Value};
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

use crate::failure::with_causes;
use crate::{
    Assignment, DataGrant, ExportSummary, Failure, Instance, Monitor, Runtime, Unfollowed,
    Validated, initial_parameters, python_initial_parameters,
};

/// What is rehearsed.
#[derive(Clone, Copy)]
pub struct Rehearsal<'a> {
    /// What executes the plan.
    pub runtime: &'a dyn Runtime,
    /// The plan.
    pub bundle: &'a Bundle,
    /// Its class; empty for the only one.
    pub class: &'a str,
    /// The arguments of its model.
    pub model_args: &'a Map<String, Value>,
    /// The training arguments.
    pub training_args: &'a TrainingArguments,
    /// The resolved columns, sorted.
    pub columns: &'a [String],
    /// The dataset.
    pub data: Rows<'a>,
    /// What seeds are derived from.
    pub origin: &'a Origin,
    /// The parameters to start from; without any, those that the plan makes.
    pub parameters: Option<&'a Path>,
    /// A folder for what the rehearsal writes.
    pub folder: &'a Path,
}

/// A dataset of the researcher's own, or a made-up one.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Its file or folder.
    pub path: &'a Path,
    /// What it is.
    pub registration: &'a Registered,
}

/// What a round's seeds are derived from, beside the dataset's content: with those of a round at a node, a rehearsal
/// on the same dataset gives the same bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The experiment's seed.
    pub seed: u64,
    /// The round's number, from 1.
    pub round: u32,
    /// The node's name.
    pub node: NodeId,
    /// The dataset's name at the node.
    pub dataset: DatasetName,
}

/// What a rehearsal that went well tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsed {
    /// The level of the sandbox, where the plan needs one.
    pub level: Option<String>,
    /// The metrics that would leave a node.
    pub metrics: Vec<(String, f64)>,
    /// What the reply would warn of.
    pub warnings: Vec<Warning>,
    /// The parameters that the round started from.
    pub parameters: ExportSummary,
    /// Those that it ended with.
    pub update: ExportSummary,
    /// Samples that the plan makes of the rows.
    pub samples: u64,
    /// Rows, images or subjects.
    pub rows: u64,
}

/// Where a rehearsal failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{} fails: {failure}", phase.as_str())]
pub struct Stumble {
    /// The phase of the round.
    pub phase: Phase,
    /// Why; its text is for whoever owns the machine.
    #[source]
    pub failure: Failure,
}

impl Rehearsal<'_> {
    /// Makes the first parameters where none are given, and runs all phases of a round on them.
    ///
    /// The folder then holds [`UPDATE`], and [`PARAMETERS`] where they were made.
    ///
    /// # Errors
    ///
    /// [`Stumble`] names the first phase that fails.
    pub fn run(self) -> Result<Rehearsed, Stumble> {
        let at = |phase| move |failure| Stumble { phase, failure };
        let monitor: &mut dyn Monitor = &mut Unfollowed;
        let made = self.folder.join(PARAMETERS);
        let parameters = self.parameters.unwrap_or(&made);
        let started = self.start(parameters, monitor)?;
        let mut instance = self
            .runtime
            .instantiate(self.bundle, self.assignment(), monitor)
            .map_err(at(Phase::Instantiate))?;
        let initialised = instance.initialise(self.model_args, self.training_args, monitor);
        initialised.map_err(at(Phase::Initialise))?;
        instance.load(parameters, monitor).map_err(at(Phase::Load))?;
        let grant = DataGrant {
            path: self.data.path,
            registration: self.data.registration,
            loading_plan: None,
            exclusions: Exclusions::none(),
            minimum_samples: 1,
        };
        let data = instance.open_data(&grant, monitor).map_err(at(Phase::Data))?;
        let rehearsed = Rehearsed {
            level: instance.confinement().map(|confinement| confinement.level),
            metrics: Vec::new(),
            warnings: data.warnings,
            parameters: started.clone(),
            update: started,
            samples: data.rows,
            rows: self.data.registration.samples(),
        };
        self.work(instance, rehearsed)
    }

    /// The parameters that the round starts from: given, or made now.
    fn start(self, path: &Path, monitor: &mut dyn Monitor) -> Result<ExportSummary, Stumble> {
        if self.parameters.is_some() {
            let bytes = std::fs::read(path).map_err(|error| {
                let local = format!("{} cannot be read: {error}", path.display());
                let failure = Failure::new(Code::ParametersUnavailable, local);
                Stumble { phase: Phase::Parameters, failure }
            })?;
            return Ok(ExportSummary { digest: Digest::of(&bytes), size: bytes.len() as u64 });
        }
        let made = match self.bundle.runtime() {
            RuntimeKind::Native => {
                initial_parameters(self.bundle, self.columns, self.origin.seed, path)
                    .map_err(|error| Failure::new(Code::PlanInitFailed, with_causes(&error)))
            }
            RuntimeKind::Python => {
                let given = (self.model_args, self.training_args);
                let assignment = self.assignment();
                let (runtime, bundle) = (self.runtime, self.bundle);
                python_initial_parameters(runtime, bundle, assignment, given, path, monitor)
            }
            RuntimeKind::Statistics => crate::empty_statistics(self.bundle, self.columns, path)
                .map_err(|error| Failure::new(Code::PlanInitFailed, with_causes(&error))),
        };
        made.map_err(|failure| Stumble { phase: early_phase(&failure), failure })
    }

    fn work(
        self,
        mut instance: Box<dyn Instance>,
        mut rehearsed: Rehearsed,
    ) -> Result<Rehearsed, Stumble> {
        let at = |phase| move |failure| Stumble { phase, failure };
        let monitor: &mut dyn Monitor = &mut Unfollowed;
        let validation = self.training_args.validation();
        if validation.on_global_updates {
            let outcome = instance.validate(Validated::Global, monitor);
            rehearsed.warnings.extend(outcome.map_err(at(Phase::ValidateBefore))?.warnings);
        }
        instance.train(monitor).map_err(at(Phase::Train))?;
        if validation.on_local_updates {
            let outcome = instance.validate(Validated::Local, monitor);
            let outcome = outcome.map_err(at(Phase::ValidateAfter))?;
            rehearsed.warnings.extend(outcome.warnings);
            rehearsed.metrics = outcome.report.map(|report| report.metrics).unwrap_or_default();
        }
        rehearsed.warnings.sort_unstable();
        rehearsed.warnings.dedup();
        let path = self.folder.join(UPDATE);
        rehearsed.update = instance.export(&path, monitor).map_err(at(Phase::Export))?;
        Ok(rehearsed)
    }

    fn assignment(self) -> Assignment {
        let Origin { seed, round, node, dataset } = self.origin.clone();
        let is_folder = !matches!(self.data.registration, Registered::Table(_));
        Assignment {
            mode: Mode::Train,
            seed,
            round,
            node,
            dataset,
            dataset_digest: self.data.registration.digest(),
            columns: self.columns.to_vec(),
            memory_limit: None,
            disk_limit: None,
            class: self.class.to_owned(),
            scratch: self.folder.join("round"),
            folders: is_folder.then(|| self.data.path.to_owned()).into_iter().collect(),
            state: None,
        }
    }
}

/// The first parameters are made in the first two phases.
fn early_phase(failure: &Failure) -> Phase {
    match failure.code {
        Code::PlanNotLoadable | Code::SandboxUnavailable => Phase::Instantiate,
        _ => Phase::Initialise,
    }
}

/// The file, in a rehearsal's folder, of the parameters that the plan has made.
pub const PARAMETERS: &str = "parameters.safetensors";

/// The file, in a rehearsal's folder, of the parameters after training.
pub const UPDATE: &str = "update.safetensors";
