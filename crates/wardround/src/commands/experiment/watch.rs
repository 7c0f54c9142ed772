//! `wardround experiment watch ID`.

use protocol::{Code, ExperimentId};
use researcher::{Client, Occurrence};

use super::One;
use super::view::View;
use crate::commands::connection::{failure, wait};
use crate::failure::{Failure, Status};
use crate::printer::Printer;

pub(super) fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let id = one.id;
    let outcome = wait(async move {
        let client = one.connection.open().await?;
        follow(&client, id, printer).await
    });
    outcome.map_err(|failure| {
        if failure.status == Status::Interrupted {
            return Failure::interrupted(format!("detached; experiment {id} goes on"))
                .hint(format!("`wardround experiment cancel {id}` cancels it"));
        }
        failure
    })
}

/// Shows an experiment's events until it has ended; an experiment that ended badly is a failure.
pub(crate) async fn follow(
    client: &Client,
    id: ExperimentId,
    printer: Printer,
) -> Result<(), Failure> {
    let details = client.show(id).await.map_err(|error| failure(&error))?;
    let view = View::new(printer, details.overview.rounds);
    let mut follower = client.follow(id, 0);
    while let Some(event) = follower.next().await.map_err(|error| failure(&error))? {
        view.show(&event);
        match event.what {
            Occurrence::Failed { code, message } => {
                view.finish();
                return Err(Failure::coded(code, message));
            }
            Occurrence::Cancelled => {
                view.finish();
                return Err(Failure::coded(Code::Cancelled, "the experiment was cancelled"));
            }
            _ => {}
        }
    }
    view.finish();
    Ok(())
}
