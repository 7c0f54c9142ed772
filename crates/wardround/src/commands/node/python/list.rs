//! `wardround node python list`.

use super::versions;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = administration(folder).await?;
    let pythons = administration.python_list().await.map_err(|error| refused(&error))?;
    printer.result(&pythons, |pythons| {
        if pythons.is_empty() {
            return "no interpreters: this node runs native plans only".to_owned();
        }
        let rows = pythons.iter().map(|python| {
            [
                python.name.clone(),
                versions(&python.environment),
                python.environment.digest.short(),
                python.environment.interpreter.display().to_string(),
            ]
        });
        table(["name", "versions", "packages", "interpreter"], rows.collect())
    });
    Ok(())
}
