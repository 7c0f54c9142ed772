//! `wardround node plan register PLAN.toml`.

use std::path::PathBuf;

use super::decide::people;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::commands::plan::named;
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(file: PathBuf, folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = administration(folder).await?;
    let plan =
        administration.plan_register(&file).await.map_err(|error| named(refused(&error), &file))?;
    printer.result(&plan, people);
    Ok(())
}
