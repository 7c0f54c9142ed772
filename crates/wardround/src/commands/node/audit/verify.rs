//! `wardround node audit verify`.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::PathBuf;

use node::audit::{self, Expectation, PublicKey, Verified};
use protocol::Digest;

use super::{DAMAGE_HINT, folder, refused};
use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

/// What is verified, and against what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An exported log; without it, the log of the node's own folder.
    file: Option<PathBuf>,
    /// The node's public key, as the hospital told it; without it, the key that the file names.
    #[arg(long, value_name = "KEY")]
    key: Option<PublicKey>,
    /// The hash of a record that was there, as an earlier `verify` or `export` told it.
    #[arg(long, value_name = "HASH")]
    head: Option<Digest>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: &Arguments, printer: Printer) -> Result<(), Failure> {
    let Arguments { file, key, head, folder: given } = arguments;
    let verified = match file {
        Some(path) => {
            let opened = File::open(path).map_err(|error| {
                Failure::failed(format!("{} cannot be read: {error}", path.display()))
            })?;
            verify(BufReader::new(opened), &Expectation { key: *key, head: *head })?
        }
        None => {
            let folder = folder(Folder { dir: given.dir.clone() })?;
            let source = audit::open(&folder).map_err(|error| refused(&error))?;
            let own = audit::public_key(&folder).map_err(|error| Failure::from_error(&error))?;
            verify(source, &Expectation { key: Some(key.unwrap_or(own)), head: *head })?
        }
    };
    printer.result(&verified, |verified| people(verified, "is whole"));
    if file.is_some() && key.is_none() {
        printer.note("the key is the one that the file names: compare it with the hospital's");
    }
    Ok(())
}

fn verify(source: impl Read, expected: &Expectation) -> Result<Verified, Failure> {
    audit::verify(source, expected).map_err(|fault| Failure::from_error(&fault).hint(DAMAGE_HINT))
}

/// A verified log for people.
pub(super) fn people(verified: &Verified, what: &str) -> String {
    let Verified { node, key, records, head, .. } = verified;
    format!("the audit log of {node} {what}: {records} records\n  key   {key}\n  head  {head}")
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
Every byte of every record is covered by its signature, and every record by the hash that the next one
names: a changed, removed, moved or added record is found and named, and the exit status is 1.

  wardround node audit verify                            the node's own log, running or not
  wardround node audit verify log.audit --key ed25519:…  an exported log, on any machine
  wardround node audit verify --head sha256:…            that its end was not cut off since

Records that were cut off at the end leave nothing behind: keep the head that is printed, and give it
with --head the next time.";
