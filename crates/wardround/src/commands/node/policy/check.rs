//! `wardround node policy check [FILE]`.

use std::path::PathBuf;

use node::Policy;
use serde_json::json;

use crate::commands::Folder;
use crate::commands::node::{configuration, folder};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which file.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file; without it, the folder's policy.toml.
    file: Option<PathBuf>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let folder = folder(arguments.folder)?;
    let config = configuration(&folder)?;
    let file = arguments.file.unwrap_or_else(|| folder.policy());
    if !file.exists() {
        let message = format!("policy {} is not there", file.display());
        return Err(
            Failure::failed(message).hint("without a file, nothing is bounded beyond node.toml")
        );
    }
    let policy = Policy::load(&file, &config).map_err(|error| Failure::from_error(&error))?;
    let datasets: Vec<_> = policy.datasets().collect();
    let document = json!({"file": file, "digest": policy.digest(), "datasets": datasets});
    printer.result(&document, |_| {
        let names: Vec<_> = datasets.iter().map(|name| name.as_str()).collect();
        let tables = match names.len() {
            0 => "no dataset by name".to_owned(),
            _ => names.join(", "),
        };
        format!("{} is a policy; beside the defaults it names {tables}", file.display())
    });
    Ok(())
}
