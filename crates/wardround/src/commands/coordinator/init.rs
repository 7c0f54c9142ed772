//! `wardround coordinator init`.

use serde_json::json;

use crate::commands::Folder;
use crate::failure::Failure;
use crate::home::{self, Role};
use crate::printer::Printer;

pub(super) fn run(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let given = home::argument(folder.dir.as_deref());
    let folder = home::folder(folder.dir, Role::Coordinator)?;
    home::refuse_other_role(&folder, Role::Coordinator)?;
    coordinator::init(&folder)
        .map_err(|error| Failure::from_error(&error).hint("name another folder with --dir"))?;
    printer.result(&json!({"dir": folder}), |_| {
        format!(
            "a coordinator lives in {}\nrun it with `wardround coordinator start{given}`",
            folder.display()
        )
    });
    Ok(())
}
