//! The audit log: what the node has done, written before it is done.
//!
//! Each record names the one before it by its hash and is signed with a key that never leaves the node.
//! `docs/reference/audit-log.md` states the format and what it proves.

pub mod key;

mod chain;
mod entry;
mod inspection;
mod log;
mod record;
mod rotation;
mod succession;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use protocol::{Digest, NodeId};
use store::Clock;
use tokio::sync::{mpsc, oneshot, watch};

pub use chain::{Fault, Flaw};
pub use entry::Action;
pub use inspection::{
    Countersigned, EarlierKey, Error as InspectionError, Expectation, Verified, export, open,
    parse_receipts, public_key, receipt, records, verify, verify_own,
};
pub use key::PublicKey;
pub use log::Error;
pub use record::Record;
pub use rotation::Step;
pub use succession::Handover;

pub(crate) use entry::{Actor, Change, Entry, Object};
pub(crate) use inspection::own_keys;
pub(crate) use rotation::{Pending, Replaced, Replacement, discard, next_key, pending, place};

use crate::folder::Folder;
use crate::round_log::chain as in_words;
use key::Key;
use log::{Log, Wanted};

/// Where acts are recorded. One thread writes, and synchronises what waits together.
#[derive(Debug, Clone)]
pub(crate) struct Audit {
    jobs: mpsc::Sender<Task>,
    trouble: Arc<Mutex<Option<String>>>,
    head: watch::Receiver<Option<Head>>,
}

/// How far the log has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// How many records there are.
    pub(crate) records: u64,
    /// The hash of the last.
    pub(crate) hash: Digest,
    /// The key that signs the next.
    pub(crate) key: PublicKey,
}

/// What the thread is asked for.
enum Task {
    Record(Job),
    Replace(Replacement, oneshot::Sender<Result<Replaced, Error>>),
}

/// Something to be recorded.
struct Job {
    entry: Entry,
    wanted: Wanted,
    purpose: Purpose,
    answer: Option<oneshot::Sender<Result<(), Arc<Error>>>>,
}

/// Whether what is recorded depends on its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    /// It is not done where it cannot be recorded.
    Permission,
    /// It happens anyway: where it cannot be recorded now, it is as soon as it can.
    Account,
}

impl Audit {
    /// The log of a node's folder; nothing is opened before there is something to record.
    pub(crate) fn new(
        folder: &Folder,
        node: &NodeId,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let log = Log {
            file: folder.audit_log(),
            key: folder.audit_key(),
            key_next: folder.audit_key_next(),
            node: node.clone(),
            clock: Arc::clone(clock),
            open: None,
            known: receipt(folder).map(|receipt| (receipt.head.records, receipt.head.head)),
        };
        let (jobs, inbox) = mpsc::channel(JOBS);
        let trouble = Arc::new(Mutex::new(None));
        let (head_sender, head) = watch::channel(None);
        let mut writer = Writer {
            log,
            deferred: VecDeque::new(),
            missed: 0,
            trouble: Arc::clone(&trouble),
            head: head_sender,
        };
        thread::Builder::new().name("audit".to_owned()).spawn(move || writer.serve(inbox))?;
        Ok(Self { jobs, trouble, head })
    }

    /// Records something that may only be done once its record is on the disk.
    pub(crate) async fn permit(&self, entry: Entry) -> Result<(), Arc<Error>> {
        let (job, answer) = Job::answered(entry, Purpose::Permission);
        self.jobs.send(Task::Record(job)).await.map_err(|_| Error::Closed)?;
        answer.await.unwrap_or_else(|_| Err(Arc::new(Error::Closed)))
    }

    /// As [`Audit::permit`], on a thread that may block and serves no tasks.
    pub(crate) fn permit_blocking(&self, entry: Entry) -> Result<(), Arc<Error>> {
        let (job, answer) = Job::answered(entry, Purpose::Permission);
        self.jobs.blocking_send(Task::Record(job)).map_err(|_| Error::Closed)?;
        answer.blocking_recv().unwrap_or_else(|_| Err(Arc::new(Error::Closed)))
    }

    /// Records something that happens in any case; comes back when it is on the disk, or cannot be for now.
    pub(crate) async fn account(&self, entry: Entry) {
        let (job, answer) = Job::answered(entry, Purpose::Account);
        if self.jobs.send(Task::Record(job)).await.is_ok() {
            // The writer keeps what it cannot write, and says so.
            drop(answer.await);
        }
    }

    /// Records something with the next record that is synchronised; it survives the end of this process before.
    pub(crate) async fn note(&self, entry: Entry) {
        let (wanted, purpose) = (Wanted::Written, Purpose::Account);
        // Without a writer there is nothing to wait for.
        let job = Job { entry, wanted, purpose, answer: None };
        drop(self.jobs.send(Task::Record(job)).await);
    }

