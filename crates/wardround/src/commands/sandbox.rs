//! `wardround sandbox …`

use std::process::ExitCode;

use clap::Subcommand;

/// What the sandbox can be asked for by itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put the sandbox on; a node starts this program so, and speaks with it over its standard input.
    #[command(hide = true)]
    Launch {
        /// What the launcher is told.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<std::ffi::OsString>,
    },
}

/// Performs a command that must not have a second thread beside it.
pub(crate) fn run(command: Command) -> ExitCode {
    match command {
        Command::Launch { arguments } => sandbox::launch(arguments),
    }
}
