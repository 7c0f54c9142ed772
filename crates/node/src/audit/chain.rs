//! Reads a log from its beginning, record by record, and says where it stops being one.

use std::fmt;
use std::io::{self, Read};

use protocol::Digest;

use super::key::{PublicKey, SIGNATURE};
use super::record::{self, Body, Header, LARGEST, LENGTH, MAGIC, Misread, Record};
use super::succession::{Handover, Succession};

/// A log that is read: every record that was given is linked to all before it.
pub(super) struct Chain<R> {
    source: R,
    header: Header,
    scrutiny: Scrutiny,
    sequence: u64,
    previous: Digest,
    offset: u64,
    record: Vec<u8>,
    /// The last record that was given.
    last: Vec<u8>,
    /// The key that signs the next record.
    key: PublicKey,
    /// The key that has signed the last one.
    signer: PublicKey,
    /// What the last record made of the key.
    succession: Option<Succession>,
}

/// What is looked at in each record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scrutiny {
    /// Its form, its place, and the hash of the one before it.
    Links,
    /// Its signature, too.
    Signatures,
}

/// Where a log is not what its node wrote, and why.
#[derive(Debug, thiserror::Error)]
#[error("{} {flaw}", place(*record))]
pub struct Fault {
    /// The first bad record, counted from 1; 0 where the log's first bytes are bad.
    pub record: u64,
    /// Where it begins, in bytes from the beginning of the file.
    pub offset: u64,
    /// What is wrong with it.
    #[source]
    pub flaw: Flaw,
}

/// What is wrong with a record.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The file cannot be read.
    #[error("cannot be read")]
    Unreadable(#[from] io::Error),
    /// The file begins with something else.
    #[error("are not those of an audit log")]
    NotALog,
    /// The file ends within the record.
    #[error("is incomplete: the file ends within it")]
    Torn,
    /// The bytes are not what a node writes.
    #[error("is not what a node writes: its bytes were changed")]
    Malformed,
    /// Another number is due.
    #[error("says that it is record {found}: records were removed, added or moved")]
    OutOfOrder {
        /// Its number.
        found: u64,
    },
    /// The record before it is another than when it was written.
    #[error("names another record before it: that one was changed or replaced")]
    Unchained,
    /// It was not signed with the log's key as it stands.
    #[error("does not carry the node's signature: it was changed, or signed by somebody else")]
    Unsigned,
    /// The log is signed with another key than it should be.
    #[error("name the key {found}, which is not the expected one")]
    OtherKey {
        /// The key that the log names.
        found: Box<PublicKey>,
    },
    /// The expected key was lost before it, and whoever wrote it had another one.
    #[error(
        "says that the key {lost} was lost, and is signed with {by}: the expected key vouches for the records before it, \
         and for nothing from it on"
    )]
    Broken {
        /// The key that was lost.
        lost: Box<PublicKey>,
        /// The key that signs from then on.
        by: Box<PublicKey>,
    },
    /// It names a record that the coordinator has signed, and another one is there.
    #[error(
        "names {head} as the last record that the coordinator has signed, and no record before it is that one"
    )]
    Untied {
        /// The hash that it names.
        head: Digest,
    },
    /// The coordinator has signed another record in its place.
    #[error(
        "is another one than the coordinator has signed at {at}: the log was made anew from before it"
    )]
    Replaced {
        /// When it was signed.
        at: protocol::Timestamp,
    },
    /// A receipt is of another log.
    #[error("are not those of the log of {node} that a receipt names")]
    OtherLog {
        /// The node that the receipt names.
        node: protocol::NodeId,
    },
    /// A record that was there is not.
    #[error("is missing: no record has the hash {head}, so the end of the log was cut off")]
    Headless {
        /// The hash of a record that is known to have been there.
        head: Digest,
    },
}

impl<R: Read> Chain<R> {
    /// Reads what the log begins with.
    pub(super) fn open(mut source: R, scrutiny: Scrutiny) -> Result<Self, Fault> {
        let fault = |flaw| Fault { record: 0, offset: 0, flaw };
        let mut start = vec![0; MAGIC.len() + 1];
        let read = fill(&mut source, &mut start).map_err(|error| fault(error.into()))?;
        if read == start.len() {
            // The name, whose length is known now, and the key.
            let rest = usize::from(start[MAGIC.len()]) + super::key::PUBLIC_KEY;
            let known = start.len();
            start.resize(known + rest, 0);
            let more =
                fill(&mut source, &mut start[known..]).map_err(|error| fault(error.into()))?;
            start.truncate(known + more);
        } else {
            start.truncate(read);
        }
        match Header::decode(&start) {
            Ok((header, length)) => Ok(Self {
                previous: header.hash(),
                key: header.key,
                signer: header.key,
                succession: None,
                header,
                source,
                scrutiny,
                sequence: 0,
                offset: length as u64,
                record: Vec::new(),
                last: Vec::new(),
            }),
            Err(Misread::Short | Misread::Wrong) => Err(fault(Flaw::NotALog)),
        }
    }

