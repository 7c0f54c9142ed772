//! `wardround experiment watch ID`.

use std::time::{Duration, Instant};

use protocol::{Code, ExperimentId};
use researcher::{Client, Occurrence};

use super::One;
use super::view::View;
use crate::commands::connection::{Connection, failure, wait};
use crate::failure::{Failure, Status};
use crate::printer::Printer;

/// What is followed, and how patiently.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// How long to wait for a coordinator that does not answer; 0s gives up at once.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let Arguments { one, wait: patience } = arguments;
    let id = one.id;
    let outcome = wait(async move {
        let client = connect(&one.connection, patience, printer).await?;
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

/// Connects, and tries again for as long as the patience while nobody answers.
async fn connect(
    connection: &Connection,
    patience: Duration,
    printer: Printer,
) -> Result<Client, Failure> {
    let until = Instant::now() + patience;
    let mut delay = FIRST_DELAY;
    loop {
        let failure = match connection.open().await {
            Err(failure) if failure.status == Status::Unreachable => failure,
            outcome => return outcome,
        };
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failure);
        }
        if delay == FIRST_DELAY {
            printer.warn(&format!(
                "{}; trying again for {}",
                failure.message,
                humantime::format_duration(Duration::from_secs(left.as_secs().max(1)))
            ));
        }
        tokio::time::sleep(delay.min(left)).await;
        delay = (2 * delay).min(LONGEST_DELAY);
    }
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

/// The pause before a coordinator that did not answer is first tried again; each further one is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_DELAY: Duration = Duration::from_secs(5);
