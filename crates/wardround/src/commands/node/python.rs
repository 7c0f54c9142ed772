//! `wardround node python …`

mod add;
mod check;
mod list;
mod remove;

use clap::Subcommand;
use runtime::python::Environment;

use crate::commands::Folder;
use crate::commands::connection::wait;
use crate::failure::Failure;
use crate::printer::Printer;

/// What a data manager can do with the interpreters of Python plans.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register a Python interpreter with its packages.
    #[command(after_help = add::HELP)]
    Add(add::Arguments),
    /// List the interpreters.
    List(Folder),
    /// Compare an interpreter with what was registered.
    Check(check::Arguments),
    /// Forget an interpreter; its files stay.
    Remove(One),
}

/// One interpreter.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The interpreter's name.
    #[arg(default_value = node::registry::pythons::DEFAULT)]
    name: String,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Add(arguments) => wait(add::run(arguments, printer)),
        Command::List(folder) => wait(list::run(folder, printer)),
        Command::Check(arguments) => wait(check::run(arguments, printer)),
        Command::Remove(one) => wait(remove::run(one, printer)),
    }
}

/// The versions in one line.
fn versions(environment: &Environment) -> String {
    let frameworks =
        environment.frameworks.iter().map(|(name, version)| format!("{name} {version}"));
    let python = std::iter::once(format!("Python {}", environment.python));
    python.chain(frameworks).collect::<Vec<_>>().join(", ")
}
