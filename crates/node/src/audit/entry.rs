//! What is recorded: who did what, to which objects, with which result.
//!
//! Every text in an entry comes from a closed list, an identifier, a checked name, a digest or a number. There is no way
//! to put free text, a path or a value of a dataset into one.

use std::fmt;

use protocol::{
    Code, DatasetId, DatasetName, Digest, ExperimentId, ResearcherId, RoundId, Timestamp,
};
use serde::{Deserialize, Serialize};

use crate::grant::{Grant, Second};

/// Something that the node does, or refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) at: Timestamp,
    pub(crate) actor: Actor,
    pub(crate) action: Action,
    pub(crate) result: Code,
    pub(crate) objects: Vec<(Object, String)>,
}

/// Who did it, or asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Actor {
    /// The operating system's user behind the owner's socket, or of the process.
    Owner {
        /// The user's number.
        user: u32,
        /// The user's name, where this machine's own list has it.
        name: Option<String>,
    },
    /// A researcher, through the coordinator.
    Researcher(ResearcherId),
    /// The node by itself.
    Node,
}

macro_rules! actions {
    ($( $(#[$meta:meta])* $variant:ident = $text:literal, )*) => {
        /// What was done.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Action {
            $( $(#[$meta])* #[serde(rename = $text)] $variant, )*
        }

        impl Action {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The action as it is written everywhere.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

actions! {
    /// The log begins.
    LogBegin = "log.begin",
    /// A record that a crash had cut short was taken away.
    LogCut = "log.cut",
    /// More happened, while nothing could be recorded, than could be kept to be recorded later.
    LogMissed = "log.missed",
    /// Records may be missing before this one: the log is that of a backup.
    LogGap = "log.gap",
    /// The log's key is replaced by another, which both sign.
    LogRotate = "log.rotate",
    /// The log's key was lost: another signs from here on, by its own word alone.
    LogBreak = "log.break",
    /// A backup is made.
    NodeBackup = "node.backup",
    /// The node goes on from a backup.
    NodeRestore = "node.restore",
    /// The node becomes a member of a consortium.
    NodeJoin = "node.join",
    /// The node starts to serve.
    NodeStart = "node.start",
    /// The node ends in an orderly way.
    NodeStop = "node.stop",
    /// The node takes no new rounds.
    NodePause = "node.pause",
    /// The node takes rounds again.
    NodeResume = "node.resume",
    /// The node has a new certificate.
    IdentityRenew = "identity.renew",
    /// Coordinator and node do not accept one another.
    IdentityRefuse = "identity.refuse",
    /// Another policy is in effect than before.
    PolicyChange = "policy.change",
    /// The node has attacked its own sandbox.
    SandboxTest = "sandbox.test",
    /// A dataset is registered.
    DatasetAdd = "dataset.add",
    /// What is known of a dataset changes.
    DatasetUpdate = "dataset.update",
    /// A dataset is forgotten.
    DatasetRemove = "dataset.remove",
    /// A plan that was not known asks to run.
    PlanAsk = "plan.ask",
    /// A plan may run.
    PlanApprove = "plan.approve",
    /// A plan may not run.
    PlanReject = "plan.reject",
    /// A second person signs an approval.
    PlanCountersign = "plan.countersign",
    /// An approval is withdrawn.
    PlanRevoke = "plan.revoke",
    /// The owner registers a plan, approved.
    PlanRegister = "plan.register",
    /// A Python interpreter is registered.
    PythonAdd = "python.add",
    /// A changed interpreter is accepted.
    PythonUpdate = "python.update",
    /// An interpreter is forgotten.
    PythonRemove = "python.remove",
    /// An attempt of a round starts.
    RoundStart = "round.start",
    /// A round has split its dataset.
    RoundSplit = "round.split",
    /// What a round made may leave the node.
    RoundRelease = "round.release",
    /// What a round made waits for its owner.
    RoundHold = "round.hold",
    /// The owner lets a held update leave.
    ReleaseApprove = "release.approve",
    /// The owner keeps a held update.
    ReleaseReject = "release.reject",
    /// A round ends without success.
    RoundRefuse = "round.refuse",
    /// The owner ends a round.
    RoundCancel = "round.cancel",
    /// A round whose journal is damaged is forgotten.
    RoundDrop = "round.drop",
}

macro_rules! objects {
    ($($variant:ident = $text:literal,)*) => {
        /// To what it was done; in the order of their names, which is the order in a record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Object { $($variant,)* }

        impl Object {
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$variant,)*];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

objects! {
    Attempt = "attempt",
    Backup = "backup",
    BackupAt = "backup_at",
    Bytes = "bytes",
    Change = "change",
    Countersigned = "countersigned",
    CountersignedHead = "countersigned_head",
    Dataset = "dataset",
    DatasetDigest = "dataset_digest",
    DatasetId = "dataset_id",
    Environment = "environment",
    Epoch = "epoch",
    ExcludedPatients = "excluded_patients",
    ExcludedSamples = "excluded_samples",
    Experiment = "experiment",
    Grant = "grant",
    GrantDigest = "grant_digest",
    Identity = "identity",
    Interpreter = "interpreter",
    Key = "key",
    KeyBefore = "key_before",
    KeySignature = "key_signature",
    Missed = "missed",
    Mode = "mode",
    Node = "node",
    Plan = "plan",
    Policy = "policy",
    Round = "round",
    RoundNumber = "round_number",
    SampleCount = "sample_count",
    SandboxLevel = "sandbox_level",
    SandboxMinimum = "sandbox_minimum",
    Second = "second",
    SplitSeed = "split_seed",
    TrainingRows = "training_rows",
    Update = "update",
    UpdateBytes = "update_bytes",
    ValidationRows = "validation_rows",
}

/// What of a dataset changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Its file or folder.
    Content,
    /// What is said of it.
    Card,
    /// Its data loading plan.
    LoadingPlan,
    /// Whom it leaves out.
    Exclusions,
}

impl Entry {
    pub(crate) fn new(at: Timestamp, actor: Actor, action: Action) -> Self {
        Self { at, actor, action, result: Code::Ok, objects: Vec::new() }
    }

    pub(crate) fn result(self, result: Code) -> Self {
        Self { result, ..self }
    }

    fn with(mut self, object: Object, value: impl fmt::Display) -> Self {
        self.objects.push((object, value.to_string()));
        self
    }

    pub(crate) fn dataset(self, name: &DatasetName, id: DatasetId, digest: &Digest) -> Self {
        self.with(Object::Dataset, name)
            .with(Object::DatasetId, id)
            .with(Object::DatasetDigest, digest)
    }

    pub(crate) fn dataset_id(self, id: DatasetId) -> Self {
        self.with(Object::DatasetId, id)
    }

    pub(crate) fn change(self, change: Change) -> Self {
        let change = match change {
            Change::Content => "content",
            Change::Card => "card",
            Change::LoadingPlan => "loading-plan",
            Change::Exclusions => "exclusions",
        };
        self.with(Object::Change, change)
    }

    pub(crate) fn plan(self, digest: &Digest) -> Self {
        self.with(Object::Plan, digest)
    }

    /// A grant: its number, what exactly was signed, and whether a second person has to sign yet.
    pub(crate) fn grant(self, grant: &Grant) -> Self {
        let entry = self.number(Object::Grant, grant.number).grant_digest(&grant.digest());
        match grant.second {
            Second::Awaited => entry.with(Object::Second, "awaited"),
            Second::NotWanted | Second::Given(_) => entry,
        }
    }

    pub(crate) fn grant_digest(self, digest: &Digest) -> Self {
        self.with(Object::GrantDigest, digest)
    }

    /// The digest of a policy's file, where there is one.
    pub(crate) fn policy(self, digest: Option<&Digest>) -> Self {
        match digest {
            Some(digest) => self.with(Object::Policy, digest),
            None => self.with(Object::Policy, "none"),
        }
    }

    pub(crate) fn experiment(self, id: ExperimentId) -> Self {
        self.with(Object::Experiment, id)
    }

    pub(crate) fn round(self, id: RoundId) -> Self {
        self.with(Object::Round, id)
    }

    /// A registered interpreter, whose name was checked when it was added.
    pub(crate) fn interpreter(self, name: &str) -> Self {
        self.with(Object::Interpreter, name)
    }

    /// The digest of the packages that an interpreter has.
    pub(crate) fn environment(self, packages: Option<&Digest>) -> Self {
        match packages {
            Some(packages) => self.with(Object::Environment, packages),
            None => self,
        }
    }

    pub(crate) fn sandbox_level(self, level: impl fmt::Display) -> Self {
        self.with(Object::SandboxLevel, level)
    }

    pub(crate) fn sandbox_minimum(self, level: sandbox::Level) -> Self {
        self.with(Object::SandboxMinimum, level)
    }

    pub(crate) fn number(self, object: Object, number: u64) -> Self {
        self.with(object, number)
    }

    pub(crate) fn mode(self, mode: protocol::Mode) -> Self {
        let mode = match mode {
            protocol::Mode::Train => "train",
            protocol::Mode::Validate => "validate",
        };
        self.with(Object::Mode, mode)
    }

    pub(crate) fn split(self, training: u64, validation: u64) -> Self {
        self.with(Object::SplitSeed, training_plan::seed::SPLIT)
            .number(Object::TrainingRows, training)
            .number(Object::ValidationRows, validation)
    }

    pub(crate) fn update(self, update: Option<&protocol::ArtifactReference>) -> Self {
        match update {
            Some(update) => {
                self.with(Object::Update, update.digest).number(Object::UpdateBytes, update.size)
            }
            None => self,
        }
    }

    /// A backup: its digest, when it was made, and how often the node had been restored.
    pub(crate) fn backup(self, digest: &Digest, made_at: Timestamp, epoch: u64) -> Self {
        self.with(Object::Backup, digest)
            .number(Object::BackupAt, made_at.milliseconds())
            .number(Object::Epoch, epoch)
    }

    pub(crate) fn key(self, key: &super::PublicKey) -> Self {
        self.with(Object::Key, key)
    }

    /// The key that signed the log until now.
    pub(super) fn key_before(self, key: &super::PublicKey) -> Self {
        self.with(Object::KeyBefore, key)
    }

    /// The new key's own signature under its taking over.
    pub(super) fn key_signature(self, digits: &str) -> Self {
        self.with(Object::KeySignature, digits)
    }

    /// The last record that a coordinator has signed, where it has signed one.
    pub(super) fn countersigned(self, head: Option<(u64, Digest)>) -> Self {
        match head {
            Some((records, head)) => {
                self.number(Object::Countersigned, records).with(Object::CountersignedHead, head)
            }
            None => self,
        }
    }

    /// The node's own identity, which is a public key.
    pub(crate) fn identity(self, key: &identity::PublicKey) -> Self {
        self.with(Object::Identity, key)
    }

    pub(crate) fn node(self, name: &protocol::NodeId) -> Self {
        self.with(Object::Node, name)
    }
}

impl Actor {
    /// A user of the operating system.
    pub(crate) fn user(user: u32) -> Self {
        Self::Owner { user, name: name_of(user) }
    }

    /// The user of this process.
    pub(crate) fn of_process() -> Self {
        Self::user(rustix::process::getuid().as_raw())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner { user, name: Some(name) } => write!(formatter, "owner:{user}:{name}"),
            Self::Owner { user, name: None } => write!(formatter, "owner:{user}"),
            Self::Researcher(id) => write!(formatter, "researcher:{id}"),
            Self::Node => formatter.write_str("node"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A user's name in this machine's own list; a directory service is not asked.
fn name_of(user: u32) -> Option<String> {
    let list = std::fs::read_to_string("/etc/passwd").ok()?;
    list.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user) && is_plain(name)).then(|| name.to_owned())
    })
}

fn is_plain(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-$".contains(c);
    (1..=64).contains(&name.len()) && name.chars().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_objects_is_that_of_their_names() {
        assert!(Object::ALL.is_sorted_by_key(|object| object.as_str()));
        assert!(Object::ALL.is_sorted());
    }

    #[test]
    fn a_user_is_told_by_number_and_by_name_where_it_has_one() {
        assert_eq!(Actor::user(0).to_string(), "owner:0:root");
        assert_eq!(Actor::user(4_000_000_000).to_string(), "owner:4000000000");
    }
}
