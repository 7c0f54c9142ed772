//! `wardround experiment table ID`, and what `submit` does with a query for statistics.

mod saved;

use std::path::{Path, PathBuf};

use protocol::{Code, ExperimentId};
use researcher::{Client, Event, Occurrence};
use serde_json::json;
use training_plan::statistics::{ColumnStatistics, GroupStatistics, Measure, Quantile, Table};

use super::One;
use super::view;
use crate::commands::connection::failure;
use crate::failure::{Failure, Status};
use crate::printer::{Printer, wide_table};

/// Which statistics, and where they are saved.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    /// Save the table as NAME.csv, NAME.json and NAME.html, too.
    #[arg(long, short, value_name = "NAME")]
    output: Option<PathBuf>,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let client = arguments.one.connection.open().await?;
    let id = arguments.one.id;
    let details = client.show(id).await.map_err(|error| failure(&error))?;
    if details.overview.state != COMPLETED {
        let state = &details.overview.state;
        return Err(Failure::coded(Code::ExperimentState, format!("experiment {id} is {state}"))
            .hint(format!("follow it with `wardround experiment watch {id}`")));
    }
    finish(&client, id, arguments.output.as_deref(), printer).await
}

/// Waits for the end of a statistics experiment, then prints and saves its table.
pub(super) async fn conclude(
    client: &Client,
    id: ExperimentId,
    output: &Path,
    printer: Printer,
) -> Result<(), Failure> {
    await_end(client, id, printer).await?;
    finish(client, id, Some(output), printer).await
}

/// Waits for the end of a statistics experiment; one that ended badly is a failure.
pub(super) async fn await_end(
    client: &Client,
    id: ExperimentId,
    printer: Printer,
) -> Result<(), Failure> {
    let mut follower = client.follow(id, 0);
    loop {
        let next = tokio::select! {
            next = follower.next() => next.map_err(|error| failure(&error))?,
            _ = tokio::signal::ctrl_c() => {
                return Err(Failure::interrupted(format!("detached; experiment {id} goes on"))
                    .hint(format!("`wardround experiment table {id}` prints what comes out")));
            }
        };
        let Some(event) = next else { return Ok(()) };
        if let Some(end) = tell(event, printer)? {
            return Ok(end);
        }
    }
}

/// Says what an event means for somebody who waits; something where it is the end.
fn tell(event: Event, printer: Printer) -> Result<Option<()>, Failure> {
    match &event.what {
        Occurrence::Failed { code, message } => Err(Failure::coded(*code, message)),
        Occurrence::Cancelled => {
            Err(Failure::coded(Code::Cancelled, "the experiment was cancelled"))
        }
        Occurrence::Completed { .. } => Ok(Some(())),
        what => {
            if let Some(line) = view::course(what) {
                printer.note(&line);
            }
            Ok(None)
        }
    }
}

async fn finish(
    client: &Client,
    id: ExperimentId,
    output: Option<&Path>,
    printer: Printer,
) -> Result<(), Failure> {
    let table = client.table(id).await.map_err(|error| match error {
        researcher::Error::Table(_) => {
            let mut refused = Failure::failed(format!("experiment {id} asks for no statistics"));
            refused.status = Status::Usage;
            refused.hint(format!("`wardround experiment download {id}` fetches its model"))
        }
        error => failure(&error),
    })?;
    let files = match output {
        Some(name) => {
            let history = client.history(id).await.map_err(|error| failure(&error))?;
            saved::save(&table, history, name)?
        }
        None => Vec::new(),
    };
    let document = json!({"experiment_id": id, "table": table, "files": files});
    printer.result(&document, |_| {
        let saved: String =
            files.iter().map(|file| format!("saved {}\n", file.display())).collect();
        format!("{}{saved}", text(&table))
    });
    Ok(())
}

/// The table for people.
fn text(table: &Table) -> String {
    let measures: Vec<Measure> =
        Measure::ALL.into_iter().filter(|one| table.measures.contains(&one.as_str())).collect();
    let quantiles = quantiles(table);
    let mut header: Vec<String> = table.group_by.iter().cloned().collect();
    header.push("column".to_owned());
    header.extend(measures.iter().map(|measure| measure.as_str().replace('_', " ")));
    header.extend(quantiles.iter().map(|quantile| format!("q{quantile}")));
    let mut rows = Vec::new();
    for group in &table.groups {
        for column in &group.columns {
            let mut row: Vec<String> = group.group.iter().cloned().collect();
            row.push(column.column.clone());
            let cells = measures.iter().map(|measure| cell(*measure, column, table.sites));
            row.extend(cells);
            row.extend(
                quantiles
                    .iter()
                    .enumerate()
                    .map(|(place, _)| column.quantiles.get(place).map_or_else(withheld, quantile)),
            );
            rows.push(row);
        }
    }
    let mut text = wide_table(header, rows);
    text.push('\n');
    text.push_str(&notes(table));
    text
}

/// The quantiles that were asked for.
fn quantiles(table: &Table) -> Vec<f64> {
    let columns = table.groups.iter().flat_map(|group| &group.columns);
    let longest = columns.map(|column| &column.quantiles).max_by_key(|quantiles| quantiles.len());
    longest.map(|quantiles| quantiles.iter().map(|one| one.quantile).collect()).unwrap_or_default()
}

fn cell(measure: Measure, column: &ColumnStatistics, sites: u64) -> String {
    let (text, told) = match measure {
        Measure::Count => (column.count.map(|count| count.to_string()), column.sites),
        Measure::Missing => (column.missing.map(|count| count.to_string()), column.missing_sites),
        Measure::Mean => (column.mean.map(view::number), column.sites),
        Measure::Variance => (column.variance.map(view::number), column.sites),
        Measure::Deviation => (column.standard_deviation.map(view::number), column.sites),
        Measure::Minimum => (column.minimum.map(view::number), column.sites),
        Measure::Maximum => (column.maximum.map(view::number), column.sites),
    };
    match text {
        None => withheld(),
        Some(text) if told < sites => format!("{text} ({told}/{sites})"),
        Some(text) => text,
    }
}

fn quantile(quantile: &Quantile) -> String {
    match (quantile.value, quantile.resolution) {
        (Some(value), Some(width)) => {
            format!("{} ±{}", view::number(value), view::number(width / 2.0))
        }
        _ => "beyond the edges".to_owned(),
    }
}

fn withheld() -> String {
    "–".to_owned()
}

/// What the table means.
fn notes(table: &Table) -> String {
    let mut notes = vec![format!("{} sites have answered.", table.sites)];
    let told = |group: &GroupStatistics| {
        let rows = group.rows?;
        let of = group.group.as_deref().map(|name| format!(" of {name:?}")).unwrap_or_default();
        let sites = group.rows_sites;
        Some(if sites < table.sites {
            format!("{rows} rows{of} at the {sites} sites that tell them.")
        } else {
            format!("{rows} rows{of}.")
        })
    };
    notes.extend(table.groups.iter().filter_map(told));
    let columns = || table.groups.iter().flat_map(|group| &group.columns);
    if columns().any(|column| column.sites < table.sites || column.missing_sites < table.sites) {
        notes.push(
            "– is withheld, because it would tell of too few patients; (1/2) is of one site of two."
                .to_owned(),
        );
    }
    if columns().any(|column| !column.quantiles.is_empty()) {
        notes.push("Quantiles are read off histograms; ± is half their range's width.".to_owned());
    }
    notes.iter().map(|note| format!("{note}\n")).collect()
}

/// The state of an experiment that has come to its end.
const COMPLETED: &str = "completed";
