//! `wardround experiment download ID`.

use std::path::PathBuf;

use serde_json::json;

use super::One;
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::Printer;

/// Which model, and where it goes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// The file to write.
    #[arg(long, short, value_name = "FILE", default_value = "model.safetensors")]
    output: PathBuf,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let folder = arguments.output.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        let (file, folder) = (arguments.output.display(), folder.display());
        return Err(Failure::usage(format!(
            "{file} cannot be written: there is no folder {folder}"
        )));
    }
    let client = arguments.one.connection.open().await?;
    let model = client
        .download(arguments.one.id, &arguments.output)
        .await
        .map_err(|error| failure(&error))?;
    let document = json!({"file": arguments.output, "digest": model.digest, "size": model.size});
    printer.result(&document, |_| {
        format!("{}\n{} ({} bytes)", arguments.output.display(), model.digest, model.size)
    });
    Ok(())
}
