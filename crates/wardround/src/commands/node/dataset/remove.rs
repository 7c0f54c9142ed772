//! `wardround node dataset remove NAME`.

use serde_json::json;

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    administration.dataset_remove(&one.name).await.map_err(|error| refused(&error))?;
    let document = json!({"name": one.name, "removed": true});
    printer.result(&document, |_| format!("{} is no dataset of this node any more", one.name));
    Ok(())
}
