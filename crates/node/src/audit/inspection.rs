//! What anybody with a copy of a log can do with it: read it, verify it, copy it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use identity::Receipt;
use protocol::{Digest, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Durability, write_whole};

use super::chain::{Chain, Fault, Flaw, Scrutiny};
use super::key::{self, Key, PublicKey};
use super::record::Record;
use super::succession::{Handover, Succession};
use crate::folder::Folder;

/// A log in which every record is what its node wrote, as far as the log itself can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Whose log it is.
    pub node: NodeId,
    /// The key that its records are signed with at its end.
    pub key: String,
    /// The keys before it, the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_keys: Vec<EarlierKey>,
    /// How many records there are.
    pub records: u64,
    /// The hash of the last one. Whoever keeps it sees later whether the end was cut off.
    pub head: Digest,
    /// When the last one was made.
    pub last_at: Option<Timestamp>,
    /// Up to where the coordinator has signed it, by the receipts that were given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub countersigned: Option<Countersigned>,
}

/// A key that a log was signed with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierKey {
    /// The key.
    pub key: String,
    /// The last record that it has signed; 0 where it has signed none.
    pub last_record: u64,
    /// How it was replaced.
    pub end: Handover,
    /// How many records a coordinator had signed by then, as the record says in which the key was replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub countersigned: Option<u64>,
}

/// How far a log is covered by a coordinator's signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Countersigned {
    /// How many records.
    pub records: u64,
    /// When it signed.
    pub at: Timestamp,
    /// Who signed: the public key of the consortium's authority.
    pub authority: String,
}

/// What is known of a log from elsewhere.
#[derive(Debug, Clone, Default)]
pub struct Expectation {
    /// The node's key: the last one, or one whose successors it vouches for.
    pub key: Option<PublicKey>,
    /// The hash of a record that was there.
    pub head: Option<Digest>,
    /// What coordinators have signed of it; signatures are checked where a receipt is read.
    pub receipts: Vec<Receipt>,
}

