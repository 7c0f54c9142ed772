//! `wardround node round drop ID`.

use serde_json::json;

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    administration.round_drop(one.id).await.map_err(|error| refused(&error))?;
    let line = format!("round {} is forgotten", one.id);
    printer.result(&json!({"round_id": one.id, "outcome": "dropped"}), |_| line);
    Ok(())
}
