//! `wardround sandbox …`

mod check;
mod run;
mod size;

use std::process::ExitCode;

use clap::Subcommand;
use sandbox::Launcher;

use crate::failure::Failure;
use crate::printer::Printer;

/// What the sandbox can be asked for by itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a program confined as plans are, and tell how it ended.
    Run(run::Arguments),
    /// Attack the sandbox from the inside, and show the level that this machine reaches.
    Check,
    /// Put the sandbox on; a node starts this program so, and speaks with it over its standard input.
    #[command(hide = true)]
    Launch {
        /// What the launcher is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

/// Performs a command; the launcher's must not have a second thread beside it.
pub(crate) fn run(command: Command, printer: Printer) -> Result<ExitCode, Failure> {
    match command {
        Command::Run(arguments) => run::run(&arguments, printer),
        Command::Check => check::run(printer),
        Command::Launch { arguments } => Ok(sandbox::launch(arguments)),
    }
}

/// This program, as a launcher.
fn launcher() -> Result<Launcher, Failure> {
    let program = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("this program does not find itself: {error}")))?;
    Ok(Launcher::new(program).argument("sandbox").argument("launch"))
}
