//! `wardround node round cancel ID`.

use node::administration::Cancellation;
use serde_json::json;

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let done = administration.round_cancel(one.id).await.map_err(|error| refused(&error))?;
    let (outcome, line) = match done {
        Cancellation::Asked => ("asked", format!("round {} will end", one.id)),
        Cancellation::TooLate => ("too-late", format!("round {} had ended already", one.id)),
    };
    printer.result(&json!({"round_id": one.id, "outcome": outcome}), |_| line);
    Ok(())
}
