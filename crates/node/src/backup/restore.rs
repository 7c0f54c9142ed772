//! A node's folder made again from a backup, so that nothing that ran since runs a second time.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use protocol::{DatasetName, Digest, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Clock, Database, Durability, FolderLock, SystemClock, journal, write_whole};

use super::closing::{Closing, Shut};
use super::{Backup, Contents, Misread, check};
use crate::audit::key::Key;
use crate::audit::{self, Action, Actor, Audit, Entry, Expectation, Record};
use crate::config;
use crate::folder::Folder;
use crate::grant::{Person, Seal};
use crate::registry::restores::{Restore, Spent};
use crate::registry::{self, grants, restores};

/// What a restore did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restored {
    /// Whose folder it is.
    pub node: NodeId,
    /// The backup's digest.
    pub backup: Digest,
    /// When the backup was made.
    pub backup_at: Timestamp,
    /// From when on requests are taken again, by the time that they were made.
    pub refused_until: Timestamp,
    /// How often the node has been restored.
    pub epoch: u64,
    /// Which audit log the folder has now.
    pub audit_log: AuditLog,
    /// How many rounds had started since the backup, where the log says so.
    pub rounds_since: u64,
    /// How many changes and decisions of the owner since the backup are in the log, and not in the backup.
    pub changes_since: u64,
    /// How many rounds were under way in the backup, and have ended without a reply.
    pub rounds_ended: u64,
    /// How many grants were closed: those that the log says were withdrawn, all where the log is lost.
    pub grants_closed: u64,
    /// Datasets that are closed until their owner says again who withdrew.
    pub datasets_closed: Vec<DatasetName>,
    /// Which policy the folder has now.
    pub policy: RestoredPolicy,
    /// Where what lay in the folder is now.
    pub replaced: Option<PathBuf>,
}

/// Which audit log a restored folder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuditLog {
    /// The one that lay there, which goes on after the backup's: nothing is missing.
    Kept,
    /// The backup's: what was recorded since then is missing.
    OfBackup,
}

