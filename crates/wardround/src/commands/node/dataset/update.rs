//! `wardround node dataset update NAME`.

use node::administration::DatasetEdit;
use sandbox::Level;

use super::One;
use super::show::people;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which dataset, and what is said of it from now on; what is not given stays.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// A tag in place of all that it has; may be given several times.
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,
    /// Another text for people.
    #[arg(long)]
    description: Option<String>,
    /// Python plans read it only when they are confined at this level or better: A, B or C.
    #[arg(long, value_name = "LEVEL")]
    minimum_level: Option<Level>,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let edit = DatasetEdit {
        tags: Some(arguments.tags).filter(|tags| !tags.is_empty()),
        description: arguments.description,
        minimum_level: arguments.minimum_level,
    };
    if edit == DatasetEdit::default() {
        return Err(Failure::usage("nothing is changed")
            .hint("give --tag, --description or --minimum-level"));
    }
    let administration = administration(arguments.one.folder).await?;
    let dataset = administration.dataset_edit(&arguments.one.name, edit).await;
    printer.result(&dataset.map_err(|error| refused(&error))?, people);
    Ok(())
}
