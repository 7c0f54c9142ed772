//! `wardround coordinator status`.

use std::path::Path;

use coordinator::administration::Overview;
use researcher::overview::CoordinatorStatus;

use super::{Found, Whom};
use crate::commands::connection::failure;
use crate::failure::{Failure, Status};
use crate::printer::Printer;

pub(super) async fn run(whom: Whom, printer: Printer) -> Result<(), Failure> {
    let status = match whom.find().await? {
        Found::Dialled(client) => client.status().await.map_err(|error| failure(&error))?,
        Found::Folder(folder, overview) => of_folder(&folder, overview)?,
    };
    printer.result(&status, |status| {
        format!(
            "{}, wire version {}\n  nodes connected   {}\n  experiments open  {}",
            status.software, status.wire_version, status.connected_nodes, status.open_experiments
        )
    });
    Ok(())
}

fn of_folder(folder: &Path, overview: Overview) -> Result<CoordinatorStatus, Failure> {
    let connected = overview.nodes.iter().filter(|node| node.connected).count();
    let Overview { wire_version, software, started_at, open_experiments, .. } = overview;
    let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let Some(started_at) = started_at else {
        let folder = folder.display();
        let mut failure = Failure::failed(format!("the coordinator of {folder} does not run"));
        failure.status = Status::Unreachable;
        let hint = format!("start it with `wardround coordinator start --dir {folder}`");
        return Err(failure.hint(hint));
    };
    Ok(CoordinatorStatus {
        wire_version,
        software,
        started_at,
        connected_nodes: count(connected),
        open_experiments: count(open_experiments),
    })
}
