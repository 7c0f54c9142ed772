//! Which key signs: the one that the log begins with, until a record puts another in its place.
//!
//! A rotation is signed by both keys: the old one under the record, the new one within it. A break, where the old key is
//! lost, is signed by the new key alone, and so proves nothing to whoever knows only the old one.

use protocol::Digest;
use serde::{Deserialize, Serialize};

use super::entry::{Action, Object};
use super::key::{Key, PublicKey, SIGNATURE};
use super::record::{Body, Misread};

/// How a key came to be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Handover {
    /// It has signed the record that names the next one.
    Rotated,
    /// It was lost, and could sign nothing more.
    Lost,
}

/// What a record says of the key that signs from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Succession {
    pub(super) key: PublicKey,
    pub(super) handover: Handover,
    /// The last record that a coordinator had signed, and its hash, where a break names one.
    pub(super) tie: Option<(u64, Digest)>,
}

/// What two keys sign: the new one, that it takes over from the old one at this very place of the log.
pub(super) fn statement(
    sequence: u64,
    previous: &Digest,
    before: &PublicKey,
    key: &PublicKey,
) -> Vec<u8> {
    let place = sequence.to_le_bytes();
    [DOMAIN, &place[..], previous.as_bytes(), before.as_bytes(), key.as_bytes()].concat()
}

/// The new key's signature as it stands in a record.
pub(super) fn seal(key: &Key, sequence: u64, previous: &Digest, before: &PublicKey) -> String {
    let signature = key.sign(&statement(sequence, previous, before, &key.public()));
    signature.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Succession {
    /// What a record makes of the key that was in force before it; nothing for almost every record.
    pub(super) fn of(body: &Body, before: &PublicKey) -> Result<Option<Self>, Misread> {
        let handover = match body.action.as_str() {
            action if action == Action::LogRotate.as_str() => Handover::Rotated,
            action if action == Action::LogBreak.as_str() => Handover::Lost,
            _ => return Ok(None),
        };
        let object = |object: Object| body.objects.get(object.as_str()).map(String::as_str);
        let key = |name| object(name).and_then(|text| text.parse::<PublicKey>().ok());
        let successor = key(Object::Key).ok_or(Misread::Wrong)?;
        if key(Object::KeyBefore) != Some(*before) || body.result != protocol::Code::Ok.as_str() {
            return Err(Misread::Wrong);
        }
        let tie = match (object(Object::Countersigned), object(Object::CountersignedHead)) {
            (Some(records), Some(head)) => {
                let records = records.parse().map_err(|_| Misread::Wrong)?;
                Some((records, head.parse().map_err(|_| Misread::Wrong)?))
            }
            (None, None) => None,
            _ => return Err(Misread::Wrong),
        };
        if handover == Handover::Rotated {
            let message = statement(body.sequence, &body.previous, before, &successor);
            let signature = object(Object::KeySignature).and_then(signature);
            if !signature.is_some_and(|signature| successor.has_signed(&message, &signature)) {
                return Err(Misread::Wrong);
            }
        }
        Ok(Some(Self { key: successor, handover, tie }))
    }
}

fn signature(digits: &str) -> Option<[u8; SIGNATURE]> {
    let (first, second) = digits.split_at_checked(SIGNATURE)?;
    // A digest is written with the same digits behind a prefix.
    let half = |digits: &str| format!("sha256:{digits}").parse::<Digest>().ok();
    [*half(first)?.as_bytes(), *half(second)?.as_bytes()].concat().try_into().ok()
}

const DOMAIN: &[u8] = b"wardround-audit/1 rotation\0";
