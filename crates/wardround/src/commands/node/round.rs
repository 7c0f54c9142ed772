//! `wardround node round …`

mod cancel;
mod drop;
mod list;
mod log;
mod run_request;
mod show;

use clap::Subcommand;
use protocol::RoundId;

use crate::commands::Folder;
use crate::commands::connection::wait;
use crate::failure::Failure;
use crate::printer::Printer;

/// What a data manager can do about rounds.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the latest rounds.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 20)]
        limit: usize,
        #[command(flatten)]
        folder: Folder,
    },
    /// Show a round: what was asked, and what was replied.
    Show(One),
    /// Show the local texts behind a round's reply; they never leave the node.
    Log(One),
    /// Run one request on local files, under the node's own policy, and print the reply.
    Run(run_request::Arguments),
    /// End a round; its reply says `cancelled`.
    Cancel(One),
    /// Forget a round whose journal is damaged; a healthy one is refused.
    Drop(One),
}

/// One round.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The round's identifier, which is also its correlation id.
    #[arg(value_name = "ID")]
    id: RoundId,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::List { limit, folder } => wait(list::run(limit, folder, printer)),
        Command::Show(one) => wait(show::run(one, printer)),
        Command::Log(one) => wait(log::run(one, printer)),
        Command::Run(arguments) => wait(run_request::run(arguments, printer)),
        Command::Cancel(one) => wait(cancel::run(one, printer)),
        Command::Drop(one) => wait(drop::run(one, printer)),
    }
}
