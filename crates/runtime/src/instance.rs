//! The seam between a round and what executes its plan.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dataset::{AttachedPlan, Exclusions, Registered, Registration};
use protocol::{DatasetName, Digest, MetricsReport, Mode, NodeId, RuntimeKind, Warning};
use serde_json::{Map, Value};
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

use crate::{Cohort, Confinement, Failure, Monitor};

/// Builds instances of plans.
pub trait Runtime: Send + Sync {
    /// Which plans the runtime executes.
    fn kind(&self) -> RuntimeKind;

    /// Builds the plan object of one round.
    ///
    /// # Errors
    ///
    /// `plan.unsupported_runtime`, `plan.not_loadable`, `sandbox.unavailable`, `cancelled`, `deadline.exceeded`.
    fn instantiate(
        &self,
        bundle: &Bundle,
        assignment: Assignment,
        monitor: &mut dyn Monitor,
    ) -> Result<Box<dyn Instance>, Failure>;
}

/// What a plan object may know of the round it works in: what seeds are derived from, and its limits.
#[derive(Clone, Debug)]
pub struct Assignment {
    /// Whether the round trains.
    pub mode: Mode,
    /// The experiment's seed.
    pub seed: u64,
    /// The round's number in its experiment, from 1.
    pub round: u32,
    /// The node's name.
    pub node: NodeId,
    /// The dataset's name at the node.
    pub dataset: DatasetName,
    /// The digest of the dataset's content.
    pub dataset_digest: Digest,
    /// The resolved columns, sorted.
    pub columns: Vec<String>,
    /// The most bytes of memory that the round may use, where the node sets a limit.
    pub memory_limit: Option<u64>,
    /// The most bytes that a plan in a process of its own may write to its scratch folder, where the node sets a limit.
    pub disk_limit: Option<u64>,
    /// The plan's class inside a Python plan; empty for the only one, and for other plans.
    pub class: String,
    /// The node's folder for this round and nothing else; it may not be there yet.
    pub scratch: PathBuf,
    /// The folders of the dataset that are read in place; none for a table.
    pub folders: Vec<PathBuf>,
    /// Where a plan's own tensors are kept between rounds; none where nothing is kept.
    pub state: Option<KeptState>,
}

/// Tensors of a plan that never leave the node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptState {
    /// What an earlier round kept.
    pub received: Option<PathBuf>,
    /// Where this round's are put.
    pub kept: PathBuf,
}

impl Assignment {
    /// The folder, in the round's own, of what a plan in a process of its own may read.
    #[must_use]
    pub fn granted(&self) -> PathBuf {
        self.scratch.join("granted")
    }
}

/// A plan object: its methods are the middle phases of a round, called in this order.
///
/// After an error nothing but dropping the instance makes sense.
pub trait Instance: Send {
    /// The names of the metrics that may leave the node.
    fn declared_metrics(&self) -> Vec<String>;

    /// How the plan is confined; none where it is no program and needs no confinement.
    fn confinement(&self) -> Option<Confinement> {
        None
    }

    /// The processor time of a plan that ran in a process of its own and has ended.
    fn processor_time(&self) -> Option<Duration> {
        None
    }

    /// What the node's own log should say, such as what the plan printed; each is told once.
    fn remarks(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Whom the answer of a query for statistics tells of, once the data are open; none of plans that train.
    fn cohorts(&self) -> Option<&[Cohort]> {
        None
    }

    /// Builds the model and judges the optimizer's arguments.
    ///
    /// # Errors
    ///
    /// `plan.init_failed`, `arguments.invalid`, `limits.memory`, `cancelled`, `deadline.exceeded`.
    fn initialise(
        &mut self,
        model_args: &Map<String, Value>,
        arguments: &TrainingArguments,
        monitor: &mut dyn Monitor,
    ) -> Result<(), Failure>;

    /// Takes the parameters out of a verified file.
    ///
    /// # Errors
    ///
    /// `parameters.invalid`, `parameters.mismatch`, `parameters.unavailable`, `cancelled`,
    /// `deadline.exceeded`.
    fn load(&mut self, parameters: &Path, monitor: &mut dyn Monitor) -> Result<(), Failure>;

    /// Opens the dataset, treats missing values, and splits the rows.
    ///
    /// # Errors
    ///
    /// `data.unavailable`, `data.invalid`, `data.too_few_samples`, `data.no_training_samples`,
    /// `limits.memory`, `cancelled`, `deadline.exceeded`.
    fn open_data(
        &mut self,
        grant: &DataGrant<'_>,
        monitor: &mut dyn Monitor,
    ) -> Result<DataSummary, Failure>;

    /// Computes the plan's metrics over the whole validation subset.
    ///
    /// A metric that cannot be computed is a warning, not an error.
    ///
    /// # Errors
    ///
    /// `cancelled`, `deadline.exceeded`.
    fn validate(
        &mut self,
        validated: Validated,
        monitor: &mut dyn Monitor,
    ) -> Result<ValidationOutcome, Failure>;

    /// Trains the loaded parameters on the training subset.
    ///
    /// # Errors
    ///
    /// `training.failed`, `training.diverged`, `cancelled`, `deadline.exceeded`.
    fn train(&mut self, monitor: &mut dyn Monitor) -> Result<TrainingSummary, Failure>;

    /// Writes the parameters to a file.
    ///
    /// # Errors
    ///
    /// `plan.export_failed`, `cancelled`, `deadline.exceeded`.
    fn export(&mut self, path: &Path, monitor: &mut dyn Monitor) -> Result<ExportSummary, Failure>;
}

/// A dataset that a round may read.
#[derive(Clone, Copy, Debug)]
pub struct DataGrant<'a> {
    /// The dataset's file or folder.
    pub path: &'a Path,
    /// What was registered of it.
    pub registration: &'a Registered,
    /// How its layout becomes the study's.
    pub loading_plan: Option<&'a AttachedPlan>,
    /// The patients whom the owner leaves out, before anything is counted or split.
    pub exclusions: &'a Exclusions,
    /// The fewest rows that the node works on, and the fewest that it trains on.
    pub minimum_samples: u64,
}

impl<'a> DataGrant<'a> {
    /// What was registered of a table.
    ///
    /// # Errors
    ///
    /// `data.invalid` for a folder.
    pub fn table(&self) -> Result<&'a Registration, Failure> {
        Ok(self.registration.table()?)
    }
}

/// How many rows a round has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataSummary {
    /// Rows after exclusions and missing values.
    pub rows: u64,
    /// Rows of the training subset.
    pub train: u64,
    /// Rows of the validation subset.
    pub validation: u64,
    /// Rows left out because of missing values.
    pub dropped: u64,
    /// Rows or subjects that the owner leaves out.
    pub excluded: u64,
    /// What whoever asked should know.
    pub warnings: Vec<Warning>,
}

/// Which parameters a validation measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validated {
    /// Those that were received.
    Global,
    /// Those that were trained here.
    Local,
}

/// What a validation measured.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ValidationOutcome {
    /// The metrics; none where there is no row to validate on.
    pub report: Option<MetricsReport>,
    /// What whoever asked should know.
    pub warnings: Vec<Warning>,
}

/// What training did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TrainingSummary {
    /// Rows of the training subset, whatever part of them the loop visited.
    pub sample_count: u64,
    /// Optimizer steps taken.
    pub steps: u64,
    /// Rows visited, as often as they were.
    pub samples_trained: u64,
    /// The optimizer's name and settings as used.
    pub optimizer_args: Map<String, Value>,
}

/// A file of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportSummary {
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub size: u64,
}
