//! `wardround node plan …`

mod bounds;
mod decide;
mod diff;
mod dossier;
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
    /// List the plans that were asked for, with what is granted of them.
    List(Folder),
    /// Show who asked for a plan, what it reads and sends, what is granted, and its texts.
    Show(One),
    /// Compare a plan with another, or with the one that was approved last.
    Diff {
        #[command(flatten)]
        one: One,
        /// The other plan's digest, or its first digits.
        #[arg(long, value_name = "DIGEST")]
        with: Option<String>,
    },
    /// Write a sheet about a plan for the data-protection officer: one HTML file that loads nothing.
    Dossier {
        #[command(flatten)]
        one: One,
        /// The file to write.
        #[arg(long, short, value_name = "FILE", default_value = "dossier.html")]
        output: PathBuf,
    },
    /// Let a plan run here, within the bounds that you give.
    #[command(after_help = bounds::HELP)]
    Approve {
        #[command(flatten)]
        decision: Decision,
        #[command(flatten)]
        bounds: Box<bounds::Bounds>,
    },
    /// Keep a plan from running here; what was granted of it ends.
    Reject(Decision),
    /// Withdraw what was granted; rounds that run under it end, and nothing of them leaves.
    Revoke {
        #[command(flatten)]
        decision: Decision,
        /// Withdraw only the grant of this number.
        #[arg(long, value_name = "NUMBER")]
        grant: Option<u64>,
    },
    /// Sign an approval as the second person, where the policy asks for one.
    Countersign(One),
    /// Register a plan file of your own choice, approved.
    Register {
        /// The plan's file; the files that it names are looked for beside it.
        #[arg(value_name = "PLAN.toml")]
        file: PathBuf,
        #[command(flatten)]
        folder: Folder,
        #[command(flatten)]
        bounds: Box<bounds::Bounds>,
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
    /// Why; kept with the decision, and told to whoever asks for the plan.
    #[arg(long, default_value = "", hide_default_value = true)]
    note: String,
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::List(folder) => wait(list::run(folder, printer)),
        Command::Show(one) => wait(show::run(one, printer)),
        Command::Diff { one, with } => wait(diff::run(one, with, printer)),
        Command::Dossier { one, output } => wait(dossier::run(one, output, printer)),
        Command::Approve { decision, bounds } => wait(decide::approve(decision, *bounds, printer)),
        Command::Reject(decision) => wait(decide::reject(decision, printer)),
        Command::Revoke { decision, grant } => wait(decide::revoke(decision, grant, printer)),
        Command::Countersign(one) => wait(decide::countersign(one, printer)),
        Command::Register { file, folder, bounds } => {
            wait(register::run(file, folder, *bounds, printer))
        }
    }
}