/// Why a log cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is not what the node wrote.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The node's key cannot be used.
    #[error(transparent)]
    Key(#[from] key::Error),
    /// The folder's key is another than the one that signs its log.
    #[error("{} is another key than the one that signs the audit log, {expected}", path.display())]
    OtherKey {
        /// The key's file.
        path: PathBuf,
        /// The key that the log is signed with.
        expected: String,
    },
    /// The node has not recorded anything yet.
    #[error("the node has no audit log yet: it begins with the first act that is recorded")]
    Absent,
    /// The copy cannot be written.
    #[error("the copy cannot be written")]
    Copy(#[source] io::Error),
}

/// Reads a log to its end and checks form, order, links and signatures.
///
/// # Errors
///
/// Names the first bad record and what is wrong with it.
pub fn verify(source: impl Read, expected: &Expectation) -> Result<Verified, Fault> {
    let mut chain = Chain::open(source, Scrutiny::Signatures)?;
    let receipts = receipts_of(&chain, expected)?;
    let mut trust = Trust::begin(chain.header().key, expected.key);
    let (mut last_at, mut hashes) = (None, Vec::new());
    let mut awaited = expected.head.filter(|head| *head != chain.head());
    loop {
        let (offset, before) = (chain.offset(), chain.key());
        let Some(record) = chain.next()? else { break };
        let fault = |flaw| Fault { record: record.sequence, offset, flaw };
        last_at = Some(record.at);
        hashes.push(record.hash);
        awaited = awaited.filter(|head| *head != record.hash);
        if let Some(succession) = chain.succession() {
            refuse_untied(&succession, &hashes).map_err(fault)?;
            trust.follow(record.sequence, offset, before, &succession);
        }
        for receipt in receipts.iter().filter(|receipt| receipt.head.records == record.sequence) {
            if receipt.head.log_key.to_string() != chain.key().to_string() {
                return Err(of_another_log(receipt));
            }
            if receipt.head.head != record.hash {
                return Err(fault(Flaw::Replaced { at: receipt.at }));
            }
        }
    }
    let later = receipts.iter().find(|receipt| receipt.head.records > chain.sequence());
    if let Some(head) = awaited.or_else(|| later.map(|receipt| receipt.head.head)) {
        let (record, offset) = (chain.sequence() + 1, chain.offset());
        return Err(Fault { record, offset, flaw: Flaw::Headless { head } });
    }
    let last = receipts.iter().max_by_key(|receipt| receipt.head.records);
    Ok(Verified {
        node: chain.header().node.clone(),
        key: chain.key().to_string(),
        earlier_keys: trust.judge()?,
        records: chain.sequence(),
        head: chain.head(),
        last_at,
        countersigned: last.map(|receipt| Countersigned {
            records: receipt.head.records,
            at: receipt.at,
            authority: receipt.authority.to_string(),
        }),
    })
}

/// What an expected key vouches for, from key to key.
struct Trust {
    first: PublicKey,
    expected: Option<PublicKey>,
    /// Whether it stands behind the records as far as they were read.
    is_vouched: bool,
    /// Where it ceased to.
    broken: Option<Fault>,
    earlier: Vec<EarlierKey>,
}

impl Trust {
    fn begin(first: PublicKey, expected: Option<PublicKey>) -> Self {
        let is_vouched = expected.is_none_or(|expected| expected == first);
        Self { first, expected, is_vouched, broken: None, earlier: Vec::new() }
    }

    /// A key that rotates vouches for the next one, and the next one for all before it; a key that was lost for nothing
    /// that follows.
    fn follow(&mut self, record: u64, offset: u64, before: PublicKey, succession: &Succession) {
        let is_expected = self.expected.is_none_or(|expected| expected == succession.key);
        let (end, last_record) = match succession.handover {
            Handover::Rotated => (Handover::Rotated, record),
            Handover::Lost => (Handover::Lost, record - 1),
        };
        if end == Handover::Lost && self.is_vouched && !is_expected {
            let flaw = Flaw::Broken { lost: Box::new(before), by: Box::new(succession.key) };
            self.broken = Some(Fault { record, offset, flaw });
        }
        self.is_vouched = is_expected || (end == Handover::Rotated && self.is_vouched);
        let countersigned = succession.tie.map(|(records, _)| records);
        let key = before.to_string();
        self.earlier.push(EarlierKey { key, last_record, end, countersigned });
    }

    fn judge(self) -> Result<Vec<EarlierKey>, Fault> {
        if self.is_vouched {
            return Ok(self.earlier);
        }
        let flaw = Flaw::OtherKey { found: Box::new(self.first) };
        Err(self.broken.unwrap_or(Fault { record: 0, offset: 0, flaw }))
    }
}

/// Refuses a break that names a record as signed by the coordinator which is not there.
fn refuse_untied(succession: &Succession, hashes: &[Digest]) -> Result<(), Flaw> {
    let Some((records, head)) = succession.tie else { return Ok(()) };
    let place = usize::try_from(records).ok().and_then(|records| records.checked_sub(1));
    // The record that says so is none of those before it.
    let before = &hashes[..hashes.len() - 1];
    match place.and_then(|place| before.get(place)) {
        Some(hash) if *hash == head => Ok(()),
        _ => Err(Flaw::Untied { head }),
    }
}

/// The receipts that were given, each of which must be of this node.
fn receipts_of<'a, R: Read>(
    chain: &Chain<R>,
    expected: &'a Expectation,
) -> Result<&'a [Receipt], Fault> {
    let is_other = |receipt: &&Receipt| receipt.head.node != chain.header().node;
    match expected.receipts.iter().find(is_other) {
        Some(other) => Err(of_another_log(other)),
        None => Ok(&expected.receipts),
    }
}

fn of_another_log(receipt: &Receipt) -> Fault {
    Fault { record: 0, offset: 0, flaw: Flaw::OtherLog { node: receipt.head.node.clone() } }
}

/// Verifies a node's own log against its key, its last receipt, and what else is known.
///
/// # Errors
///
/// [`Error::Absent`] where nothing was recorded yet; else what is wrong with the log or the key.
pub fn verify_own(folder: &Folder, expected: Expectation) -> Result<Verified, Error> {
    let keys = own_keys(folder);
    judge_own(open(folder)?, folder, &keys, expected)
}

