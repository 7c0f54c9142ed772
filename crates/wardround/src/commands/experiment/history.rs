//! `wardround experiment history ID`.

use clap::ArgAction;
use protocol::History;
use researcher::history::to_csv;

use super::One;
use super::view::number;
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::{Printer, out, table};

/// Whose history, and how it is written.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// Write CSV: one line for each value.
    #[arg(long, action = ArgAction::SetTrue, conflicts_with = "json")]
    csv: bool,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let client = arguments.one.connection.open().await?;
    let history = client.history(arguments.one.id).await.map_err(|error| failure(&error))?;
    if arguments.csv {
        out(to_csv(&history).trim_end());
        return Ok(());
    }
    printer.result(&history, people);
    Ok(())
}

fn people(history: &History) -> String {
    let mut rows = Vec::new();
    for round in &history.rounds {
        let metrics = |values: &[(String, f64)]| {
            let shown = values.iter().map(|(name, value)| format!("{name} {}", number(*value)));
            shown.collect::<Vec<_>>().join("  ")
        };
        let federation: Vec<(String, f64)> =
            round.metrics.iter().map(|metric| (metric.name.clone(), metric.value)).collect();
        let loss = round.loss.map(number).unwrap_or_default();
        rows.push([round.round.to_string(), "federation".to_owned(), loss, metrics(&federation)]);
        for site in &round.sites {
            let measured = site.metrics.as_ref().map(|report| metrics(&report.metrics));
            rows.push([
                String::new(),
                format!("{}/{}", site.node, site.dataset),
                site.loss.map(number).unwrap_or_default(),
                measured.unwrap_or_else(|| site.code.to_string()),
            ]);
        }
    }
    table(["round", "who", "loss", "metrics of the round's model"], rows)
}
