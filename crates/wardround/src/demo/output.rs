//! The folder that the demonstration leaves behind.

use std::path::{Path, PathBuf};

use protocol::History;
use researcher::history::{to_csv, to_json};
use researcher::report::Report;

use super::compare::Compared;
use super::process::unwritable;
use crate::failure::Failure;

/// Makes an empty folder; one that an earlier demonstration left is emptied, any other is refused.
pub(super) fn prepare(folder: &Path) -> Result<PathBuf, Failure> {
    let marker = folder.join(MARKER);
    if folder.exists() {
        let is_empty = folder.read_dir().is_ok_and(|mut entries| entries.next().is_none());
        if !is_empty && !marker.exists() {
            return Err(Failure::usage(format!(
                "{} is not a folder of this demonstration",
                folder.display()
            ))
            .hint("name a folder that does not exist yet with --keep"));
        }
        std::fs::remove_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    std::fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    std::fs::write(&marker, "This folder is emptied by the next `wardround demo`.\n")
        .map_err(|error| unwritable(&marker, &error))?;
    folder.canonicalize().map_err(|error| unwritable(folder, &error))
}

/// Writes the history and the report.
pub(super) fn write(folder: &Path, history: &History, compared: &Compared) -> Result<(), Failure> {
    let mut report = Report::new(history.clone());
    report.facts = compared.facts();
    report.comparison = Some(compared.comparison());
    let files = [
        ("history.csv", to_csv(history)),
        ("history.json", to_json(history)),
        ("report.html", report.to_html()),
    ];
    for (name, text) in files {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| unwritable(&path, &error))?;
    }
    Ok(())
}

const MARKER: &str = ".wardround-demo";
