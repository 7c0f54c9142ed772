//! The files in which a table is saved.

use std::path::{Path, PathBuf};

use protocol::History;
use researcher::report::Report;
use training_plan::statistics::Table;

use crate::failure::Failure;

/// Writes the table as CSV, JSON and HTML; histograms, where there are any, as a CSV of their own.
pub(super) fn save(table: &Table, history: History, name: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut report = Report::new(history);
    report.statistics = Some(table.clone());
    let json = serde_json::to_string_pretty(table).expect("a table is plain data");
    let mut files = vec![
        (with_ending(name, ".csv"), table.to_csv()),
        (with_ending(name, ".json"), json + "\n"),
        (with_ending(name, ".html"), report.to_html()),
    ];
    let histograms = table.histograms_to_csv();
    if !histograms.is_empty() {
        files.insert(1, (with_ending(name, "-histograms.csv"), histograms));
    }
    for (file, text) in &files {
        std::fs::write(file, text).map_err(|error| {
            Failure::failed(format!("{} cannot be written: {error}", file.display()))
        })?;
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut name = name.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
