//! `wardround node dataset …`

mod add;
mod check;
mod exclude;
mod folder;
mod list;
mod loading_plan;
mod progress;
mod remove;
mod show;
mod update;

pub(super) use progress::size;

use clap::Subcommand;

use crate::commands::Folder;
use crate::commands::connection::wait;
use crate::failure::Failure;
use crate::printer::Printer;

/// What a data manager can do with datasets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Read a table, an image folder or a medical folder once and register it.
    #[command(after_help = add::HELP)]
    Add(Box<add::Arguments>),
    /// List the datasets.
    List(Folder),
    /// Show a dataset: its columns, types and missing values, its classes or modalities, and its loading plan.
    Show(One),
    /// Compare a dataset's file or folder with what was registered.
    Check(check::Arguments),
    /// Say how a dataset's own layout becomes what a study expects.
    #[command(after_help = loading_plan::HELP)]
    LoadingPlan(loading_plan::Arguments),
    /// Change a dataset's tags, description, or the sandbox that its plans need.
    Update(update::Arguments),
    /// Leave patients who withdrew out of every round.
    #[command(after_help = exclude::HELP)]
    Exclude(exclude::Arguments),
    /// Leave patients out no longer.
    Include(exclude::Inclusion),
    /// List the patients who are left out.
    Excluded(One),
    /// Forget a dataset; its file stays.
    Remove(One),
}

/// One dataset.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The dataset's name.
    name: String,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Add(arguments) => wait(add::run(*arguments, printer)),
        Command::List(folder) => wait(list::run(folder, printer)),
        Command::Show(one) => wait(show::run(one, printer)),
        Command::Check(arguments) => wait(check::run(arguments, printer)),
        Command::LoadingPlan(arguments) => wait(loading_plan::run(arguments, printer)),
        Command::Update(arguments) => wait(update::run(arguments, printer)),
        Command::Exclude(arguments) => wait(exclude::exclude(arguments, printer)),
        Command::Include(arguments) => wait(exclude::include(arguments, printer)),
        Command::Excluded(one) => wait(exclude::list(one, printer)),
        Command::Remove(one) => wait(remove::run(one, printer)),
    }
}