/// Which policy a restored folder has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoredPolicy {
    /// The backup's: as far as the log knows, no other was in effect since.
    OfBackup,
    /// The one that lay there, which was in effect last.
    Kept,
    /// One that lets nobody in: another was in effect since the backup, and its file is not there.
    Closed,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder.
    #[error(transparent)]
    Lock(#[from] store::folder_lock::Error),
    /// A file begins with something else.
    #[error("{} is no backup of a node", path.display())]
    Other {
        /// The file.
        path: PathBuf,
    },
    /// A backup is not what was written.
    #[error("{} is damaged: its bytes do not have the digest that it ends with", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The folder is another node's.
    #[error("folder {} is the node {found}'s, and the backup is {expected}'s", path.display())]
    OtherNode {
        /// The folder.
        path: PathBuf,
        /// Whose folder it is.
        found: String,
        /// Whose backup it is.
        expected: NodeId,
    },
    /// A file cannot be read or written.
    #[error("{} cannot be used", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The backup's database cannot be used.
    #[error("the backup's database cannot be used")]
    Database(#[from] registry::Error),
    /// The restore cannot be recorded.
    #[error("the restore cannot be recorded")]
    Audit(#[from] Arc<audit::Error>),
}

/// Makes a folder the node's of a backup. What lies there moves aside, and an audit log that goes on after the backup's
/// stays.
///
/// From then on the node refuses every request that was made before, unless it knows the reply: any of them may have
/// run already.
///
/// # Errors
///
/// Where the file is no backup or damaged, another process holds the folder, or the folder is another node's. A restore
/// that was cut short is begun again by giving it again; the node does not open the folder meanwhile.
pub async fn restore(folder: &Folder, file: &Path) -> Result<Restored, Error> {
    restore_with_clock(folder, file, Arc::new(SystemClock)).await
}

async fn restore_with_clock(
    folder: &Folder,
    file: &Path,
    clock: Arc<dyn Clock>,
) -> Result<Restored, Error> {
    config::create_private(folder).map_err(at(folder.root()))?;
    let _lock = FolderLock::take(folder.root())?;
    let staged = Folder::new(folder.root().join("restore.new"));
    let (kept, given, at_folder) = (staged.clone(), file.to_owned(), folder.clone());
    let reader = Arc::clone(&clock);
    let placing = move || Work::begin(&at_folder, kept, &given, reader.as_ref())?.place();
    let (restored, folder) = crate::carrier::blocking(placing).await?;
    record(&folder, &restored, &clock).await?;
    fs::remove_file(folder.restore_pending()).map_err(at(&folder.restore_pending()))?;
    Ok(restored)
}

/// A backup whose files lie beside the folder's, ready to take their places.
struct Work {
    folder: Folder,
    staged: Folder,
    backup: Backup,
    restore: Restore,
    audit_log: AuditLog,
    changes: u64,
    ended: u64,
    shut: Shut,
    policy: RestoredPolicy,
}

impl Work {
    fn begin(
        folder: &Folder,
        staged: Folder,
        file: &Path,
        clock: &dyn Clock,
    ) -> Result<Self, Error> {
        let backup = unpack(file, &staged)?;
        refuse_others(folder, &backup.contents)?;
        let (audit_log, records) = choose_log(folder, &staged, &backup);
        let spent: Vec<Spent> = records.iter().filter_map(started).collect();
        let changes = records.iter().filter(|record| is_a_change(record)).count() as u64;
        let now = clock.now();
        let is_log_lost = audit_log == AuditLog::OfBackup;
        // Where the log tells all, so it does of clocks: nothing that ran says that it was made later.
        let margin = if is_log_lost { MARGIN } else { Duration::ZERO };
        let latest = spent.iter().filter_map(made_at).max().unwrap_or_default();
        let restore = Restore {
            epoch: backup.contents.epoch + 1,
            backup_at: backup.contents.made_at,
            restored_at: now,
            refused_until: now.after(margin).max(latest),
            is_log_lost,
            spent,
            uncounted_grants: 0,
        };
        let closing = match audit_log {
            AuditLog::Kept => Closing::told(&records),
            AuditLog::OfBackup => Closing::Everything,
        };
        let policy = choose_policy(folder, audit_log, &records);
        if policy == RestoredPolicy::Closed {
            fs::write(staged.policy(), NOBODY).map_err(at(&staged.policy()))?;
        }
        // The log that goes on may be signed with a later key than the backup's grants are.
        let key = match audit_log {
            AuditLog::Kept => key_of(folder),
            AuditLog::OfBackup => None,
        };
        let (ended, shut) = begin_epoch((&staged, key), &backup.contents.node, &restore, closing)?;
        let folder = folder.clone();
        Ok(Self { folder, staged, backup, restore, audit_log, changes, ended, shut, policy })
    }

    /// Moves what lies in the folder aside, and the backup's files to their places.
    fn place(self) -> Result<(Restored, Folder), Error> {
        let Self { folder, staged, backup, restore, audit_log, changes, ended, shut, policy } =
            self;
        let pending = folder.restore_pending();
        let note = backup.digest.to_string();
        write_whole(&pending, note.as_bytes(), Durability::PowerLoss).map_err(at(&pending))?;
        let aside = folder.root().join(format!("replaced-{}", restore.restored_at.milliseconds()));
        let mut moved = vec!["node.toml", "node.sqlite"];
        if policy != RestoredPolicy::Kept {
            moved.push("policy.toml");
        }
        moved.extend(["node.sqlite-wal", "node.sqlite-shm"]);
        if audit_log == AuditLog::OfBackup {
            moved.push("audit");
        }
        let mut replaced = false;
        for name in moved {
            replaced |= move_aside(folder.root(), &aside, name)?;
        }
        let contained = backup.contents.files.iter().map(|contained| contained.name.as_str());
        let closed = (policy == RestoredPolicy::Closed).then_some("policy.toml");
        for name in contained.filter(|name| Some(*name) != closed).chain(closed) {
            let (from, to) = (staged.root().join(name), folder.root().join(name));
            // A log that goes on, its key, a policy and an identity that are newer than the backup's stay.
            if to.exists() {
                continue;
            }
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent).map_err(at(parent))?;
            }
            fs::rename(&from, &to).map_err(at(&to))?;
        }
        config::create_private(&folder).map_err(at(folder.root()))?;
        File::open(folder.root()).and_then(|root| root.sync_all()).map_err(at(folder.root()))?;
        fs::remove_dir_all(staged.root()).map_err(at(staged.root()))?;
        let restored = Restored {
            node: backup.contents.node,
            backup: backup.digest,
            backup_at: restore.backup_at,
            refused_until: restore.refused_until,
            epoch: restore.epoch,
            audit_log,
            rounds_since: restore.spent.len() as u64,
            changes_since: changes,
            rounds_ended: ended,
            grants_closed: shut.grants,
            datasets_closed: shut.datasets.into_iter().collect(),
            policy,
            replaced: replaced.then_some(aside),
        };
        Ok((restored, folder))
    }
}

