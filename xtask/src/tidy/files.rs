//! Sizes and names of source files, and words that have no place in them.

use std::path::{Path, PathBuf};

use anyhow::Result;

/// Lines without tests above which a file is more than one concept.
const MAXIMUM_LINES: usize = 700;

/// Walks every source file below the folders that ship.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    for folder in ["crates", "tests", "benches", "xtask", "fuzz"] {
        for path in sources(&root.join(folder))? {
            let text = std::fs::read_to_string(&path)?;
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            faults.extend(faults_of(&shown, &text));
        }
    }
    Ok(faults)
}

/// Every Rust file below a folder, sorted; build output is passed over.
pub(super) fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target") {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn faults_of(shown: &str, text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    if shown.ends_with("/mod.rs") {
        faults.push(format!("{shown}: a module's file is named after it, not mod.rs"));
    }
    let lines = code_lines(text);
    if lines > MAXIMUM_LINES {
        faults.push(format!("{shown}: {lines} lines without tests, at most {MAXIMUM_LINES}"));
    }
    let unfinished = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("unimple", "mented!(")];
    for (number, line) in text.lines().enumerate() {
        if let Some(word) = unfinished.iter().find(|word| line.contains(**word)) {
            faults.push(format!("{shown}:{}: \"{word}\" stays out of the tree", number + 1));
        }
    }
    faults
}

fn code_lines(text: &str) -> usize {
    let tests = text.lines().position(|line| line.trim() == "#[cfg(test)]");
    tests.unwrap_or_else(|| text.lines().count())
}
