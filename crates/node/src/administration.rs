//! The owner's commands: one method for each, the same whether a daemon runs or not.
//!
//! While a daemon holds the folder, commands reach it over its socket; else they take the folder's lock and do the
//! same work in this process.

mod answer;
mod office;
mod onlooker;
mod request;
pub(crate) mod socket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dataset::{Exclusions, Progress};
use protocol::{DatasetName, RoundId};
use serde::de::DeserializeOwned;
use store::{FolderLock, SystemClock};

pub use answer::{
    Cancellation, DatasetCheck, DatasetDetails, ExclusionReport, GrantEntry, HeldUpdate,
    MadeBackup, PlanComparison, PlanContent, PlanDetails, PlanEntry, PlanTensor, PythonCheck,
    Retyping, RoundDetails, Status,
};
pub use request::{
    Acceptance, DatasetAddition, DatasetEdit, ExclusionChange, GrantText, PlanRequest,
    PolicyRequest, PythonRequest, ReleaseRequest, Request,
};

pub(crate) use office::Office;
pub(crate) use onlooker::Onlooker;

use crate::audit::{Actor, Handover, Step};
use crate::backup::{self, Backup};
use crate::carrier::Way;
use crate::config::Config;
use crate::doctor::Finding;
use crate::folder::Folder;
use crate::key_replacement::{self, KeyReplacement};
use crate::node::{self, open_site};
use crate::policy::PolicyShown;
use crate::registry::plans::KnownPlan;
use crate::registry::pythons::Interpreter;
use crate::registry::releases::Decision;
use crate::registry::rounds::RoundRow;
use crate::round_log::LogLine;

/// Performs the owner's commands on one node's folder.
///
/// # Examples
///
/// ```
/// use node::{Administration, Config, Folder};
///
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # runtime.block_on(async {
/// let home = tempfile::tempdir()?;
/// let folder = Folder::new(home.path());
/// node::init(&folder, &"north".parse()?, &"127.0.0.1:7400".parse()?)?;
/// let administration = Administration::open(&folder, Config::load(&folder, [])?).await?;
/// let status = administration.status().await?;
/// assert!(!status.is_running);
/// assert_eq!(status.datasets, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # }).unwrap();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Administration {
    way: Place,
    tell: Option<Tell>,
}

/// Who is told how far a long command is.
#[derive(Clone)]
struct Tell(Arc<dyn Fn(Progress) + Send + Sync>);

