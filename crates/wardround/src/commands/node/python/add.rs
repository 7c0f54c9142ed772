//! `wardround node python add PATH`.

use std::path::PathBuf;

use super::versions;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which interpreter.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The interpreter: of a virtual environment, of conda, or of the system.
    #[arg(value_name = "PATH", default_value = "python3")]
    path: PathBuf,
    /// Its name, unique at this node.
    #[arg(long, default_value = node::registry::pythons::DEFAULT)]
    name: String,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let administration = administration(arguments.folder).await?;
    let added = administration.python_add(&arguments.name, &arguments.path).await;
    let interpreter = added.map_err(|error| refused(&error))?;
    printer.result(&interpreter, |interpreter| {
        let environment = &interpreter.environment;
        let mut text = format!(
            "{}: {}\n  {}\n  {} packages, {}\n  plans can read:\n",
            interpreter.name,
            environment.interpreter.display(),
            versions(environment),
            environment.packages,
            environment.digest,
        );
        for path in &environment.readable {
            text.push_str(&format!("    {}\n", path.display()));
        }
        text
    });
    Ok(())
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
Example:
  wardround node python add /opt/wardround/venv/bin/python

The node asks the interpreter for its version and packages, and keeps their versions and a digest.
Python plans run with it, confined; they can read the interpreter, its libraries and its packages.
It needs Python 3.10 or later with numpy, and torch or scikit-learn. Nothing of Wardround has to be
installed there.";
