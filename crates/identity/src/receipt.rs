//! A receipt: the coordinator's signature under the head of a node's audit log.
//!
//! A log that is chained and signed shows every change but one: that its end was cut off, or that all of it was made
//! anew. Whoever holds a receipt knows that at an instant the log had so many records, the last of them with this hash.

use std::fmt;
use std::str::FromStr;

use protocol::{Digest, NodeId, Timestamp};

use crate::key::{PublicKey, SIGNATURE, SecretKey};

/// What the head of an audit log is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Whose log it is.
    pub node: NodeId,
    /// The key that its records are signed with.
    pub log_key: PublicKey,
    /// How many records it has.
    pub records: u64,
    /// The hash of the last one.
    pub head: Digest,
}

/// A head that a coordinator has signed, as a text of a few lines:
///
/// ```text
/// wardround audit receipt 1
/// node north
/// key ed25519:…
/// records 1204
/// head sha256:…
/// at 1795000000000
/// authority ed25519:…
/// signature …
/// ```
///
/// The signature covers the lines before it, each with its line break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What was signed.
    pub head: Head,
    /// When, by the coordinator's clock.
    pub at: Timestamp,
    /// By whom: the authority of the node's consortium.
    pub authority: PublicKey,
    signature: [u8; SIGNATURE],
}

/// A text is not a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has other lines, or other things on them.
    #[error("the text is not a receipt: its line {0} is not what a receipt has there")]
    Form(usize),
    /// It is not signed by the authority that it names.
    #[error("the receipt is not signed by the authority that it names")]
    Signature,
}

impl Receipt {
    pub(crate) fn sign(head: Head, at: Timestamp, authority: &SecretKey) -> Self {
        let statement = statement(&head, at, &authority.public());
        let signature = authority.sign(statement.as_bytes());
        Self { head, at, authority: authority.public(), signature }
    }
}

fn statement(head: &Head, at: Timestamp, authority: &PublicKey) -> String {
    let Head { node, log_key, records, head } = head;
    let at = at.milliseconds();
    format!(
        "{TITLE}\nnode {node}\nkey {log_key}\nrecords {records}\nhead {head}\nat {at}\nauthority {authority}\n"
    )
}

impl fmt::Display for Receipt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&statement(&self.head, self.at, &self.authority))?;
        let (first, second) = self.signature.split_at(SIGNATURE / 2);
        let digits = |half: &[u8]| {
            let half = half.try_into().expect("a signature is two halves");
            Digest::from_bytes(half).hexadecimal()
        };
        writeln!(formatter, "signature {}{}", digits(first), digits(second))
    }
}

impl FromStr for Receipt {
    type Err = Error;

    /// Reads a receipt and checks its signature; whether its authority is the right one is the reader's to say.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(Error::Form(1));
        }
        let mut number = 1;
        let mut field = |name: &str| {
            number += 1;
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.map(|value| (value, number)).ok_or(Error::Form(number))
        };
        let node = parsed(field("node")?)?;
        let log_key = parsed(field("key")?)?;
        let records = parsed(field("records")?)?;
        let head = Head { node, log_key, records, head: parsed(field("head")?)? };
        let at = Timestamp::from_milliseconds(parsed(field("at")?)?);
        let authority: PublicKey = parsed(field("authority")?)?;
        let (digits, number) = field("signature")?;
        let signature = signature(digits).ok_or(Error::Form(number))?;
        if lines.next().is_some() {
            return Err(Error::Form(number + 1));
        }
        let receipt = Self { head, at, authority, signature };
        let statement = statement(&receipt.head, at, &authority);
        // What is written in another way than it was signed is not what was signed.
        let is_as_signed = receipt.to_string().trim_end() == text.trim_end();
        if !is_as_signed || !authority.has_signed(statement.as_bytes(), &signature) {
            return Err(Error::Signature);
        }
        Ok(receipt)
    }
}

fn parsed<T: FromStr>((value, number): (&str, usize)) -> Result<T, Error> {
    value.parse().map_err(|_| Error::Form(number))
}

fn signature(digits: &str) -> Option<[u8; SIGNATURE]> {
    let (first, second) = digits.split_at_checked(SIGNATURE)?;
    let half = |digits: &str| format!("sha256:{digits}").parse::<Digest>().ok();
    let halves = [*half(first)?.as_bytes(), *half(second)?.as_bytes()].concat();
    halves.try_into().ok()
}

/// Lines of a receipt.
pub const LINES: usize = 8;

const TITLE: &str = "wardround audit receipt 1";

#[cfg(test)]
mod tests {
    use super::*;

    fn receipt() -> Receipt {
        let head = Head {
            node: "north".parse().unwrap(),
            log_key: SecretKey::draw().unwrap().public(),
            records: 1204,
            head: Digest::of(b"the last record"),
        };
        let at = Timestamp::from_milliseconds(1_795_000_000_000);
        Receipt::sign(head, at, &SecretKey::draw().unwrap())
    }

    #[test]
    fn a_receipt_is_written_and_read_back() {
        let receipt = receipt();
        let text = receipt.to_string();
        assert_eq!(text.lines().count(), 8, "{text}");
        assert_eq!(text.parse::<Receipt>().unwrap(), receipt);
    }

    #[test]
    fn each_changed_byte_of_a_receipt_is_found() {
        let text = receipt().to_string();
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] ^= 1;
            // The last line break says nothing, and its flip is a letter more on the line before it.
            let Ok(changed) = String::from_utf8(bytes) else { continue };
            assert!(changed.parse::<Receipt>().is_err(), "{place}: {changed}");
        }
        let more = format!("{text}records 9999\n");
        assert_eq!(more.parse::<Receipt>(), Err(Error::Form(9)));
        let spaced = text.replace("records 1204", "records 01204");
        assert_eq!(spaced.parse::<Receipt>(), Err(Error::Signature));
    }
}
