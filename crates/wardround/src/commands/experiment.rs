//! `wardround experiment …`

mod cancel;
mod download;
mod history;
mod list;
mod report;
mod resume;
mod show;
mod submit;
mod table;
pub(crate) mod view;
mod watch;

use clap::Subcommand;
use protocol::ExperimentId;

use super::connection::{Connection, wait};
use crate::failure::Failure;
use crate::printer::Printer;

/// What can be done with experiments.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Submit an experiment file.
    #[command(after_help = "The plan and its files are looked for beside the experiment file.")]
    Submit(submit::Arguments),
    /// Follow an experiment until it ends; Ctrl-C detaches and cancels nothing.
    Watch(watch::Arguments),
    /// List the experiments.
    List(Connection),
    /// Show one experiment: its state, its sites, what it waits for.
    Show(One),
    /// Print what was measured, round by round.
    History(history::Arguments),
    /// Fetch the newest model as a safetensors file.
    Download(download::Arguments),
    /// Print what the sites of a statistics experiment say together.
    Table(table::Arguments),
    /// Write a self-contained HTML page with the curves.
    Report(report::Arguments),
    /// Cancel an experiment and the rounds it has open.
    Cancel(One),
    /// Let a paused experiment go on.
    Resume(One),
}

/// One experiment.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The experiment's identifier, as `submit` and `list` print it.
    #[arg(value_name = "ID")]
    pub(crate) id: ExperimentId,
    #[command(flatten)]
    pub(crate) connection: Connection,
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Submit(arguments) => wait(submit::run(arguments, printer)),
        Command::Watch(arguments) => watch::run(arguments, printer),
        Command::List(connection) => wait(list::run(connection, printer)),
        Command::Show(one) => wait(show::run(one, printer)),
        Command::History(arguments) => wait(history::run(arguments, printer)),
        Command::Download(arguments) => wait(download::run(arguments, printer)),
        Command::Table(arguments) => wait(table::run(arguments, printer)),
        Command::Report(arguments) => wait(report::run(arguments, printer)),
        Command::Cancel(one) => wait(cancel::run(one, printer)),
        Command::Resume(one) => wait(resume::run(one, printer)),
    }
}
