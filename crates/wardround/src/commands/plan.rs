//! `wardround plan …`

mod approvals;
mod check;
mod digest;
mod like;
mod rehearse;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use training_plan::Bundle;

use super::connection::wait;
use crate::failure::Failure;
use crate::printer::Printer;

/// What can be done with a training plan on this machine.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Judge a plan as a node would: a native one by its text, and every plan by a round on rows of yours or made-up ones.
    Check(Box<check::Arguments>),
    /// Print the digest by which nodes approve the plan.
    Digest {
        /// The plan's file; the files that it names are looked for beside it.
        #[arg(value_name = "PLAN")]
        plan: PathBuf,
    },
    /// Ask the owners of datasets to let a plan run, before there is an experiment.
    RequestApproval(approvals::Asking),
    /// See what the owners have answered.
    Status(approvals::Looking),
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Check(arguments) => check::run(&arguments, printer),
        Command::Digest { plan } => digest::run(&plan, printer),
        Command::RequestApproval(asking) => wait(approvals::ask(asking, printer)),
        Command::Status(looking) => wait(approvals::look(looking, printer)),
    }
}

/// Reads a plan and the files that it names.
pub(crate) fn read_bundle(path: &Path) -> Result<Bundle, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
    if is_python(path) {
        return Bundle::python(&text).map_err(|error| Failure::from_error(&error));
    }
    let folder = path.parent().unwrap_or_else(|| Path::new(".")).to_owned();
    Bundle::native(&text, |name| std::fs::read_to_string(folder.join(name)))
        .map_err(|error| named(Failure::from_error(&error), path))
}

/// Whether a plan's file is a program.
pub(crate) fn is_python(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "py")
}

/// Says the plan file's own name where a message says the name that it has inside a bundle.
pub(crate) fn named(mut failure: Failure, path: &Path) -> Failure {
    if let Some(rest) = failure.message.strip_prefix("plan.toml,") {
        failure.message = format!("{},{rest}", path.display());
    }
    failure
}
