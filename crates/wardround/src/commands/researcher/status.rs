//! `wardround researcher status`.

use researcher::Client;
use serde_json::json;

use super::{Identity, refused};
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(identity: Identity, printer: Printer) -> Result<(), Failure> {
    let folder = identity.folder()?;
    let credentials = researcher::membership::open(&folder).await;
    let credentials = credentials.map_err(|error| refused(&error))?;
    let address = credentials.coordinator().to_owned();
    let answer = match Client::connect(&address, credentials.clone()).await {
        Ok(client) => client.status().await,
        Err(error) => Err(error),
    };
    let status = answer.map_err(|error| failure(&error))?;
    let member = credentials.member();
    let fingerprint = credentials.identity().fingerprint().to_string();
    let expires_at = credentials.expires_at();
    let document = json!({
        "name": member.name(),
        "coordinator": address,
        "software": status.software,
        "fingerprint": fingerprint,
        "expires_at": expires_at,
        "dir": folder,
    });
    printer.result(&document, |_| {
        format!(
            "researcher {} is a member at {address}\n  fingerprint  {fingerprint}\n  certificate  until {expires_at}\n  keys         {}",
            member.name(),
            folder.display(),
        )
    });
    Ok(())
}
