//! `wardround node audit export FILE`.

use std::path::PathBuf;

use node::audit;

use super::verify::people;
use super::{folder, refused};
use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

/// Where the copy goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file, which is written whole or not at all; one that is there is replaced.
    file: PathBuf,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let folder = folder(arguments.folder)?;
    let verified = audit::export(&folder, &arguments.file).map_err(|error| refused(&error))?;
    let what = format!("is copied to {}", arguments.file.display());
    printer.result(&verified, |verified| people(verified, &what));
    Ok(())
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
The file begins with the node's name and public key. `wardround node audit verify FILE` checks it on any
machine; tell whoever does the key by another way, for a forger would name a key of their own.";
