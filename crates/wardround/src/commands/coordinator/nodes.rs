//! `wardround coordinator nodes …`.

use clap::Subcommand;
use coordinator::administration::{Answer, NodeState, Request};
use identity::Role;
use protocol::NodeId;
use researcher::overview::NodeOverview;

use super::members::{self, Action};
use super::{Found, Whom, administer, other_answer};
use crate::commands::Folder;
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::home;
use crate::printer::{Printer, table};

/// What is asked about nodes.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    whom: Whom,
    #[command(subcommand)]
    action: Option<NodeAction>,
}

/// What can be done with nodes.
#[derive(Debug, Subcommand)]
enum NodeAction {
    #[command(flatten)]
    Member(Action),
    /// Print what was signed of a node's audit log, for `wardround node audit verify --receipts`.
    Receipts(Receipts),
}

/// Whose receipts.
#[derive(Debug, clap::Args)]
struct Receipts {
    /// The node's name.
    #[arg(value_name = "NAME")]
    name: NodeId,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    match arguments.action {
        Some(NodeAction::Member(action)) => members::run(Role::Node, action, printer).await,
        Some(NodeAction::Receipts(one)) => receipts(one, printer).await,
        None => list(arguments.whom, printer).await,
    }
}

async fn list(whom: Whom, printer: Printer) -> Result<(), Failure> {
    let nodes = match whom.find().await? {
        Found::Dialled(client) => client.nodes().await.map_err(|error| failure(&error))?,
        Found::Folder(_, overview) => overview.nodes.into_iter().map(shown).collect(),
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

fn shown(state: NodeState) -> NodeOverview {
    let NodeState { node, connected, paused, software, last_seen_at, datasets } = state;
    NodeOverview { node, connected, paused, software, last_seen_at, datasets }
}

async fn receipts(one: Receipts, printer: Printer) -> Result<(), Failure> {
    let folder = home::folder(one.folder.dir, home::Role::Coordinator)?;
    let answer = administer(&folder, &Request::Receipts { node: one.name.to_string() }).await?;
    let Answer::Receipts { receipts, .. } = answer else { return Err(other_answer()) };
    printer.result(&receipts, |receipts| receipts.join("\n").trim_end().to_owned());
    Ok(())
}
