//! `wardround researcher init`.

use serde_json::json;

use super::{Identity, refused};
use crate::commands::joining;
use crate::failure::Failure;
use crate::printer::Printer;

/// With which token, and where the keys go.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The token; `-` reads it from standard input, where no other user of this machine sees it.
    #[arg(long, value_name = "TOKEN")]
    join: String,
    #[command(flatten)]
    identity: Identity,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let token = joining::token(&arguments.join)?;
    let folder = arguments.identity.folder()?;
    let joined = researcher::membership::join(&folder, &token).await;
    let joined = joined.map_err(|error| refused(&error))?;
    let document = json!({
        "name": joined.name,
        "coordinator": joined.coordinator,
        "fingerprint": joined.fingerprint.to_string(),
        "expires_at": joined.expires_at,
        "dir": folder,
    });
    printer.result(&document, |_| {
        format!(
            "researcher {} has joined {}\nfingerprint  {}\nkeys         {}\n{}",
            joined.name,
            joined.coordinator,
            joined.fingerprint,
            folder.display(),
            joining::COMPARE,
        )
    });
    Ok(())
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
The coordinator's operator makes a token with `wardround coordinator token --role researcher --name
NAME`; it is good once. Your keys are made here and never leave this machine. Read the six words
that are printed to the operator, by telephone: they must be the ones that `wardround coordinator
researchers list` shows there.

  wardround researcher init --join - < token
";
