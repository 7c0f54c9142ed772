//! `wardround dataset …`: what a researcher sees of the nodes' datasets.

use ::dataset::Kind;
use clap::Subcommand;
use protocol::DatasetSummary;
use researcher::overview::FoundDataset;

use super::connection::{Connection, failure, wait};
use crate::failure::Failure;
use crate::printer::{Printer, table};

/// What a researcher can ask about datasets.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Find the datasets that have all of some tags; without tags, every dataset.
    Search {
        /// The tags.
        tags: Vec<String>,
        /// Show every column with its type and missing values, and classes or modalities.
        #[arg(long)]
        columns: bool,
        #[command(flatten)]
        connection: Connection,
    },
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::Search { tags, columns, connection } => wait(async move {
            let client = connection.open().await?;
            let found = client.datasets(&tags).await.map_err(|error| failure(&error))?;
            printer.result(&found, |found| people(found, columns));
            Ok(())
        }),
    }
}

/// How many cells are missing, in the words that stand for a row count that is not shown.
fn missing(column: &protocol::ColumnSummary) -> String {
    column.missing.map_or_else(|| "few".to_owned(), |missing| missing.to_string())
}

fn people(found: &[FoundDataset], columns: bool) -> String {
    if found.is_empty() {
        return "no dataset matches".to_owned();
    }
    let rows = found.iter().map(|found| {
        let dataset = &found.dataset;
        [
            found.node.to_string(),
            dataset.name.to_string(),
            dataset.kind.clone(),
            dataset.row_count.map_or_else(|| "few".to_owned(), |rows| rows.to_string()),
            dataset.columns.len().to_string(),
            dataset.tags.join(", "),
            if found.connected { "yes" } else { "no" }.to_owned(),
        ]
    });
    let header = ["node", "dataset", "kind", "rows", "columns", "tags", "connected"];
    let mut text = table(header, rows.collect());
    if columns {
        for found in found {
            text.push_str(&format!("\n{}/{}\n", found.node, found.dataset.name));
            text.push_str(&details(&found.dataset));
        }
    }
    text
}

/// The columns, and the classes or modalities.
fn details(dataset: &DatasetSummary) -> String {
    let mut text = String::new();
    if let Some(plan) = &dataset.loading_plan {
        text.push_str(&format!("loading plan {plan}\n"));
    }
    if !dataset.parts.is_empty() {
        let rows = dataset.parts.iter().map(|part| {
            let samples = part.samples.map_or_else(|| "few".to_owned(), |count| count.to_string());
            [part.name.clone(), samples, part.shape.clone()]
        });
        let name = if dataset.kind == Kind::ImageFolder.as_str() { "class" } else { "modality" };
        text.push_str(&table([name, "samples", "shape"], rows.collect()));
    }
    if !dataset.columns.is_empty() || dataset.parts.is_empty() {
        let rows = dataset.columns.iter().map(|column| {
            let kind = column.column_type.as_str().to_owned();
            [column.name.clone(), kind, missing(column)]
        });
        text.push_str(&table(["column", "type", "missing"], rows.collect()));
    }
    text
}
