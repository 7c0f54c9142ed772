//! `wardround coordinator nodes`.

use researcher::overview::NodeOverview;

use super::{Found, Whom};
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(whom: Whom, printer: Printer) -> Result<(), Failure> {
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