/// Where the work is done.
#[derive(Clone)]
enum Place {
    Here(Arc<Office>),
    Daemon(Folder),
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node's side refused or failed.
    #[error("{message}")]
    Refused {
        /// The fact.
        message: String,
        /// What to do about it.
        hint: Option<String>,
    },
    /// The daemon holds the folder and does not answer.
    #[error("the node's daemon does not answer")]
    Unreachable(#[source] std::io::Error),
    /// The daemon is of another version.
    #[error("the node's daemon answered something else than it was asked for")]
    Unreadable(#[source] serde_json::Error),
    /// The folder cannot be used.
    #[error(transparent)]
    Folder(#[from] Box<node::Error>),
}

impl Administration {
    /// Finds the folder's daemon, or takes the folder.
    ///
    /// # Errors
    ///
    /// Where the folder is no node's, or its daemon does not answer.
    pub async fn open(folder: &Folder, config: Config) -> Result<Self, Error> {
        for _ in 0..TRIES {
            match FolderLock::take(folder.root()) {
                Ok(lock) => {
                    let way = Way::Local(folder.scratch());
                    let site =
                        open_site(folder, config, Arc::new(SystemClock), way).map_err(Box::new)?;
                    key_replacement::settle(&site).await;
                    site.adopt_approvals().await.map_err(|error| Box::new(error.into()))?;
                    return Ok(Self::in_process(Office::of_folder(site, lock)));
                }
                Err(store::folder_lock::Error::Held { .. }) => {}
                // An administrator, who is not the owner of the folder, reaches its daemon.
                Err(store::folder_lock::Error::Unusable { source, .. })
                    if source.kind() == std::io::ErrorKind::PermissionDenied
                        && socket::is_open(folder).await => {}
                Err(error) => return Err(Box::new(node::Error::from(error)).into()),
            }
            if socket::is_open(folder).await {
                return Ok(Self { way: Place::Daemon(folder.clone()), tell: None });
            }
            // The daemon is just starting, or another command is just ending.
            tokio::time::sleep(PAUSE).await;
        }
        let error = std::io::Error::from(std::io::ErrorKind::TimedOut);
        Err(Error::Unreachable(error))
    }

    pub(crate) fn in_process(office: Office) -> Self {
        Self { way: Place::Here(Arc::new(office)), tell: None }
    }

    /// Tells a few times a second how far a long command is.
    #[must_use]
    pub fn telling(self, tell: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self { tell: Some(Tell(Arc::new(tell))), ..self }
    }

    /// How the node is.
    ///
    /// # Errors
    ///
    /// As every command: [`Error::Refused`] with the node's words, or [`Error::Unreachable`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(Request::Status).await
    }

    /// What is found of what the node's rounds need.
    pub(crate) async fn examine(&self) -> Result<Vec<Finding>, Error> {
        self.ask(Request::Examine).await
    }

    /// Makes a backup and puts it where the caller says, whole or not at all, for this user only.
    ///
    /// # Errors
    ///
    /// Where it cannot be made, recorded or written there.
    pub async fn backup(&self, to: &std::path::Path) -> Result<Backup, Error> {
        let MadeBackup { file, backup } = self.ask(Request::Backup).await?;
        let (from, target) = (file.clone(), to.to_owned());
        let taken = crate::carrier::blocking(move || backup::take(&from, &target)).await;
        // It is of no use there any more; the node's next start deletes what is left.
        drop(std::fs::remove_file(&file));
        taken.map_err(|error| Error::Refused {
            message: format!("{} cannot be written: {error}", to.display()),
            hint: None,
        })?;
        Ok(backup)
    }

    /// Replaces the key that the audit log and the grants are signed with.
    ///
    /// # Errors
    ///
    /// Where the log does not take it, or a key that is said to be lost is there.
    pub async fn replace_key(
        &self,
        end: Handover,
        pause_at: Option<Step>,
    ) -> Result<KeyReplacement, Error> {
        self.ask(Request::ReplaceKey { end, pause_at }).await
    }

    /// Takes no new rounds from now on; those that were accepted go on.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn pause(&self) -> Result<Status, Error> {
        self.ask(Request::Pause).await
    }

    /// Takes rounds again.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn resume(&self) -> Result<Status, Error> {
        self.ask(Request::Resume).await
    }

    /// Reads a file or folder once and registers it as a dataset.
    ///
    /// # Errors
    ///
    /// Where it is no dataset, or the name is taken.
    pub async fn dataset_add(
        &self,
        mut addition: DatasetAddition,
    ) -> Result<DatasetDetails, Error> {
        // The daemon has another working folder.
        if let Ok(path) = std::path::absolute(&addition.path) {
            addition.path = path;
        }
        if let Some(table) = &mut addition.dataset.medical.demographics
            && let Ok(path) = std::path::absolute(&*table)
        {
            *table = path;
        }
        self.ask(Request::DatasetAdd(addition)).await
    }

