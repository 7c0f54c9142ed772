//! `wardround coordinator nodes …`.

use researcher::overview::NodeOverview;

use identity::Role;

use super::members::{self, Action};
use super::{Found, Whom};
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::{Printer, table};

/// What is asked about nodes.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    #[command(subcommand)]
    action: Option<Action>,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    match arguments.action {
        Some(action) => members::run(Role::Node, action, printer).await,
        None => list(arguments.whom, printer).await,
    }
}

async fn list(whom: Whom, printer: Printer) -> Result<(), Failure> {
    let nodes = match whom.find().await? {
        Found::Running(client) => client.nodes().await.map_err(|error| failure(&error))?,
        Found::Stopped(_, folder) => {
            let nodes = folder.nodes().await.map_err(|error| Failure::from_error(&error))?;
            let nodes = nodes.into_iter().map(NodeOverview::try_from);
            nodes.collect::<Result<_, _>>().map_err(|error| Failure::from_error(&error))?
        }
    };
    printer.result(&nodes, |nodes| {
        if nodes.is_empty() {
            return "no node has connected yet".to_owned();
        }
        let rows = nodes.iter().map(|node| {
            let state = match (node.connected, node.paused) {
                (false, _) => "not connected",
                (true, true) => "connected, paused by its owner",
                (true, false) => "connected",
            };
            let datasets = node.datasets.iter().map(|dataset| dataset.name.to_string());
            [
                node.node.to_string(),
                state.to_owned(),
                node.software.clone(),
                datasets.collect::<Vec<_>>().join(", "),
            ]
        });
        table(["node", "state", "software", "datasets"], rows.collect())
    });
    Ok(())
}
