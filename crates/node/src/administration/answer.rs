//! What the owner is answered. These go to the owner only, who may see paths.

use std::collections::BTreeMap;
use std::path::PathBuf;

use dataset::registration::RegisteredColumn;
use dataset::{AttachedPlan, ExclusionCount, Exclusions, Kind, Registered};
use protocol::{
    ColumnType, DatasetId, DatasetName, Digest, NodeId, Timestamp, TrainReply, TrainRequest,
};
use runtime::python::Environment;
use sandbox::Level;
use serde::{Deserialize, Serialize};

use crate::backup::Backup;
use crate::grant::{Grant, Status as GrantStatus};
use crate::membership::CertificateStatus;
use crate::registry::datasets::Dataset;
use crate::registry::plans::KnownPlan;
use crate::registry::rounds::RoundRow;
use crate::retention::Kept;
use crate::self_test::SandboxStatus;

/// How a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The node's name.
    pub name: NodeId,
    /// What the program calls itself.
    pub software: String,
    /// Where the coordinator is.
    pub coordinator: String,
    /// Whether a daemon runs.
    pub is_running: bool,
    /// Since when it does.
    pub started_at: Option<Timestamp>,
    /// Whether it is connected.
    pub is_connected: bool,
    /// Whether new rounds are declined.
    pub is_paused: bool,
    /// Rounds that run.
    pub rounds_running: usize,
    /// Rounds that wait for a slot.
    pub rounds_queued: usize,
    /// Rounds that are not delivered yet, those included.
    pub rounds_open: usize,
    /// Registered datasets.
    pub datasets: usize,
    /// Plans that wait for a decision.
    pub plans_pending: usize,
    /// What the self-test of the sandbox found, where an interpreter is registered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<SandboxStatus>,
    /// Why nothing can be recorded in the audit log, where that is so: rounds are refused meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_trouble: Option<String>,
    /// What is kept for a time, and until when; told where the status is what was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
    /// The node's certificate, where it has joined with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<CertificateStatus>,
}

/// A backup that lies in the node's own folder, waiting to be taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MadeBackup {
    /// Its file.
    pub file: PathBuf,
    /// What it is.
    pub backup: Backup,
}

/// A dataset as its owner sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetDetails {
    /// Its identifier.
    pub dataset_id: DatasetId,
    /// Its name.
    pub name: DatasetName,
    /// What it is tagged with.
    pub tags: Vec<String>,
    /// A text for people.
    pub description: String,
    /// What it is made of.
    pub kind: Kind,
    /// Where the file or folder lies.
    pub path: PathBuf,
    /// The digest of its content.
    pub digest: Digest,
    /// The number of rows, images or subjects.
    pub rows: u64,
    /// The columns of the table or of the demographics, in the file's order.
    pub columns: Vec<RegisteredColumn>,
    /// Columns that nobody else sees.
    pub withheld: Vec<String>,
    /// The column that names patients.
    pub patient_id: Option<String>,
    /// What was registered of a folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Registered>,
    /// How its layout becomes a study's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loading_plan: Option<AttachedPlan>,
    /// The level of the sandbox that its Python plans need, where it is more than the node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_level: Option<Level>,
    /// How many patients are left out of every round.
    #[serde(default)]
    pub excluded_patients: u64,
    /// When it was added.
    pub added_at: Timestamp,
    /// When a changed file was last accepted.
    pub updated_at: Option<Timestamp>,
}

impl From<Dataset> for DatasetDetails {
    fn from(dataset: Dataset) -> Self {
        let table = dataset.registration.any_table();
        let columns = table.map(|table| table.columns.clone()).unwrap_or_default();
        let options = table.map(|table| table.options.clone()).unwrap_or_default();
        Self {
            dataset_id: dataset.dataset_id,
            name: dataset.name,
            tags: dataset.tags,
            description: dataset.description,
            kind: dataset.registration.kind(),
            path: dataset.path,
            digest: dataset.registration.digest(),
            rows: dataset.registration.samples(),
            columns,
            withheld: options.withheld,
            patient_id: options.patient_id,
            folder: folder(&dataset.registration),
            loading_plan: dataset.loading_plan,
            minimum_level: dataset.minimum_level,
            excluded_patients: dataset.exclusions.len() as u64,
            added_at: dataset.added_at,
            updated_at: dataset.updated_at,
        }
    }
}

/// What a change of the list of patients who withdrew came to. It names none of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusionReport {
    /// The dataset.
    pub name: DatasetName,
    /// What it is made of.
    pub kind: Kind,
    /// How many patients are on the list now.
    pub patients: u64,
    /// How many came to it or went from it.
    pub changed: u64,
    /// What the list means for the dataset, where that could be read.
    pub count: Option<ExclusionCount>,
    /// Why it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uncounted: Option<String>,
}

impl ExclusionReport {
    pub(super) fn new(dataset: &Dataset, exclusions: &Exclusions, changed: u64) -> Self {
        Self {
            name: dataset.name.clone(),
            kind: dataset.registration.kind(),
            patients: exclusions.len() as u64,
            changed,
            count: None,
            uncounted: None,
        }
    }
}

