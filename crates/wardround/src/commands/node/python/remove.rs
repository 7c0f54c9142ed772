//! `wardround node python remove [NAME]`.

use serde_json::json;

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    administration.python_remove(&one.name).await.map_err(|error| refused(&error))?;
    printer.result(&json!({"name": one.name}), |_| format!("{} is forgotten", one.name));
    Ok(())
}
