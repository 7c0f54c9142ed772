//! `wardround researcher …`

mod init;
mod status;

use clap::Subcommand;
use identity::credentials;
use researcher::membership::Error;

use super::connection::wait;
use crate::failure::{Failure, Status, chain};
use crate::home::{self, Role};
use crate::printer::Printer;

/// What a researcher can do about an identity.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join a consortium with the token that its operator has made.
    #[command(after_help = init::HELP)]
    Init(init::Arguments),
    /// Show who you are to the coordinator, and whether it takes you.
    Status(Identity),
}

/// Where a researcher's keys are.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Identity {
    /// The folder with your keys; without it, WARDROUND_HOME or the platform's data folder.
    #[arg(long, value_name = "FOLDER", env = "WARDROUND_IDENTITY", hide_env_values = true)]
    pub(crate) identity: Option<std::path::PathBuf>,
}

impl Identity {
    /// Finds the folder.
    pub(crate) fn folder(&self) -> Result<std::path::PathBuf, Failure> {
        match &self.identity {
            Some(folder) => Ok(folder.clone()),
            None => home::folder(None, Role::Researcher),
        }
    }
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => wait(init::run(arguments, printer)),
        Command::Status(identity) => wait(status::run(identity, printer)),
    }
}

/// What a command says of an identity that cannot be made or used.
pub(crate) fn refused(error: &Error) -> Failure {
    let mut failure = match error.code() {
        Some(code) => Failure::coded(code, chain(error)),
        None => Failure::from_error(error),
    };
    if matches!(error, Error::Credentials(credentials::Error::Absent { .. })) {
        failure.status = Status::Usage;
    }
    if error.is_unreachable() {
        failure.status = Status::Unreachable;
    }
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