/// Verifies what was read of a node's own log after these keys lay in its folder.
fn judge_own(
    source: impl Read,
    folder: &Folder,
    keys: &[PublicKey],
    mut expected: Expectation,
) -> Result<Verified, Error> {
    expected.receipts.extend(receipt(folder));
    let verified = verify(source, &expected)?;
    // While a key is replaced, either of two is the log's, and they change their places meanwhile.
    let is_own = |key: &PublicKey| key.to_string() == verified.key;
    if keys.iter().chain(&own_keys(folder)).any(is_own) {
        return Ok(verified);
    }
    public_key(folder)?;
    Err(Error::OtherKey { path: folder.audit_key(), expected: verified.key })
}

/// The key in its place, and the one that is about to come there.
pub(crate) fn own_keys(folder: &Folder) -> Vec<PublicKey> {
    let files = [folder.audit_key(), folder.audit_key_next()];
    files.iter().filter_map(|file| Key::load(file).ok()).map(|key| key.public()).collect()
}

/// Reads receipts, one after another, with empty lines between them or not.
///
/// # Errors
///
/// Says which one is not a receipt, or not signed by the authority that it names.
pub fn parse_receipts(text: &str) -> Result<Vec<Receipt>, identity::receipt::Error> {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.chunks(identity::receipt::LINES).map(|lines| lines.join("\n").parse()).collect()
}

/// The coordinator's last signature under a node's own log, where there is one that can be read.
pub fn receipt(folder: &Folder) -> Option<Receipt> {
    std::fs::read_to_string(folder.audit_receipt()).ok()?.parse().ok()
}

/// Reads a log's records in order; signatures are left to [`verify`].
///
/// # Errors
///
/// Where the first bytes are not those of a log. The iterator ends with the first bad record.
pub fn records(source: impl Read) -> Result<impl Iterator<Item = Result<Record, Fault>>, Fault> {
    let mut chain = Some(Chain::open(source, Scrutiny::Links)?);
    Ok(std::iter::from_fn(move || {
        let next = chain.as_mut()?.next().transpose();
        if !matches!(next, Some(Ok(_))) {
            chain = None;
        }
        next
    }))
}

/// Opens a node's own log as it is at this moment, whether the node runs or not.
///
/// # Errors
///
/// [`Error::Absent`] where nothing was recorded yet; else why it cannot be read.
pub fn open(folder: &Folder) -> Result<impl Read, Error> {
    let unreadable = |source: io::Error| Fault { record: 0, offset: 0, flaw: source.into() };
    let file = match File::open(folder.audit_log()) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(Error::Absent),
        Err(error) => return Err(unreadable(error).into()),
    };
    // What a running node is just writing is left out: it holds the lock while it writes.
    for _ in 0..TRIES {
        if file.try_lock_shared().is_ok() {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    let length = file.metadata().map_err(unreadable)?.len();
    // The lock goes with the file where this fails.
    drop(file.unlock());
    Ok(BufReader::with_capacity(BUFFER, file.take(length)))
}

/// The public key of a node's folder.
///
/// # Errors
///
/// Where there is none, or it cannot be used.
pub fn public_key(folder: &Folder) -> Result<PublicKey, key::Error> {
    Key::load(&folder.audit_key()).map(|key| key.public())
}

/// Verifies a node's own log against its key and copies it, whole or not at all.
///
/// # Errors
///
/// Where it is not what the node wrote, or the copy cannot be written.
pub fn export(folder: &Folder, to: &Path) -> Result<Verified, Error> {
    let (keys, mut bytes) = (own_keys(folder), Vec::new());
    let unreadable = |source: io::Error| Fault { record: 0, offset: 0, flaw: source.into() };
    open(folder)?.read_to_end(&mut bytes).map_err(unreadable)?;
    let verified = judge_own(bytes.as_slice(), folder, &keys, Expectation::default())?;
    write_whole(to, &bytes, Durability::PowerLoss).map_err(Error::Copy)?;
    Ok(verified)
}

const BUFFER: usize = 64 << 10;
/// How often a log is tried that somebody holds.
const TRIES: u32 = 40;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(25);