/// Checks a backup and writes its files below a new folder.
fn unpack(file: &Path, staged: &Folder) -> Result<Backup, Error> {
    let mut source = File::open(file).map_err(at(file))?;
    let path = file.to_owned();
    let (backup, offset) = match check(&mut source) {
        Ok(checked) => checked,
        Err(Misread::Other) => return Err(Error::Other { path }),
        Err(Misread::Damaged) => return Err(Error::Damaged { path }),
        Err(Misread::Unreadable(source)) => return Err(Error::File { path, source }),
    };
    if staged.root().exists() {
        fs::remove_dir_all(staged.root()).map_err(at(staged.root()))?;
    }
    config::create_private(staged).map_err(at(staged.root()))?;
    source.seek(SeekFrom::Start(offset)).map_err(at(file))?;
    for contained in &backup.contents.files {
        let to = staged.root().join(&contained.name);
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(at(parent))?;
        }
        let mut options = OpenOptions::new();
        let made = options.write(true).create_new(true).mode(0o600).open(&to);
        let mut made = made.map_err(at(&to))?;
        let copied = io::copy(&mut Read::by_ref(&mut source).take(contained.bytes), &mut made);
        copied.and_then(|_| made.sync_all()).map_err(at(&to))?;
    }
    Ok(backup)
}

/// A folder that is another node's is not overwritten.
fn refuse_others(folder: &Folder, contents: &Contents) -> Result<(), Error> {
    let Ok(text) = fs::read_to_string(folder.configuration()) else { return Ok(()) };
    let named = text.parse::<toml::Table>().ok();
    let name = named.as_ref().and_then(|table| table.get("name")?.as_str());
    match name {
        Some(name) if name != contents.node.as_str() => Err(Error::OtherNode {
            path: folder.root().to_owned(),
            found: name.to_owned(),
            expected: contents.node.clone(),
        }),
        _ => Ok(()),
    }
}

/// Decides which log the folder has from now on, and gives its records after the backup's head.
///
/// The one that lies there goes on after the backup's where it has the record of this very backup.
fn choose_log(folder: &Folder, staged: &Folder, backup: &Backup) -> (AuditLog, Vec<Record>) {
    let there = verified(folder).unwrap_or_default();
    let digest = backup.digest.to_string();
    let has_made = |record: &Record| {
        record.action == Action::NodeBackup.as_str()
            && record.objects.get("backup") == Some(&digest)
    };
    let (log, records) = match there.iter().any(has_made) {
        true => (AuditLog::Kept, there),
        false => (AuditLog::OfBackup, records(staged)),
    };
    let head = backup.contents.head;
    let after = match records.iter().position(|record| Some(record.hash) == head) {
        Some(place) => records.into_iter().skip(place + 1).collect(),
        None => records,
    };
    (log, after)
}

/// Which policy counts from now on. The owner's last word is never replaced by an earlier one that may allow more.
fn choose_policy(folder: &Folder, audit_log: AuditLog, since: &[Record]) -> RestoredPolicy {
    let last = since.iter().rfind(|record| record.action == Action::PolicyChange.as_str());
    let last = last.and_then(|record| record.objects.get("policy"));
    match (audit_log, last) {
        (AuditLog::OfBackup, _) | (AuditLog::Kept, None) => RestoredPolicy::OfBackup,
        (AuditLog::Kept, Some(last)) => {
            let there = fs::read(folder.policy()).ok();
            match there.is_some_and(|text| Digest::of(&text).to_string() == *last) {
                true => RestoredPolicy::Kept,
                false => RestoredPolicy::Closed,
            }
        }
    }
}

/// The records of a folder's log, where it is what its node wrote.
fn verified(folder: &Folder) -> Option<Vec<Record>> {
    audit::verify_own(folder, Expectation::default()).ok()?;
    Some(records(folder))
}

