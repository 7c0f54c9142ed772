//! One record as bytes: the only form that is hashed, signed and written.
//!
//! `docs/reference/audit-log.md` states the format. An entry has exactly one form, so that a record that was decoded is
//! the record that was signed.

use std::collections::BTreeMap;

use protocol::{Digest, Timestamp};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::key::{Key, PUBLIC_KEY, PublicKey, SIGNATURE};

/// What a log begins with: whose it is, and the key that its records are signed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) node: protocol::NodeId,
    pub(super) key: PublicKey,
}

/// A record as it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its place, counted from 1 without a gap.
    pub sequence: u64,
    /// When it was made, by the node's clock.
    pub at: Timestamp,
    /// Who did it, or asked for it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// `ok`, or the code of what was refused or failed.
    pub result: String,
    /// To what it was done: names, identifiers, digests and numbers.
    pub objects: BTreeMap<String, String>,
    /// The hash of the record before it.
    pub previous: Digest,
    /// Its own hash, which the next record repeats.
    pub hash: Digest,
}

/// Why bytes are no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misread {
    /// They end too early.
    Short,
    /// They are not what is ever written.
    Wrong,
}

/// The fields of a record without its length and signature.
pub(super) struct Body {
    pub(super) sequence: u64,
    pub(super) at: u64,
    pub(super) previous: Digest,
    actor: String,
    pub(super) action: String,
    pub(super) result: String,
    pub(super) objects: BTreeMap<String, String>,
}

impl Header {
    pub(super) fn encode(&self) -> Vec<u8> {
        let name = self.node.as_str().as_bytes();
        let length = u8::try_from(name.len()).expect("a node's name has at most 64 bytes");
        [MAGIC, &[length], name, self.key.as_bytes()].concat()
    }

    /// Reads what the bytes begin with; gives it with its length.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, usize), Misread> {
        let mut cursor = Cursor { bytes };
        if bytes.len() < MAGIC.len() && MAGIC.starts_with(bytes) {
            return Err(Misread::Short);
        }
        if cursor.take(MAGIC.len())? != MAGIC {
            return Err(Misread::Wrong);
        }
        let length = usize::from(cursor.take(1)?[0]);
        let name = std::str::from_utf8(cursor.take(length)?).map_err(|_| Misread::Wrong)?;
        let node = name.parse().map_err(|_| Misread::Wrong)?;
        let key: &[u8; PUBLIC_KEY] = cursor.array()?;
        let key = PublicKey::from_bytes(key).map_err(|_| Misread::Wrong)?;
        Ok((Self { node, key }, bytes.len() - cursor.bytes.len()))
    }

    /// What the first record names as the one before it.
    pub(super) fn hash(&self) -> Digest {
        Digest::of(&[HEAD_DOMAIN, &self.encode()].concat())
    }
}

/// Writes a record: its length, its body, its signature.
pub(super) fn encode(entry: &Entry, sequence: u64, previous: &Digest, key: &Key) -> Vec<u8> {
    let mut body = Vec::with_capacity(512);
    body.extend_from_slice(&sequence.to_le_bytes());
    body.extend_from_slice(&entry.at.milliseconds().to_le_bytes());
    body.extend_from_slice(previous.as_bytes());
    append(&mut body, &entry.actor.to_string());
    append(&mut body, entry.action.as_str());
    append(&mut body, entry.result.as_str());
    let objects: BTreeMap<&str, &str> =
        entry.objects.iter().map(|(object, value)| (object.as_str(), value.as_str())).collect();
    body.push(u8::try_from(objects.len()).expect("there are fewer than 256 kinds of objects"));
    for (object, value) in objects {
        append(&mut body, object);
        append(&mut body, value);
    }
    let signature = key.sign(&signed(&body));
    let length = u32::try_from(body.len() + SIGNATURE).expect("a record is far below 4 GiB");
    [&length.to_le_bytes(), body.as_slice(), &signature].concat()
}

/// The hash of a whole record, its length and signature included.
pub(super) fn hash(record: &[u8]) -> Digest {
    let mut digester = protocol::Digester::new();
    digester.update(RECORD_DOMAIN);
    digester.update(record);
    digester.finish()
}

/// What is signed for a body.
pub(super) fn signed(body: &[u8]) -> Vec<u8> {
    [SIGNATURE_DOMAIN, body].concat()
}

impl Body {
    /// Reads a body from the front of bytes; gives it with its length.
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, usize), Misread> {
        let mut cursor = Cursor { bytes };
        let sequence = cursor.number()?;
        let at = cursor.number()?;
        let previous = Digest::from_bytes(*cursor.array()?);
        let (actor, action, result) = (cursor.text()?, cursor.text()?, cursor.text()?);
        let count = cursor.take(1)?[0];
        let mut objects: BTreeMap<String, String> = BTreeMap::new();
        for _ in 0..count {
            let (object, value) = (cursor.text()?, cursor.text()?);
            if objects.last_key_value().is_some_and(|(last, _)| *last >= object) {
                return Err(Misread::Wrong);
            }
            objects.insert(object, value);
        }
        let length = bytes.len() - cursor.bytes.len();
        Ok((Self { sequence, at, previous, actor, action, result, objects }, length))
    }

    pub(super) fn into_record(self, hash: Digest) -> Record {
        Record {
            sequence: self.sequence,
            at: Timestamp::from_milliseconds(self.at),
            actor: self.actor,
            action: self.action,
            result: self.result,
            objects: self.objects,
            previous: self.previous,
            hash,
        }
    }
}

/// Bytes that are read from the front.
struct Cursor<'a> {
    bytes: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], Misread> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or(Misread::Short)?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<&'a [u8; N], Misread> {
        self.take(N)?.try_into().map_err(|_| Misread::Short)
    }

    fn number(&mut self) -> Result<u64, Misread> {
        self.array().copied().map(u64::from_le_bytes)
    }

    fn text(&mut self) -> Result<String, Misread> {
        let length = usize::from(u16::from_le_bytes(*self.array()?));
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| Misread::Wrong)?;
        Ok(text.to_owned())
    }
}

fn append(body: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("names and numbers are far below 64 KiB");
    body.extend_from_slice(&length.to_le_bytes());
    body.extend_from_slice(text.as_bytes());
}

/// The first bytes of every log; the number is that of the format.
pub(super) const MAGIC: &[u8] = b"wardround-audit/1\n";
/// Bytes of the length before a record.
pub(super) const LENGTH: usize = 4;
/// The most bytes of a record without its length; more is damage.
pub(super) const LARGEST: usize = 64 << 10;
const HEAD_DOMAIN: &[u8] = b"wardround-audit/1 header\0";
const RECORD_DOMAIN: &[u8] = b"wardround-audit/1 record\0";
const SIGNATURE_DOMAIN: &[u8] = b"wardround-audit/1 signature\0";
