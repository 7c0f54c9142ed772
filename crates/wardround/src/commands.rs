//! What can be typed, and where it goes.

mod completions;
pub(crate) mod connection;
mod coordinator;
mod dataset;
pub(crate) mod experiment;
pub(crate) mod joining;
mod local_python;
mod manual;
mod node;
pub(crate) mod plan;
pub(crate) mod researcher;
mod sandbox;
pub(crate) mod shutdown;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::demo;
use crate::failure::Failure;
use crate::printer::Printer;

/// Federated learning for hospitals: a training plan makes its rounds, and the data stays in bed.
#[derive(Debug, Parser)]
#[command(name = "wardround", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Start with `wardround demo`. Every command explains itself with --help.")]
pub(crate) struct Arguments {
    /// Print JSON: one document, or JSON lines for commands that follow something.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// End when the process with this identifier, which must be the parent, has ended.
    #[arg(long, global = true, hide = true, value_name = "PID")]
    exit_with: Option<u32>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a model over several hospitals on this machine, on real patients' data.
    Demo(demo::Arguments),
    /// Run the coordinator, which aggregates what the nodes send.
    #[command(subcommand)]
    Coordinator(coordinator::Command),
    /// Run a hospital's node: its datasets, its approvals, its rounds.
    #[command(subcommand)]
    Node(node::Command),
    /// Submit experiments, follow them and fetch their models.
    #[command(subcommand)]
    Experiment(experiment::Command),
    /// Join a consortium as a researcher, and see that you are a member.
    #[command(subcommand)]
    Researcher(researcher::Command),
    /// See which datasets the nodes offer.
    #[command(subcommand)]
    Dataset(dataset::Command),
    /// Check a training plan on this machine.
    #[command(subcommand)]
    Plan(plan::Command),
    /// Confine a program as plans are confined.
    #[command(subcommand)]
    Sandbox(sandbox::Command),
    /// Print the completions for a shell.
    #[command(
        after_help = "For bash: wardround completions bash > /etc/bash_completion.d/wardround"
    )]
    Completions(completions::Arguments),
    /// Write the manual's pages, for packages.
    #[command(hide = true)]
    Manual(manual::Arguments),
}

/// The folder of a daemon.
#[derive(Debug, clap::Args)]
pub(crate) struct Folder {
    /// The folder it lives in; without it, WARDROUND_HOME, your data folder or the installed service's.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
}

/// Runs what was typed.
pub(crate) fn run(arguments: Arguments, printer: &Printer) -> Result<ExitCode, Failure> {
    if let Some(parent) = arguments.exit_with {
        demo::process::exit_with(parent)?;
    }
    match arguments.command {
        Command::Demo(arguments) => demo::run(&arguments, *printer),
        Command::Coordinator(command) => coordinator::run(command, *printer),
        Command::Node(command) => node::run(command, *printer),
        Command::Experiment(command) => experiment::run(command, *printer),
        Command::Researcher(command) => researcher::run(command, *printer),
        Command::Dataset(command) => dataset::run(command, *printer),
        Command::Plan(command) => plan::run(command, *printer),
        Command::Sandbox(command) => return sandbox::run(command, *printer),
        Command::Completions(arguments) => {
            completions::run(&arguments);
            Ok(())
        }
        Command::Manual(arguments) => manual::run(&arguments),
    }
    .map(|()| ExitCode::SUCCESS)
}
