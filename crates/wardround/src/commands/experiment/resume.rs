//! `wardround experiment resume ID`.

use serde_json::json;

use super::One;
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let client = one.connection.open().await?;
    client.resume(one.id).await.map_err(|error| failure(&error))?;
    let document = json!({"experiment_id": one.id, "resumed": true});
    printer.result(&document, |_| format!("resumed {}", one.id));
    Ok(())
}
