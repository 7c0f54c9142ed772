//! `wardround node policy reload`.

use super::show::summary;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = administration(folder).await?;
    let shown = administration.policy_reload().await.map_err(|error| refused(&error))?;
    printer.result(&shown, summary);
    Ok(())
}
