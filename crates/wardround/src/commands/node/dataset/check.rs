//! `wardround node dataset check NAME`.

use node::administration::{Acceptance, DatasetCheck};
use protocol::Code;

use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which dataset, and what to do about a change.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The dataset's name.
    name: String,
    /// Register the file as it is now.
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let administration = administration(arguments.folder).await?;
    let acceptance = if arguments.update { Acceptance::Update } else { Acceptance::Look };
    let check = administration
        .dataset_check(&arguments.name, acceptance)
        .await
        .map_err(|error| refused(&error))?;
    printer.result(&check, people);
    if check.is_changed && !check.is_updated {
        let message = format!("dataset \"{}\" changed since it was registered", check.name);
        return Err(Failure::coded(Code::DataInvalid, message)
            .hint("`--update` registers the file as it is now"));
    }
    Ok(())
}

fn people(check: &DatasetCheck) -> String {
    if !check.is_changed {
        return format!("{}: {} rows, as registered", check.name, check.rows);
    }
    let mut text =
        format!("{}: {} rows before, {} now\n", check.name, check.rows_before, check.rows);
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
    if check.is_updated {
        text.push_str("  registered as it is now\n");
    }
    text
}
