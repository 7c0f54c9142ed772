//! `wardround coordinator init`.

use serde_json::json;

use crate::commands::Folder;
use crate::failure::Failure;
use crate::home::{self, Role};
use crate::printer::Printer;

/// Which folder, and how it is reached.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// The address that nodes and researchers dial, where it is not the one listened on.
    #[arg(long, value_name = "https://HOST:PORT")]
    address: Option<String>,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    home::make_private();
    let Arguments { folder, address } = arguments;
    let given = home::argument(folder.dir.as_deref());
    let folder = home::folder(folder.dir, Role::Coordinator)?;
    home::refuse_other_role(&folder, Role::Coordinator)?;
    coordinator::init(&folder, address.as_deref()).map_err(|error| refused(&error))?;
    printer.result(&json!({"dir": folder}), |_| {
        format!(
            "a coordinator lives in {}\nrun it with `wardround coordinator start{given}`",
            folder.display()
        )
    });
    Ok(())
}

fn refused(error: &coordinator::config::Error) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        coordinator::config::Error::Address(_) => {
            failure.hint("give --address https://HOST:PORT, as nodes and researchers will dial it")
        }
        _ => failure.hint("name another folder with --dir"),
    }
}
