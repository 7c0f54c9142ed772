//! What the owner asks for.

use std::path::PathBuf;

use dataset::{Description, Exclusions};
use protocol::{DatasetName, RoundId};
use sandbox::Level;
use serde::{Deserialize, Serialize};

use crate::audit::{Handover, Step};
use crate::registry::releases::Decision;

/// One command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Request {
    /// How the node is.
    Status,
    /// Look at what the node's rounds need.
    Examine,
    /// Copy everything that cannot be made again into one file.
    Backup,
    /// Sign with another key from now on.
    ReplaceKey {
        /// What became of the key until now.
        end: Handover,
        /// Where to stand still, for tests of what a crash leaves.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pause_at: Option<Step>,
    },
    /// Take no new rounds.
    Pause,
    /// Take rounds again.
    Resume,
    /// Register a dataset.
    DatasetAdd(DatasetAddition),
    /// List the datasets.
    DatasetList,
    /// Show a dataset.
    DatasetShow {
        /// Its name.
        name: String,
    },
    /// Compare a dataset's file with what was registered.
    DatasetCheck {
        /// Its name.
        name: String,
        /// Whether a change is accepted.
        acceptance: Acceptance,
    },
    /// Change what is said of a dataset.
    DatasetEdit {
        /// Its name.
        name: String,
        /// What to change.
        edit: DatasetEdit,
    },
    /// Attach a data loading plan to a dataset, in place of the one it has.
    DatasetAttachPlan {
        /// Its name.
        name: String,
        /// The plan's text; none to go without.
        plan: Option<String>,
    },
    /// Change whom a dataset leaves out.
    DatasetExclude {
        /// Its name.
        name: String,
        /// The change.
        change: ExclusionChange,
    },
    /// List whom a dataset leaves out.
    DatasetExclusions {
        /// Its name.
        name: String,
    },
    /// Forget a dataset.
    DatasetRemove {
        /// Its name.
        name: String,
    },
    /// Something about Python interpreters.
    Python(PythonRequest),
    /// Something about the policy.
    Policy(PolicyRequest),
    /// Something about updates that wait for their owner.
    Release(ReleaseRequest),
    /// Something about plans.
    Plan(PlanRequest),
    /// List the rounds.
    RoundList {
        /// At most so many.
        limit: usize,
    },
    /// Name the rounds of which nothing can be read.
    RoundsUnreadable {
        /// Among so many.
        limit: usize,
    },
    /// Show a round.
    RoundShow {
        /// Its id.
        round: RoundId,
    },
    /// Show a round's local log.
    RoundLog {
        /// Its id.
        round: RoundId,
    },
    /// End a round.
    RoundCancel {
        /// Its id.
        round: RoundId,
    },
    /// Forget a round whose journal is damaged.
    RoundDrop {
        /// Its id.
        round: RoundId,
    },
}

/// What is asked about plans.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum PlanRequest {
    /// List them.
    List,
    /// Show one.
    Show {
        /// Its digest, or the first digits of it.
        digest: String,
    },
    /// Compare one with another, or with the one that was approved last.
    Compare {
        /// Its digest, or the first digits of it.
        digest: String,
        /// The other's.
        other: Option<String>,
    },
    /// Let one run.
    Approve {
        /// Its digest, or the first digits of it.
        digest: String,
        /// What the owner tells whoever asked.
        note: String,
        /// Within which bounds.
        grant: GrantText,
    },
    /// Keep one from running, and withdraw what was granted.
    Reject {
        /// Its digest, or the first digits of it.
        digest: String,
        /// What the owner tells whoever asked.
        note: String,
    },
    /// Withdraw what was granted.
    Revoke {
        /// The plan's digest, or the first digits of it.
        digest: String,
        /// One grant of several.
        grant: Option<u64>,
        /// What the owner tells whoever asked.
        note: String,
    },
    /// Sign a grant as the second person.
    Countersign {
        /// The plan's digest, or the first digits of it.
        digest: String,
    },
    /// Register a plan file.
    Register {
        /// The plan's file, or a bundle.
        path: PathBuf,
        /// Within which bounds it may run.
        grant: GrantText,
    },
}

/// The bounds of a grant, as a grant file says them; an empty text bounds nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantText {
    /// The file's name, for what is wrong with it; none for bounds that were typed.
    pub file: Option<String>,
    /// The text, which is TOML.
    pub text: String,
}

/// What is asked about the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum PolicyRequest {
    /// Show what is in effect.
    Show {
        /// For which dataset; none for those that the file does not name.
        dataset: Option<DatasetName>,
    },
    /// Read the file again.
    Reload,
}

/// What is asked about updates that wait for their owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum ReleaseRequest {
    /// List them.
    List,
    /// Show one.
    Show {
        /// Its round.
        round: RoundId,
    },
    /// Decide about one.
    Decide {
        /// Its round.
        round: RoundId,
        /// Whether it may leave.
        decision: Decision,
        /// What the owner notes.
        note: String,
    },
}

/// A dataset to be registered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DatasetAddition {
    /// Its name, unique at the node.
    pub name: DatasetName,
    /// Its file or folder.
    pub path: PathBuf,
    /// What it is tagged with.
    pub tags: Vec<String>,
    /// A text for people.
    pub description: String,
    /// What kind it is, how it is to be read, and which columns nobody may see.
    pub dataset: Description,
    /// The text of its data loading plan.
    #[serde(default)]
    pub loading_plan: Option<String>,
    /// The level of the sandbox that its Python plans need, where it is more than the node's.
    #[serde(default)]
    pub minimum_level: Option<Level>,
}

/// What is asked about Python interpreters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum PythonRequest {
    /// Register an interpreter.
    Add {
        /// Its name, unique at the node.
        name: String,
        /// The interpreter.
        path: PathBuf,
    },
    /// List the interpreters.
    List,
    /// Compare an interpreter with what was registered.
    Check {
        /// Its name.
        name: String,
        /// Whether a change is accepted.
        acceptance: Acceptance,
    },
    /// Forget an interpreter.
    Remove {
        /// Its name.
        name: String,
    },
}

/// What to change of what is said of a dataset; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetEdit {
    /// New tags.
    pub tags: Option<Vec<String>>,
    /// A new description.
    pub description: Option<String>,
    /// Another level of the sandbox that its Python plans need.
    #[serde(default)]
    pub minimum_level: Option<Level>,
}

/// How the list of patients who withdrew changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExclusionChange {
    /// These are left out, too.
    Exclude {
        /// By the dataset's identifiers.
        patients: Exclusions,
    },
    /// These are not left out any more.
    Include {
        /// By the dataset's identifiers.
        patients: Exclusions,
    },
    /// Nobody is left out any more.
    IncludeAll,
}

/// What to do about a file that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Acceptance {
    /// Tell.
    Look,
    /// Tell, and register the file as it is now.
    Update,
}
