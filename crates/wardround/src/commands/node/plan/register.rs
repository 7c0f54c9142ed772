//! `wardround node plan register PLAN.toml`.

use std::path::PathBuf;

use super::bounds::Bounds;
use super::decide::people;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::commands::plan::named;
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(
    file: PathBuf,
    folder: Folder,
    bounds: Bounds,
    printer: Printer,
) -> Result<(), Failure> {
    let grant = bounds.text()?;
    let administration = administration(folder).await?;
    let registered = administration.plan_register_granted(&file, grant).await;
    let plan = registered.map_err(|error| named(refused(&error), &file))?;
    printer.result(&plan, people);
    Ok(())
}
