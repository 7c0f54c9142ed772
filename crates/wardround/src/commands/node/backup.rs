//! `wardround node backup FILE`.

use std::path::PathBuf;

use node::backup::Backup;

use super::dataset::size;
use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

/// Where the backup goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file, which is written whole or not at all, for this user only; one that is there is replaced.
    file: PathBuf,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let administration = super::administration(arguments.folder).await?;
    let made = administration.backup(&arguments.file).await;
    let backup = made.map_err(|error| super::refused(&error))?;
    printer.result(&backup, |backup| people(backup, &arguments.file.display().to_string()));
    Ok(())
}

fn people(backup: &Backup, file: &str) -> String {
    let Backup { digest, bytes, contents } = backup;
    let node = &contents.node;
    format!("node {node} is backed up in {file}: {}\n  digest  {digest}", size(*bytes))
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
The file has the configuration, the policy, the database, the audit log and the node's keys, as they are at
one moment, whether the node runs or not. It has no dataset, no model and no log of a round. Whoever has the
file can speak for the node: encrypt it before it leaves the machine.";
