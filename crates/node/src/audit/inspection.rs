//! What anybody with a copy of a log can do with it: read it, verify it, copy it.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::time::Duration;

use identity::Receipt;
use protocol::{Digest, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Durability, write_whole};

use super::chain::{Chain, Fault, Flaw, Scrutiny};
use super::key::{self, Key, PublicKey};
use super::record::Record;
use crate::folder::Folder;

/// A log in which every record is what its node wrote, as far as the log itself can tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Whose log it is.
    pub node: NodeId,
    /// The key that its records are signed with.
    pub key: String,
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
    /// The node's key.
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
    let found = chain.header().key;
    if expected.key.is_some_and(|key| key != found) {
        return Err(Fault {
            record: 0,
            offset: 0,
            flaw: Flaw::OtherKey { found: Box::new(found) },
        });
    }
    let receipts = receipts_of(&chain, expected)?;
    let mut last_at = None;
    let mut awaited = expected.head.filter(|head| *head != chain.head());
    while let Some(record) = chain.next()? {
        last_at = Some(record.at);
        awaited = awaited.filter(|head| *head != record.hash);
        let mut same = receipts.iter().filter(|receipt| receipt.head.records == record.sequence);
        if let Some(other) = same.find(|receipt| receipt.head.head != record.hash) {
            let (record, offset) = (record.sequence, chain.offset());
            return Err(Fault { record, offset, flaw: Flaw::Replaced { at: other.at } });
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
        key: found.to_string(),
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

/// The receipts that were given, each of which must be of this log.
fn receipts_of<'a, R: Read>(
    chain: &Chain<R>,
    expected: &'a Expectation,
) -> Result<&'a [Receipt], Fault> {
    let header = chain.header();
    let is_other = |receipt: &&Receipt| {
        receipt.head.node != header.node
            || receipt.head.log_key.to_string() != header.key.to_string()
    };
    match expected.receipts.iter().find(is_other) {
        Some(other) => {
            let flaw = Flaw::OtherLog { node: other.head.node.clone() };
            Err(Fault { record: 0, offset: 0, flaw })
        }
        None => Ok(&expected.receipts),
    }
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
    let key = Some(public_key(folder)?);
    let mut bytes = Vec::new();
    let unreadable = |source: io::Error| Fault { record: 0, offset: 0, flaw: source.into() };
    open(folder)?.read_to_end(&mut bytes).map_err(unreadable)?;
    let receipts = receipt(folder).into_iter().collect();
    let verified = verify(bytes.as_slice(), &Expectation { key, head: None, receipts })?;
    write_whole(to, &bytes, Durability::PowerLoss).map_err(Error::Copy)?;
    Ok(verified)
}

const BUFFER: usize = 64 << 10;
/// How often a log is tried that somebody holds.
const TRIES: u32 = 40;
/// The pause between two tries.
const PAUSE: Duration = Duration::from_millis(25);