    /// The same log from here on, read from other bytes and with signatures.
    #[cfg(test)]
    pub(super) fn resume<'a>(&self, bytes: &'a [u8]) -> Chain<&'a [u8]> {
        let (header, record, last) = (self.header.clone(), Vec::new(), Vec::new());
        let Self { sequence, previous, offset, key, signer, succession, .. } = *self;
        let scrutiny = Scrutiny::Signatures;
        let source = bytes;
        Chain {
            source,
            header,
            scrutiny,
            sequence,
            previous,
            offset,
            record,
            last,
            key,
            signer,
            succession,
        }
    }

    /// Whose log it is.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The key that signs the next record.
    pub(super) fn key(&self) -> PublicKey {
        self.key
    }

    /// What the last record that was given made of the key.
    pub(super) fn succession(&self) -> Option<Succession> {
        self.succession
    }

    /// The number of the last record that was given.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The hash of that record.
    pub(super) fn head(&self) -> Digest {
        self.previous
    }

    /// Where the next record begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Refuses the last record where it is not signed: its links carry all records before it.
    pub(super) fn check_last_signature(&self) -> Result<(), Fault> {
        if self.sequence == 0 || is_signed(&self.last, &self.signer) {
            return Ok(());
        }
        let offset = self.offset - self.last.len() as u64;
        Err(Fault { record: self.sequence, offset, flaw: Flaw::Unsigned })
    }

    /// The next record; none where the log ends.
    pub(super) fn next(&mut self) -> Result<Option<Record>, Fault> {
        let (sequence, previous, offset) = (self.sequence + 1, self.previous, self.offset);
        let fault = |flaw| Fault { record: sequence, offset, flaw };
        if !self.read().map_err(fault)? {
            return Ok(None);
        }
        let (body, succession) = self.judge(sequence, &previous).map_err(fault)?;
        self.signer = self.signer_of(succession.as_ref());
        self.key = succession.map_or(self.key, |succession| succession.key);
        self.succession = succession;
        self.sequence = sequence;
        self.offset += self.record.len() as u64;
        self.previous = record::hash(&self.record);
        std::mem::swap(&mut self.record, &mut self.last);
        Ok(Some(body.into_record(self.previous)))
    }

    /// Takes the next record's bytes; says whether there are any.
    fn read(&mut self) -> Result<bool, Flaw> {
        self.record.clear();
        self.record.resize(LENGTH, 0);
        let read = fill(&mut self.source, &mut self.record)?;
        self.record.truncate(read);
        let Ok(length) = self.record.as_slice().try_into().map(u32::from_le_bytes) else {
            return if read == 0 { Ok(false) } else { Err(Flaw::Torn) };
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !(SIGNATURE..=LARGEST).contains(&length) {
            let is_blank = length == 0 && self.ends_blank()?;
            return Err(if is_blank { Flaw::Torn } else { Flaw::Malformed });
        }
        self.record.resize(LENGTH + length, 0);
        let read = fill(&mut self.source, &mut self.record[LENGTH..])?;
        if read == length {
            return Ok(true);
        }
        self.record.truncate(LENGTH + read);
        Err(if self.is_beginning(length) { Flaw::Torn } else { Flaw::Malformed })
    }

    /// Whether the bytes, with which the file ends, are the beginning of the next record.
    ///
    /// A length that was changed must not pass for a record that a crash cut short: the fields tell their own length.
    fn is_beginning(&self, length: usize) -> bool {
        match Body::decode(&self.record[LENGTH..]) {
            Ok((body, own)) => own + SIGNATURE == length && self.is_next(&body),
            Err(Misread::Wrong) => false,
            Err(Misread::Short) => true,
        }
    }

    fn is_next(&self, body: &Body) -> bool {
        body.sequence == self.sequence + 1 && body.previous == self.previous
    }

    /// Whether nothing but zeros follows, as after a loss of power before the bytes were on the disk.
    fn ends_blank(&mut self) -> Result<bool, Flaw> {
        let mut chunk = [0; 4096];
        loop {
            let read = fill(&mut self.source, &mut chunk)?;
            if chunk[..read].iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            if read < chunk.len() {
                return Ok(true);
            }
        }
    }

    fn judge(
        &mut self,
        sequence: u64,
        previous: &Digest,
    ) -> Result<(Body, Option<Succession>), Flaw> {
        let (content, signature) =
            self.record[LENGTH..].split_at(self.record.len() - LENGTH - SIGNATURE);
        let is_blank = signature.iter().all(|byte| *byte == 0);
        let decoded = Body::decode(content);
        if is_blank && self.ends_blank()? {
            return Err(Flaw::Torn);
        }
        let body = match decoded {
            Ok((body, own)) if own + SIGNATURE + LENGTH == self.record.len() => body,
            Ok(_) | Err(Misread::Short | Misread::Wrong) => return Err(Flaw::Malformed),
        };
        if body.sequence != sequence {
            return Err(Flaw::OutOfOrder { found: body.sequence });
        }
        let succession = Succession::of(&body, &self.key).map_err(|_| Flaw::Malformed)?;
        let signer = self.signer_of(succession.as_ref());
        if self.scrutiny == Scrutiny::Signatures && !is_signed(&self.record, &signer) {
            return Err(Flaw::Unsigned);
        }
        if body.previous != *previous {
            return Err(Flaw::Unchained);
        }
        Ok((body, succession))
    }

    /// Who signs a record: the key in force, or the one that takes over where that was lost.
    fn signer_of(&self, succession: Option<&Succession>) -> PublicKey {
        match succession {
            Some(Succession { key, handover: Handover::Lost, .. }) => *key,
            Some(Succession { handover: Handover::Rotated, .. }) | None => self.key,
        }
    }
}

fn is_signed(record: &[u8], key: &PublicKey) -> bool {
    let (body, signature) = record[LENGTH..].split_at(record.len() - LENGTH - SIGNATURE);
    let signature = signature.try_into().expect("it was split off so");
    key.has_signed(&record::signed(body), signature)
}

fn place(record: u64) -> impl fmt::Display {
    fmt::from_fn(move |formatter| match record {
        0 => formatter.write_str("the first bytes"),
        record => write!(formatter, "record {record}"),
    })
}

/// Fills a buffer, or gives how much there was.
fn fill(source: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
