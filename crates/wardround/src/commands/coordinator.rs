//! `wardround coordinator …`

mod init;
mod members;
mod nodes;
mod start;
mod status;
mod token;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use coordinator::administration::{self, Answer, Overview, Request};
use researcher::Client;

use super::connection::{Connection, wait};
use crate::failure::Failure;
use crate::printer::Printer;

/// What a consortium's administrator can do with a coordinator.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a folder a coordinator's.
    Init(init::Arguments),
    /// Run the coordinator until it is told to end.
    Start(start::Arguments),
    /// Show how the coordinator is.
    Status(Whom),
    /// Make a token with which a node or a researcher may join.
    Token(token::Arguments),
    /// List the nodes that have ever greeted it, list those that have joined, or put one out.
    Nodes(nodes::Arguments),
    /// List the researchers that have joined, or put one out.
    Researchers(members::Researchers),
}

/// Which coordinator: one that is reached by its address, or the one of a folder on this machine.
#[derive(Debug, clap::Args)]
pub(crate) struct Whom {
    #[command(flatten)]
    connection: Connection,
    /// The coordinator of this folder, whether it runs or not, instead of one that is named by its address.
    #[arg(long, value_name = "FOLDER")]
    dir: Option<PathBuf>,
}

/// A coordinator that was found.
enum Found {
    /// It answers at its address.
    Dialled(Box<Client>),
    /// The one of this folder, which may not run.
    Folder(PathBuf, Overview),
}

impl Whom {
    async fn find(self) -> Result<Found, Failure> {
        let Some(folder) = self.dir else {
            return Ok(Found::Dialled(Box::new(self.connection.open().await?)));
        };
        match administer(&folder, &Request::Overview).await? {
            Answer::Overview(overview) => Ok(Found::Folder(folder, overview)),
            _ => Err(other_answer()),
        }
    }
}

/// The coordinator's program is of another version than this one.
fn other_answer() -> Failure {
    Failure::failed("the coordinator gives another answer")
        .hint("it may be of another version: restart it with this one")
}

/// Refuses a folder that is no coordinator's.
fn belongs_to_a_coordinator(folder: &Path) -> Result<(), Failure> {
    if folder.join("coordinator.toml").exists() {
        return Ok(());
    }
    let message =
        format!("folder {} is no coordinator's: it has no coordinator.toml", folder.display());
    Err(Failure::failed(message).hint(
        "make it a coordinator's with `wardround coordinator init`, or name another with --dir",
    ))
}

/// Asks the coordinator of a folder for what only its operator may.
async fn administer(folder: &Path, request: &Request) -> Result<Answer, Failure> {
    belongs_to_a_coordinator(folder)?;
    let answered = administration::ask(folder, std::env::vars(), request).await;
    answered.map_err(|error| {
        let failure = Failure::from_error(&error);
        match error {
            administration::Error::Refused { hint: Some(hint), .. } => failure.hint(hint),
            _ => failure,
        }
    })
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init::run(arguments, printer),
        Command::Start(arguments) => start::run(arguments, printer),
        Command::Status(whom) => wait(status::run(whom, printer)),
        Command::Token(arguments) => wait(token::run(arguments, printer)),
        Command::Nodes(arguments) => wait(nodes::run(arguments, printer)),
        Command::Researchers(researchers) => wait(members::researchers(researchers, printer)),
    }
}
