//! `wardround node plan …`

mod decide;
mod list;
mod register;
mod show;

use std::path::PathBuf;

use clap::Subcommand;

use crate::commands::Folder;
use crate::commands::connection::wait;
use crate::failure::Failure;
use crate::printer::Printer;

/// What a data manager can do about plans.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the plans that were asked for, with the decisions about them.
    List(Folder),
    /// Show a plan's texts and who asked for it.
    Show(One),
    /// Let a plan run here.
    Approve(Decision),
    /// Keep a plan from running here.
    Reject(Decision),
    /// Register a plan file of your own choice, approved.
    Register {
        /// The plan's file; the files that it names are looked for beside it.
        #[arg(value_name = "PLAN.toml")]
        file: PathBuf,
        #[command(flatten)]
        folder: Folder,
    },
}

/// One plan.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The plan's digest, or its first digits.
    digest: String,
    #[command(flatten)]
    folder: Folder,
}

/// One plan and a note about the decision.
#[derive(Debug, clap::Args)]
pub(crate) struct Decision {
    #[command(flatten)]
    one: One,
    /// Why; kept with the decision, and shown to nobody else.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::List(folder) => wait(list::run(folder, printer)),
        Command::Show(one) => wait(show::run(one, printer)),
        Command::Approve(decision) => wait(decide::approve(decision, printer)),
        Command::Reject(decision) => wait(decide::reject(decision, printer)),
        Command::Register { file, folder } => wait(register::run(file, folder, printer)),
    }
}
