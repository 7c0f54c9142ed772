//! Holds the rules that no compiler knows: edges between crates, sizes of files, codes and their pages.

mod codes;
mod edges;
mod files;

use std::path::Path;

use anyhow::{Result, bail};

/// Runs every check and names everything that is wrong, not only the first.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut faults = Vec::new();
    faults.extend(edges::check(root)?);
    faults.extend(files::check(root)?);
    faults.extend(codes::check(root)?);
    for fault in &faults {
        crate::say(fault);
    }
    if !faults.is_empty() {
        bail!("{} faults", faults.len());
    }
    crate::say("tidy: edges, files and codes are in order");
    Ok(())
}
