//! `wardround node pause` and `wardround node resume`.

use super::status::people;
use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn pause(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = super::administration(folder).await?;
    let status = administration.pause().await.map_err(|error| super::refused(&error))?;
    printer.result(&status, people);
    Ok(())
}

pub(super) async fn resume(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = super::administration(folder).await?;
    let status = administration.resume().await.map_err(|error| super::refused(&error))?;
    printer.result(&status, people);
    Ok(())
}
