//! `wardround manual FOLDER`, which packages are made with.

use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::failure::Failure;

/// Where the pages go.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The folder, which is made where it is not there.
    folder: PathBuf,
}

/// Writes a page for every command that shows itself, named after what is typed: `wardround-node-start.1`.
pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let written = std::fs::create_dir_all(&arguments.folder)
        .and_then(|()| clap_mangen::generate_to(super::Arguments::command(), &arguments.folder));
    written.map_err(|error| {
        Failure::failed(format!(
            "the manual cannot be written to {}: {error}",
            arguments.folder.display()
        ))
    })
}
