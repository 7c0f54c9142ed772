//! `wardround node audit verify`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use identity::Receipt;
use node::audit::{self, EarlierKey, Expectation, Handover, InspectionError, PublicKey, Verified};
use protocol::Digest;

use super::{folder, refused};
use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

/// What is verified, and against what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An exported log; without it, the log of the node's own folder.
    file: Option<PathBuf>,
    /// The node's public key, as the hospital told it, or one that it had before; without it, the key that the file names.
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
    /// The hash of a record that was there, as an earlier `verify` or `export` told it.
    #[arg(long, value_name = "HASH")]
    head: Option<Digest>,
    /// Receipts, as `wardround coordinator nodes receipts` gives them: what the coordinator has signed must be there.
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: &Arguments, printer: Printer) -> Result<(), Failure> {
    let Arguments { file, key, head, receipts, folder: given } = arguments;
    let mut receipts = receipts.as_deref().map(read_receipts).transpose()?.unwrap_or_default();
    let expected = |receipts| Expectation { key: *key, head: *head, receipts };
    let verified = match file {
        Some(path) => {
            let opened = File::open(path).map_err(|error| {
                Failure::failed(format!("{} cannot be read: {error}", path.display()))
            })?;
            audit::verify(BufReader::new(opened), &expected(receipts))
                .map_err(InspectionError::from)
        }
        None => {
            let folder = folder(Folder { dir: given.dir.clone() })?;
            match key {
                // Whoever names the key asks about that one, also where the folder's own is gone.
                Some(_) => {
                    receipts.extend(audit::receipt(&folder));
                    let source = audit::open(&folder).map_err(|error| refused(&error))?;
                    audit::verify(source, &expected(receipts)).map_err(InspectionError::from)
                }
                None => audit::verify_own(&folder, expected(receipts)),
            }
        }
    };
    let verified = verified.map_err(|error| refused(&error))?;
    printer.result(&verified, |verified| people(verified, "is whole"));
    if file.is_some() && key.is_none() {
        printer.note("the key is the one that the file names: compare it with the hospital's");
    }
    Ok(())
}

fn read_receipts(path: &Path) -> Result<Vec<Receipt>, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::failed(format!("{} cannot be read: {error}", path.display())))?;
    audit::parse_receipts(&text)
        .map_err(|error| Failure::failed(format!("{}: {error}", path.display())))
}

/// A verified log for people.
pub(super) fn people(verified: &Verified, what: &str) -> String {
    let Verified { node, key, records, head, .. } = verified;
    let mut text =
        format!("the audit log of {node} {what}: {records} records\n  key   {key}\n  head  {head}");
    for earlier in &verified.earlier_keys {
        text.push_str(&before(earlier));
    }
    if let Some(signed) = &verified.countersigned {
        text.push_str(&format!(
            "\n  the coordinator has signed the first {} at {}\n  by    {}",
            signed.records, signed.at, signed.authority
        ));
    }
    text
}

/// What is to be known of a key that was replaced.
fn before(earlier: &EarlierKey) -> String {
    let EarlierKey { key, last_record, end, countersigned } = earlier;
    match end {
        Handover::Rotated => format!(
            "\n  before  {key}, up to record {last_record}, in which it signed for the next one"
        ),
        Handover::Lost => format!(
            "\n  LOST    {key}: it vouches for the records up to {last_record}, and the rest hangs on the next key{}",
            tie(*countersigned)
        ),
    }
}

/// What ties a log to its part before a lost key.
pub(super) fn tie(countersigned: Option<u64>) -> String {
    match countersigned {
        Some(records) => format!(
            "\n  the coordinator had signed the first {records} by then: its receipts tie the two parts"
        ),
        None => "\n  no coordinator had signed it by then: nothing ties the two parts".to_owned(),
    }
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
Every byte of every record is covered by its signature, and every record by the hash that the next one
names: a changed, removed, moved or added record is found and named, and the exit status is 1.

  wardround node audit verify                            the node's own log, running or not
  wardround node audit verify log.audit --key ed25519:…  an exported log, on any machine
  wardround node audit verify --head sha256:…            that its end was not cut off since

Records that were cut off at the end leave nothing behind: keep the head that is printed, and give
it with --head the next time. A node that has joined has its head signed by the coordinator, half a
minute apart at most: the last receipt is checked with the node's own log, and --receipts checks
those that the coordinator keeps.

After `rotate-key`, --key may name the old key or the new one. After `rotate-key --lost`, only the new one
vouches for all: with the old one, the record is named from which on it does not.";