    /// All datasets, by name.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn dataset_list(&self) -> Result<Vec<DatasetDetails>, Error> {
        self.ask(Request::DatasetList).await
    }

    /// One dataset.
    ///
    /// # Errors
    ///
    /// Where there is none of this name.
    pub async fn dataset_show(&self, name: &str) -> Result<DatasetDetails, Error> {
        self.ask(Request::DatasetShow { name: name.to_owned() }).await
    }

    /// Compares a dataset's file with what was registered, and accepts the change where asked to.
    ///
    /// # Errors
    ///
    /// Where the file cannot be read or is no table any more.
    pub async fn dataset_check(
        &self,
        name: &str,
        acceptance: Acceptance,
    ) -> Result<DatasetCheck, Error> {
        self.ask(Request::DatasetCheck { name: name.to_owned(), acceptance }).await
    }

    /// Changes a dataset's tags or description.
    ///
    /// # Errors
    ///
    /// Where there is none of this name.
    pub async fn dataset_edit(
        &self,
        name: &str,
        edit: DatasetEdit,
    ) -> Result<DatasetDetails, Error> {
        self.ask(Request::DatasetEdit { name: name.to_owned(), edit }).await
    }

    /// Changes whom a dataset leaves out.
    ///
    /// # Errors
    ///
    /// Where there is none of this name, it names no patients, or the list takes no more.
    pub async fn dataset_exclude(
        &self,
        name: &str,
        change: ExclusionChange,
    ) -> Result<ExclusionReport, Error> {
        self.ask(Request::DatasetExclude { name: name.to_owned(), change }).await
    }

    /// The patients whom a dataset leaves out.
    ///
    /// # Errors
    ///
    /// Where there is none of this name.
    pub async fn dataset_exclusions(&self, name: &str) -> Result<Exclusions, Error> {
        self.ask(Request::DatasetExclusions { name: name.to_owned() }).await
    }

    /// Attaches a data loading plan to a dataset, in place of the one it has; without a text, none.
    ///
    /// # Errors
    ///
    /// Where the text is no plan, or the plan does not fit the dataset.
    pub async fn dataset_attach_plan(
        &self,
        name: &str,
        plan: Option<String>,
    ) -> Result<DatasetDetails, Error> {
        self.ask(Request::DatasetAttachPlan { name: name.to_owned(), plan }).await
    }

    /// Forgets a dataset; its file stays.
    ///
    /// # Errors
    ///
    /// Where there is none of this name.
    pub async fn dataset_remove(&self, name: &str) -> Result<(), Error> {
        self.ask(Request::DatasetRemove { name: name.to_owned() }).await
    }

    /// Asks an interpreter what it is and registers it for Python plans.
    ///
    /// # Errors
    ///
    /// Where it is no Python with the packages that plans need, or the name is taken.
    pub async fn python_add(
        &self,
        name: &str,
        path: &std::path::Path,
    ) -> Result<Interpreter, Error> {
        // The daemon has another working folder; a bare name is looked for on its search path.
        let is_bare = path.components().count() == 1;
        let path = if is_bare { path.to_owned() } else { absolute(path) };
        self.ask(Request::Python(PythonRequest::Add { name: name.to_owned(), path })).await
    }

    /// All interpreters, by name.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn python_list(&self) -> Result<Vec<Interpreter>, Error> {
        self.ask(Request::Python(PythonRequest::List)).await
    }

    /// Compares an interpreter with what was registered, and accepts the change where asked to.
    ///
    /// # Errors
    ///
    /// Where there is none of this name, or it cannot be used any more.
    pub async fn python_check(
        &self,
        name: &str,
        acceptance: Acceptance,
    ) -> Result<PythonCheck, Error> {
        let name = name.to_owned();
        self.ask(Request::Python(PythonRequest::Check { name, acceptance })).await
    }

    /// Forgets an interpreter; its files stay.
    ///
    /// # Errors
    ///
    /// Where there is none of this name.
    pub async fn python_remove(&self, name: &str) -> Result<(), Error> {
        self.ask(Request::Python(PythonRequest::Remove { name: name.to_owned() })).await
    }

    /// The policy in effect for a dataset, or for those that its file does not name.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn policy_show(&self, dataset: Option<DatasetName>) -> Result<PolicyShown, Error> {
        self.ask(Request::Policy(PolicyRequest::Show { dataset })).await
    }

    /// Reads the policy's file again, for rounds that start from now on.
    ///
    /// # Errors
    ///
    /// Where a line breaks a rule; what was in effect stays.
    pub async fn policy_reload(&self) -> Result<PolicyShown, Error> {
        self.ask(Request::Policy(PolicyRequest::Reload)).await
    }

    /// The rounds whose updates wait for their owner, the oldest first.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn release_list(&self) -> Result<Vec<RoundRow>, Error> {
        self.ask(Request::Release(ReleaseRequest::List)).await
    }

    /// One update that waits, or has waited.
    ///
    /// # Errors
    ///
    /// Where no update of the round was ever held.
    pub async fn release_show(&self, round: RoundId) -> Result<HeldUpdate, Error> {
        self.ask(Request::Release(ReleaseRequest::Show { round })).await
    }

    /// Lets an update that waits leave, or keeps it.
    ///
    /// # Errors
    ///
    /// Where no update of the round waits.
    pub async fn release_decide(
        &self,
        round: RoundId,
        decision: Decision,
        note: &str,
    ) -> Result<RoundRow, Error> {
        let note = note.to_owned();
        self.ask(Request::Release(ReleaseRequest::Decide { round, decision, note })).await
    }

    /// All known plans with what is granted, the latest first.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn plan_list(&self) -> Result<Vec<PlanEntry>, Error> {
        self.ask(Request::Plan(PlanRequest::List)).await
    }

    /// One plan with its texts; the first digits of its digest are enough.
    ///
    /// # Errors
    ///
    /// Where no plan, or more than one, has such a digest.
    pub async fn plan_show(&self, digest: &str) -> Result<PlanDetails, Error> {
        self.ask(Request::Plan(PlanRequest::Show { digest: digest.to_owned() })).await
    }

    /// One plan beside another, or beside the one that was approved last.
    ///
    /// # Errors
    ///
    /// Where no plan, or more than one, has such a digest.
    pub async fn plan_compare(
        &self,
        digest: &str,
        other: Option<&str>,
    ) -> Result<PlanComparison, Error> {
        let (digest, other) = (digest.to_owned(), other.map(str::to_owned));
        self.ask(Request::Plan(PlanRequest::Compare { digest, other })).await
    }

    /// Lets a plan run here, whoever asks and however often.
    ///
    /// # Errors
    ///
    /// Where no plan, or more than one, has such a digest.
    pub async fn plan_approve(&self, digest: &str, note: &str) -> Result<PlanEntry, Error> {
        self.plan_grant(digest, GrantText::default(), note).await
    }

    /// Lets a plan run here within bounds.
    ///
    /// # Errors
    ///
    /// Where a bound breaks its rule, or no plan, or more than one, has such a digest.
    pub async fn plan_grant(
        &self,
        digest: &str,
        grant: GrantText,
        note: &str,
    ) -> Result<PlanEntry, Error> {
        let (digest, note) = (digest.to_owned(), note.to_owned());
        self.ask(Request::Plan(PlanRequest::Approve { digest, note, grant })).await
    }

    /// Keeps a plan from running here, and ends its rounds.
    ///
    /// # Errors
    ///
    /// Where no plan, or more than one, has such a digest.
    pub async fn plan_reject(&self, digest: &str, note: &str) -> Result<PlanEntry, Error> {
        let (digest, note) = (digest.to_owned(), note.to_owned());
        self.ask(Request::Plan(PlanRequest::Reject { digest, note })).await
    }

    /// Withdraws what was granted of a plan, or one grant of it, and ends the rounds that run under it.
    ///
    /// # Errors
    ///
    /// Where there is no such plan or grant.
    pub async fn plan_revoke(
        &self,
        digest: &str,
        grant: Option<u64>,
        note: &str,
    ) -> Result<PlanEntry, Error> {
        let (digest, note) = (digest.to_owned(), note.to_owned());
        self.ask(Request::Plan(PlanRequest::Revoke { digest, grant, note })).await
    }

    /// Signs a plan's grants as the second person.
    ///
    /// # Errors
    ///
    /// Where nothing waits for a second person, or whoever asks is the first.
    pub async fn plan_countersign(&self, digest: &str) -> Result<PlanEntry, Error> {
        self.ask(Request::Plan(PlanRequest::Countersign { digest: digest.to_owned() })).await
    }

    /// Registers a plan file of the owner's own choice, approved.
    ///
    /// # Errors
    ///
    /// Where the file is no plan.
    pub async fn plan_register(&self, path: &std::path::Path) -> Result<KnownPlan, Error> {
        let entry = self.plan_register_granted(path, GrantText::default()).await?;
        Ok(entry.known)
    }

    /// Registers a plan file of the owner's own choice, approved within bounds.
    ///
    /// # Errors
    ///
    /// Where the file is no plan, or a bound breaks its rule.
    pub async fn plan_register_granted(
        &self,
        path: &std::path::Path,
        grant: GrantText,
    ) -> Result<PlanEntry, Error> {
        let path: PathBuf = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        self.ask(Request::Plan(PlanRequest::Register { path, grant })).await
    }

    /// The latest rounds, the latest first.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn round_list(&self, limit: usize) -> Result<Vec<RoundRow>, Error> {
        self.ask(Request::RoundList { limit }).await
    }

    /// Those of the latest rounds of which a failing disk has left nothing that can be read.
    ///
    /// # Errors
    ///
    /// As every command.
    pub async fn rounds_unreadable(&self, limit: usize) -> Result<Vec<String>, Error> {
        self.ask(Request::RoundsUnreadable { limit }).await
    }

    /// One round with its reply.
    ///
    /// # Errors
    ///
    /// Where there is none of this id.
    pub async fn round_show(&self, round: RoundId) -> Result<RoundDetails, Error> {
        self.ask(Request::RoundShow { round }).await
    }

    /// The local texts behind a round's reply.
    ///
    /// # Errors
    ///
    /// Where there is no round of this id.
    pub async fn round_log(&self, round: RoundId) -> Result<Vec<LogLine>, Error> {
        self.ask(Request::RoundLog { round }).await
    }

    /// Ends a round; its reply says `cancelled`.
    ///
    /// # Errors
    ///
    /// Where there is no round of this id.
    pub async fn round_cancel(&self, round: RoundId) -> Result<Cancellation, Error> {
        self.ask(Request::RoundCancel { round }).await
    }

    /// Forgets a round whose journal is damaged: it can neither end nor go on.
    ///
    /// # Errors
    ///
    /// Where there is no round of this id, or it is not damaged.
    pub async fn round_drop(&self, round: RoundId) -> Result<(), Error> {
        self.ask(Request::RoundDrop { round }).await
    }

    async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        let value = match &self.way {
            Place::Here(office) => {
                let (onlooker, mut follower) = Onlooker::new(Actor::of_process());
                let mut work = std::pin::pin!(office.perform(request, &onlooker));
                loop {
                    tokio::select! {
                        outcome = &mut work => break outcome?,
                        progress = follower.next() => self.say(progress),
                    }
                }
            }
            Place::Daemon(folder) => {
                socket::ask(folder, &request, |progress| self.say(progress)).await?
            }
        };
        serde_json::from_value(value).map_err(Error::Unreadable)
    }

    fn say(&self, progress: Progress) {
        if let Some(Tell(tell)) = &self.tell {
            tell(progress);
        }
    }
}

impl Error {
    /// What to do about it, where there is something.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::Unreachable(_) | Self::Unreadable(_) | Self::Folder(_) => None,
        }
    }
}

fn absolute(path: &std::path::Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// How often a folder is tried that is held by somebody who does not answer.
const TRIES: u32 = 50;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(100);