    /// Draws another key and records that the log is signed with it from then on; on a thread that may block.
    pub(crate) fn replace_key(&self, replacement: Replacement) -> Result<Replaced, Error> {
        let (answer, answered) = oneshot::channel();
        let task = Task::Replace(replacement, answer);
        self.jobs.blocking_send(task).map_err(|_| Error::Closed)?;
        answered.blocking_recv().unwrap_or(Err(Error::Closed))
    }

    /// How far the log has come, by what this process has recorded.
    pub(crate) fn head(&self) -> watch::Receiver<Option<Head>> {
        self.head.clone()
    }

    /// Why nothing could be recorded the last time, where that is so.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Makes the key of a new node.
pub(crate) fn create_key(folder: &Folder) -> Result<(), key::Error> {
    Key::create(&folder.audit_key())
}

impl Job {
    fn answered(
        entry: Entry,
        purpose: Purpose,
    ) -> (Self, oneshot::Receiver<Result<(), Arc<Error>>>) {
        let (answer, answered) = oneshot::channel();
        let wanted = Wanted::Synchronised;
        (Self { entry, wanted, purpose, answer: Some(answer) }, answered)
    }

    fn is_to_be_synchronised(&self) -> bool {
        self.wanted == Wanted::Synchronised
    }
}

/// The thread's side.
struct Writer {
    log: Log,
    /// What happened and could not be recorded, oldest first.
    deferred: VecDeque<Entry>,
    /// How much more than that.
    missed: u64,
    trouble: Arc<Mutex<Option<String>>>,
    head: watch::Sender<Option<Head>>,
}

impl Writer {
    /// Records until nobody can ask any more.
    fn serve(&mut self, mut inbox: mpsc::Receiver<Task>) {
        while let Some(first) = inbox.blocking_recv() {
            let (mut jobs, mut next) = (Vec::new(), Some(first));
            while let Some(task) = next {
                match task {
                    Task::Record(job) => jobs.push(job),
                    Task::Replace(replacement, answer) => {
                        self.record(std::mem::take(&mut jobs));
                        // Whoever asked may have gone.
                        drop(answer.send(self.replace(&replacement)));
                    }
                }
                next = if jobs.len() < TOGETHER { inbox.try_recv().ok() } else { None };
            }
            self.record(jobs);
        }
    }

    fn replace(&mut self, replacement: &Replacement) -> Result<Replaced, Error> {
        let replaced = self.log.replace(replacement)?;
        self.head.send_replace(self.log.head());
        self.tell(&Ok(()));
        // What had to wait because of the key is recorded now.
        self.record(Vec::new());
        Ok(replaced)
    }

    fn record(&mut self, jobs: Vec<Job>) {
        let mut entries: Vec<Entry> = self.deferred.iter().cloned().collect();
        if let Some(entry) = self.gap() {
            entries.push(entry);
        }
        entries.extend(jobs.iter().map(|job| job.entry.clone()));
        if entries.is_empty() {
            return;
        }
        let has_waited = self.deferred.len();
        let is_synchronised = jobs.is_empty() || jobs.iter().any(Job::is_to_be_synchronised);
        let wanted = if is_synchronised { Wanted::Synchronised } else { Wanted::Written };
        let result = self.log.append(&entries, wanted).map_err(Arc::new);
        if result.is_ok() {
            self.deferred.drain(..has_waited);
            self.missed = 0;
            // What a loss of power may still take away is not to be signed by others.
            if is_synchronised {
                self.head.send_replace(self.log.head());
            }
        }
        self.tell(&result);
        for job in jobs {
            if result.is_err() && job.purpose == Purpose::Account {
                self.defer(job.entry);
            }
            if let Some(answer) = job.answer {
                // Whoever asked may have gone.
                drop(answer.send(result.clone()));
            }
        }
    }

    /// Says that more happened than could be kept.
    fn gap(&self) -> Option<Entry> {
        let at = self.log.clock.now();
        let entry = Entry::new(at, Actor::Node, Action::LogMissed);
        (self.missed > 0).then(|| entry.number(Object::Missed, self.missed))
    }

    fn defer(&mut self, entry: Entry) {
        if self.deferred.len() < DEFERRED {
            self.deferred.push_back(entry);
        } else {
            self.missed += 1;
        }
    }

    fn tell(&self, result: &Result<(), Arc<Error>>) {
        let now = result.as_ref().err().map(|error| in_words(&**error));
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match (&*trouble, &now) {
            (None, Some(error)) => {
                tracing::error!(error, "nothing can be recorded: rounds are refused")
            }
            (Some(_), None) => tracing::info!("the audit log takes records again"),
            (None, None) | (Some(_), Some(_)) => {}
        }
        *trouble = now;
    }
}

/// Acts that may wait to be recorded; whoever brings more waits.
const JOBS: usize = 256;
/// Acts that are recorded with one synchronisation.
const TOGETHER: usize = 64;
/// Acts that are kept while nothing can be recorded.
const DEFERRED: usize = 1_000;