/// How a dataset's file differs from what was registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetCheck {
    /// The dataset.
    pub name: DatasetName,
    /// Whether its bytes are others.
    pub is_changed: bool,
    /// Whether the change was accepted.
    pub is_updated: bool,
    /// What it is made of.
    pub kind: Kind,
    /// Rows, images or subjects as registered.
    pub rows_before: u64,
    /// Rows, images or subjects now.
    pub rows: u64,
    /// Columns that were not there.
    pub added: Vec<String>,
    /// Columns that are there no more.
    pub removed: Vec<String>,
    /// Columns of another type.
    pub retyped: Vec<Retyping>,
    /// What was registered of a folder that has changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder_before: Option<Registered>,
    /// What a folder is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folder: Option<Registered>,
}

impl DatasetCheck {
    /// A dataset that is what was registered.
    pub(crate) fn unchanged(dataset: &Dataset) -> Self {
        let rows = dataset.registration.samples();
        Self {
            name: dataset.name.clone(),
            is_changed: false,
            is_updated: false,
            kind: dataset.registration.kind(),
            rows_before: rows,
            rows,
            added: Vec::new(),
            removed: Vec::new(),
            retyped: Vec::new(),
            folder_before: None,
            folder: folder(&dataset.registration),
        }
    }
}

/// What was registered, where it is a folder.
pub(crate) fn folder(registered: &Registered) -> Option<Registered> {
    match registered {
        Registered::Table(_) => None,
        Registered::ImageFolder(_) | Registered::MedicalFolder(_) => Some(registered.clone()),
    }
}

/// A column that has another type than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retyping {
    /// The column.
    pub column: String,
    /// Its type as registered.
    pub before: ColumnType,
    /// Its type now.
    pub now: ColumnType,
}

/// How an interpreter differs from what was registered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonCheck {
    /// Its name.
    pub name: String,
    /// Whether it is another than before.
    pub is_changed: bool,
    /// Whether the change was accepted.
    pub is_updated: bool,
    /// What was registered.
    pub before: Environment,
    /// What is there now.
    pub now: Environment,
}

/// A plan with what is granted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanEntry {
    /// What is known of it.
    #[serde(flatten)]
    pub known: KnownPlan,
    /// What all that is granted of it comes to.
    pub status: GrantStatus,
    /// Its grants, the oldest first, those of families that it belongs to included.
    pub grants: Vec<GrantEntry>,
}

/// A grant with what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GrantEntry {
    /// The node's own number for it.
    pub number: u64,
    /// What it comes to.
    pub status: GrantStatus,
    /// How many rounds have run under it.
    pub used: u64,
    /// What it says; nothing where its signature is not the node's.
    pub grant: Option<Grant>,
}

/// A plan beside another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanComparison {
    /// The plan.
    pub plan: Digest,
    /// Its files; none where the file is not here.
    pub files: BTreeMap<String, String>,
    /// The other, or the one that was approved last; none where there is none.
    pub other: Option<Digest>,
    /// The other's files.
    pub other_files: BTreeMap<String, String>,
    /// Whether the two are the same but for comments and whitespace.
    pub is_same_but_for_layout: bool,
}

/// A plan with its texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlanDetails {
    /// What is known of it.
    pub plan: KnownPlan,
    /// What all that is granted of it comes to.
    pub status: GrantStatus,
    /// Its grants, the oldest first.
    pub grants: Vec<GrantEntry>,
    /// A plan that was approved and is the same but for comments and whitespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<Digest>,
    /// What it reads and sends, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<PlanContent>,
    /// Its files; none where the file is not here, or is no plan.
    pub files: BTreeMap<String, String>,
}

/// What a plan reads and sends, as far as its text tells.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PlanContent {
    /// What it calls itself.
    pub name: String,
    /// What it reads, one line each.
    pub reads: Vec<String>,
    /// The tensors of an update, in order; none where only running the plan tells.
    pub tensors: Vec<PlanTensor>,
    /// What it sends in words, where it is no model.
    #[serde(default)]
    pub sends: Vec<String>,
    /// The measured values that it may send.
    pub metrics: Vec<String>,
    /// The packages that it imports.
    pub packages: Vec<String>,
}

/// One tensor of an update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanTensor {
    /// Its name.
    pub name: String,
    /// Its shape; nothing where that depends on the sites' columns.
    pub shape: Option<Vec<u64>>,
}

/// A round with its request and its reply.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RoundDetails {
    /// How far it is.
    pub row: RoundRow,
    /// What was asked.
    pub request: Box<TrainRequest>,
    /// What was replied.
    pub reply: Option<Box<TrainReply>>,
}

/// An update that waits for its owner, or has waited.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldUpdate {
    /// Its round, with the owner's decision.
    pub row: RoundRow,
    /// Its file, while it is here.
    pub file: Option<PathBuf>,
    /// The plan that made it.
    pub plan: Digest,
    /// The rows that it was trained on.
    pub sample_count: u64,
    /// Its tensors, by name, with their shapes.
    pub tensors: BTreeMap<String, Vec<usize>>,
    /// The L2 norm of what it changes in the parameters that the round began with, where those are still here.
    pub norm: Option<f64>,
}

/// What a cancel did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancellation {
    /// The round will end.
    Asked,
    /// It had ended already.
    TooLate,
}
