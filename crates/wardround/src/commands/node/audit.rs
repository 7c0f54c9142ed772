//! `wardround node audit …`

mod export;
mod list;
mod report;
mod rotate_key;
mod verify;

use clap::Subcommand;
use node::audit::InspectionError;

use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

/// What can be done with the audit log, whether the node runs or not.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what the node has done and refused: for whom, on which dataset, when.
    #[command(after_help = list::HELP)]
    List(list::Arguments),
    /// Check that no record was changed, removed, moved or added.
    #[command(after_help = verify::HELP)]
    Verify(Box<verify::Arguments>),
    /// Verify the log and copy it into a file that can be verified on any machine.
    #[command(after_help = export::HELP)]
    Export(export::Arguments),
    /// Write a sheet about a period, for whoever answers for the protection of data.
    #[command(after_help = report::HELP)]
    Report(report::Arguments),
    /// Sign the log and the grants with another key from now on.
    #[command(after_help = rotate_key::HELP)]
    RotateKey(rotate_key::Arguments),
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::List(arguments) => list::run(arguments, printer),
        Command::Verify(arguments) => verify::run(&arguments, printer),
        Command::Export(arguments) => export::run(arguments, printer),
        Command::Report(arguments) => report::run(arguments, printer),
        Command::RotateKey(arguments) => {
            crate::commands::connection::wait(rotate_key::run(arguments, printer))
        }
    }
}

/// A folder that is a node's.
fn folder(given: Folder) -> Result<node::Folder, Failure> {
    let folder = super::folder(given)?;
    super::configuration(&folder)?;
    Ok(folder)
}

fn refused(error: &InspectionError) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        InspectionError::Fault(_) => failure.hint(DAMAGE_HINT),
        InspectionError::Absent => failure
            .hint("`wardround node start` or the first `wardround node dataset add` begins it"),
        InspectionError::Key(_) | InspectionError::OtherKey { .. } => failure.hint(KEY_HINT),
        InspectionError::Copy(_) => failure,
    }
}

const KEY_HINT: &str = "bring the key back from a backup, for this user only (mode 600); where it is lost for good, \
                        `wardround node audit rotate-key --lost` goes on without it";
const DAMAGE_HINT: &str = "keep the file as it is for whoever looks into it; \
                           docs/errors/audit.unavailable.md says how a node goes on";
