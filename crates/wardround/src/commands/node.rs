//! `wardround node …`

mod audit;
mod backup;
mod dataset;
mod doctor;
mod init;
mod pause;
mod plan;
mod policy;
mod python;
mod release;
mod restore;
mod round;
mod start;
mod status;

use clap::Subcommand;
use node::Administration;

use super::Folder;
use crate::failure::{Failure, Status};
use crate::home::{self, Role};
use crate::printer::Printer;

/// What a data manager can do with a node.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join a consortium: make a folder a node's.
    #[command(after_help = init::HELP)]
    Init(init::Arguments),
    /// Run the node until it is told to end.
    Start(Box<start::Arguments>),
    /// Show how the node is.
    Status(Folder),
    /// Say what is wrong with the node, and what to do about it.
    #[command(after_help = doctor::HELP)]
    Doctor(Folder),
    /// Take no new rounds; those that were accepted go on.
    Pause(Folder),
    /// Take rounds again.
    Resume(Folder),
    /// Copy everything that cannot be made again into one file.
    #[command(after_help = backup::HELP)]
    Backup(backup::Arguments),
    /// Make a folder the node's again from its backup; nothing runs a second time.
    #[command(after_help = restore::HELP)]
    Restore(restore::Arguments),
    /// Register datasets and look after them.
    #[command(subcommand)]
    Dataset(dataset::Command),
    /// Register the interpreters that Python plans run with.
    #[command(subcommand)]
    Python(python::Command),
    /// See which plans ask to run, and decide about them.
    #[command(subcommand)]
    Plan(plan::Command),
    /// See what the policy file allows, and check it.
    #[command(subcommand)]
    Policy(policy::Command),
    /// See which updates wait for you, and decide about them.
    #[command(subcommand)]
    Release(release::Command),
    /// See which rounds ran, and what became of them.
    #[command(subcommand)]
    Round(round::Command),
    /// See and prove what the node has done.
    #[command(subcommand)]
    Audit(audit::Command),
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Init(arguments) => init::run(arguments, printer),
        Command::Start(arguments) => start::run(*arguments, printer),
        Command::Status(folder) => super::connection::wait(status::run(folder, printer)),
        Command::Doctor(folder) => super::connection::wait(doctor::run(folder, printer)),
        Command::Pause(folder) => super::connection::wait(pause::pause(folder, printer)),
        Command::Resume(folder) => super::connection::wait(pause::resume(folder, printer)),
        Command::Backup(arguments) => super::connection::wait(backup::run(arguments, printer)),
        Command::Restore(arguments) => super::connection::wait(restore::run(arguments, printer)),
        Command::Dataset(command) => dataset::run(command, printer),
        Command::Python(command) => python::run(command, printer),
        Command::Plan(command) => plan::run(command, printer),
        Command::Policy(command) => policy::run(command, printer),
        Command::Release(command) => release::run(command, printer),
        Command::Round(command) => round::run(command, printer),
        Command::Audit(command) => audit::run(command, printer),
    }
}

/// The folder of a node.
fn folder(given: Folder) -> Result<node::Folder, Failure> {
    Ok(node::Folder::new(home::folder(given.dir, Role::Node)?))
}

/// A folder's configuration with the environment's variables over it.
fn configuration(folder: &node::Folder) -> Result<node::Config, Failure> {
    if !folder.configuration().exists() {
        let message =
            format!("folder {} is no node's: it has no node.toml", folder.root().display());
        return Err(Failure::failed(message)
            .hint("make it a node's with `wardround node init`, or name another with --dir"));
    }
    let config = node::Config::load(folder, std::env::vars())
        .map_err(|error| Failure::from_error(&error))?;
    // Without it Python plans are refused, and nothing else.
    Ok(node::Config { program: std::env::current_exe().ok(), ..config })
}

/// The owner's commands, through the daemon where one runs.
async fn administration(given: Folder) -> Result<Administration, Failure> {
    let folder = folder(given)?;
    let config = configuration(&folder)?;
    Administration::open(&folder, config).await.map_err(|error| refused(&error))
}

fn refused(error: &node::administration::Error) -> Failure {
    let mut failure = Failure::from_error(error);
    if matches!(error, node::administration::Error::Unreachable(_)) {
        failure.status = Status::Unreachable;
    }
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
