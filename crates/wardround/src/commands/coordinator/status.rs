//! `wardround coordinator status`.

use super::{Found, Whom};
use crate::commands::connection::failure;
use crate::failure::{Failure, Status};
use crate::printer::Printer;

pub(super) async fn run(whom: Whom, printer: Printer) -> Result<(), Failure> {
    let client = match whom.find().await? {
        Found::Running(client) => client,
        Found::Stopped(folder, _) => {
            let folder = folder.display();
            let mut failure = Failure::failed(format!("the coordinator of {folder} does not run"));
            failure.status = Status::Unreachable;
            let hint = format!("start it with `wardround coordinator start --dir {folder}`");
            return Err(failure.hint(hint));
        }
    };
    let status = client.status().await.map_err(|error| failure(&error))?;
    printer.result(&status, |status| {
        format!(
            "{}, wire version {}\n  nodes connected   {}\n  experiments open  {}",
            status.software, status.wire_version, status.connected_nodes, status.open_experiments
        )
    });
    Ok(())
}
