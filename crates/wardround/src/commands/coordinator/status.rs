//! `wardround coordinator status`.

use crate::commands::connection::{Connection, failure};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(connection: Connection, printer: Printer) -> Result<(), Failure> {
    let client = connection.open().await?;
    let status = client.status().await.map_err(|error| failure(&error))?;
    printer.result(&status, |status| {
        format!(
            "{}, wire version {}\n  nodes connected   {}\n  experiments open  {}",
            status.software, status.wire_version, status.connected_nodes, status.open_experiments
        )
    });
    Ok(())
}
