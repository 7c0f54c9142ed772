//! `wardround node dataset loading-plan NAME`.

use std::path::{Path, PathBuf};

use super::progress;
use super::show::people;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which dataset, and which plan.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The dataset's name.
    name: String,
    /// The plan's file, which takes the place of the plan that the dataset has.
    #[arg(value_name = "FILE", required_unless_present = "detach")]
    file: Option<PathBuf>,
    /// Go without a plan from now on.
    #[arg(long, conflicts_with = "file")]
    detach: bool,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let plan = arguments.file.as_deref().map(read).transpose()?;
    let administration = progress::following(administration(arguments.folder).await?, printer);
    let dataset = administration.dataset_attach_plan(&arguments.name, plan).await;
    progress::clear(printer);
    printer.result(&dataset.map_err(|error| refused(&error))?, people);
    Ok(())
}

/// Reads a plan's file, and says its name with what is wrong in it.
pub(super) fn read(path: &Path) -> Result<String, Failure> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
    match dataset::LoadingPlan::parse(&text) {
        Ok(_) => Ok(text),
        Err(error) => Err(Failure::usage(format!("{shown}: {error}"))),
    }
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
A plan for a table:
  kind = \"table\"
  name = \"tumour-board\"
  version = 2

  [columns]                 # what the study calls it = what it is called here
  age = \"AGE_YEARS\"

  [categories.sex]          # what a cell says here = what it says to the study; \"\" is missing
  1 = \"female\"
  2 = \"male\"

  [units.height]            # value * factor + offset
  from = \"cm\"
  to = \"m\"
  factor = 0.01

A plan for an image folder has `classes`, one for a medical folder `modalities` and the tables above:
  [modalities]
  T1 = [\"T1w\", \"T1_mprage\"]

A plan is data; nothing in it runs. An unknown key is refused with its line.";