fn records(folder: &Folder) -> Vec<Record> {
    let Ok(source) = audit::open(folder) else { return Vec::new() };
    audit::records(source).map(|records| records.flatten().collect()).unwrap_or_default()
}

/// Whether the owner has changed or decided something.
fn is_a_change(record: &Record) -> bool {
    let group = record.action.split('.').next().unwrap_or_default();
    record.actor.starts_with("owner:") && ["dataset", "plan", "policy", "python"].contains(&group)
}

/// The first attempt of a round, as its record tells it.
fn started(record: &Record) -> Option<Spent> {
    if record.action != Action::RoundStart.as_str() || record.objects.get("attempt")? != "1" {
        return None;
    }
    Some(Spent {
        round_id: record.objects.get("round")?.parse().ok()?,
        researcher_id: record.actor.strip_prefix("researcher:")?.parse().ok()?,
        dataset_id: record.objects.get("dataset_id")?.parse().ok()?,
        grant: record.objects.get("grant").and_then(|number| number.parse().ok()),
        at: record.at,
    })
}

/// When a round's request was made, as its id says.
fn made_at(spent: &Spent) -> Option<Timestamp> {
    let (seconds, nanoseconds) = spent.round_id.uuid().get_timestamp()?.to_unix();
    Some(Timestamp::from_milliseconds(seconds * 1_000 + u64::from(nanoseconds / 1_000_000)))
}

/// Brings the staged database to this program's tables, and opens the node's next life in it.
fn begin_epoch(
    (staged, key): (&Folder, Option<Key>),
    node: &NodeId,
    restore: &Restore,
    closing: Closing,
) -> Result<(u64, Shut), Error> {
    let components = [journal::MIGRATIONS, registry::MIGRATIONS];
    let opened = Database::open(&staged.database(), &components);
    let database = opened.map_err(registry::Error::from)?;
    let (kept, seal) = (restore.clone(), Seal::new(staged, node));
    let before = audit::own_keys(staged);
    let by = Person { user: rustix::process::getuid().as_raw(), name: None };
    let begun = database.write_blocking(move |transaction| {
        if let Some(key) = key {
            grants::sign_anew(transaction, &seal, &before, &key)?;
            let public = key.public();
            seal.replace(key, public);
        }
        let shut = closing.apply(transaction, (&seal, &by), kept.restored_at)?;
        Ok::<_, registry::Error>((restores::begin(transaction, kept)?, shut))
    });
    Ok(begun?)
}

/// The key that a folder's grants are signed with, or are about to be.
fn key_of(folder: &Folder) -> Option<Key> {
    let in_place = Key::load(&folder.audit_key());
    in_place.or_else(|_| audit::next_key(folder)).ok()
}

fn move_aside(root: &Path, aside: &Path, name: &str) -> Result<bool, Error> {
    let from = root.join(name);
    // An empty folder is nobody's loss.
    if !from.exists() || fs::remove_dir(&from).is_ok() {
        return Ok(false);
    }
    fs::create_dir_all(aside).map_err(at(aside))?;
    fs::rename(&from, aside.join(name)).map_err(at(&from))?;
    Ok(true)
}

async fn record(folder: &Folder, restored: &Restored, clock: &Arc<dyn Clock>) -> Result<(), Error> {
    let audit = Audit::new(folder, &restored.node, clock).map_err(at(&folder.audit()))?;
    let entry = |action| Entry::new(clock.now(), Actor::of_process(), action);
    if restored.audit_log == AuditLog::OfBackup {
        audit.permit(entry(Action::LogGap)).await?;
    }
    let entry = entry(Action::NodeRestore).node(&restored.node);
    let entry = entry.backup(&restored.backup, restored.backup_at, restored.epoch);
    audit.permit(entry).await?;
    Ok(())
}

fn at(path: &Path) -> impl Fn(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { path: path.clone(), source }
}

/// A policy that lets nobody in.
const NOBODY: &str = "\
# Another policy than the backup's was in effect when this node was restored, and its file was not there: nobody may ask
# for anything until you have written it again. The backup's policy is in the backup alone.
[defaults]
researchers = []
";

/// How far a coordinator's clock may be ahead of the node's without a request seeming newer than the restore.
const MARGIN: Duration = Duration::from_secs(10 * 60);
