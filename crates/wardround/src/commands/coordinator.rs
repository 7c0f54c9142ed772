//! `wardround coordinator …`

mod init;
mod nodes;
mod start;
mod status;

use clap::Subcommand;

use super::connection::{Connection, wait};
use crate::failure::Failure;
use crate::printer::Printer;

/// What a consortium's administrator can do with a coordinator.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a folder a coordinator's.
    Init(super::Folder),
    /// Run the coordinator until it is told to end.
    Start(start::Arguments),
    /// Show how the coordinator is.
    Status(Connection),
    /// List the nodes that have ever greeted it.
    Nodes(Connection),
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Init(folder) => init::run(folder, printer),
        Command::Start(arguments) => start::run(arguments, printer),
        Command::Status(connection) => wait(status::run(connection, printer)),
        Command::Nodes(connection) => wait(nodes::run(connection, printer)),
    }
}
