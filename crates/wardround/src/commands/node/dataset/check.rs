//! `wardround node dataset check NAME`.

use node::administration::{Acceptance, DatasetCheck};
use protocol::Code;

use super::show::words;
use super::{folder, progress};
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which dataset, and what to do about a change.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The dataset's name.
    name: String,
    /// Register the file or folder as it is now.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let administration = progress::following(administration(arguments.folder).await?, printer);
    let acceptance = if arguments.update { Acceptance::Update } else { Acceptance::Look };
    let check = administration.dataset_check(&arguments.name, acceptance).await;
    progress::clear(printer);
    let check = check.map_err(|error| refused(&error))?;
    printer.result(&check, people);
    if check.is_changed && !check.is_updated {
        let message = format!("dataset \"{}\" changed since it was registered", check.name);
        return Err(
            Failure::coded(Code::DataInvalid, message).hint("`--update` registers it as it is now")
        );
    }
    Ok(())
}

fn people(check: &DatasetCheck) -> String {
    let (_, samples) = words(check.kind);
    if !check.is_changed {
        let found = check.folder.as_ref().map(folder::people).unwrap_or_default();
        return format!("{}: {} {samples}, as registered\n{found}", check.name, check.rows);
    }
    let (before, now) = (check.rows_before, check.rows);
    let mut text = format!("{}: {before} {samples} before, {now} now\n", check.name);
    if !check.added.is_empty() {
        text.push_str(&format!("  new columns: {}\n", check.added.join(", ")));
    }
    if !check.removed.is_empty() {
        text.push_str(&format!("  columns gone: {}\n", check.removed.join(", ")));
    }
    for column in &check.retyped {
        text.push_str(&format!(
            "  column {} was {}, is {}\n",
            column.column,
            column.before.as_str(),
            column.now.as_str()
        ));
    }
    if let Some(found) = &check.folder {
        text.push_str(&folder::people(found));
    }
    if check.is_updated {
        text.push_str("  registered as it is now\n");
    }
    text
}
