//! `wardround node policy …`

mod check;
mod reload;
mod show;

use clap::Subcommand;

use crate::commands::Folder;
use crate::commands::connection::wait;
use crate::failure::Failure;
use crate::printer::Printer;

/// What a data manager can do with the policy.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say what is wrong with a policy file, naming line, key and rule.
    Check(check::Arguments),
    /// Show what is in effect, each value with where it comes from.
    Show(show::Arguments),
    /// Read the file again, for rounds that start from now on.
    Reload(Folder),
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Check(arguments) => check::run(arguments, printer),
        Command::Show(arguments) => wait(show::run(arguments, printer)),
        Command::Reload(folder) => wait(reload::run(folder, printer)),
    }
}
