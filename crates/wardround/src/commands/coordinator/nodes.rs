//! `wardround coordinator nodes`.

use crate::commands::connection::{Connection, failure};
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(connection: Connection, printer: Printer) -> Result<(), Failure> {
    let client = connection.open().await?;
    let nodes = client.nodes().await.map_err(|error| failure(&error))?;
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
