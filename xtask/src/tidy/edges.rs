//! Which crate may depend on which. `docs/architecture.md` explains the table.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result};
use toml::Table;

/// A crate, and the crates of ours that it may name in `[dependencies]`.
const ALLOWED: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("engine", &[]),
    ("parameters", &[]),
    ("sandbox", &[]),
    ("round", &["protocol"]),
    ("store", &["protocol"]),
    ("dataset", &["protocol"]),
    ("identity", &["protocol"]),
    ("transport", &["protocol", "identity"]),
    ("aggregation", &["protocol", "parameters"]),
    ("training-plan", &["protocol", "parameters"]),
    ("runtime", &["protocol", "training-plan", "dataset", "engine", "parameters", "sandbox"]),
    (
        "coordinator",
        &["protocol", "identity", "round", "transport", "aggregation", "parameters", "store"],
    ),
    (
        "researcher",
        &["protocol", "identity", "transport", "training-plan", "runtime", "parameters"],
    ),
    (
        "node",
        &[
            "protocol",
            "identity",
            "round",
            "transport",
            "training-plan",
            "runtime",
            "dataset",
            "parameters",
            "store",
            "sandbox",
        ],
    ),
    (
        "wardround",
        &[
            "protocol",
            "identity",
            "node",
            "coordinator",
            "researcher",
            "training-plan",
            "runtime",
            "dataset",
            "aggregation",
            "sandbox",
        ],
    ),
];

/// Packages that stand beside the house and may look into every room.
const BESIDE: &[&str] = &["benches", "federation", "xtask"];

/// Compares every manifest with the table.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let allowed: BTreeMap<&str, BTreeSet<&str>> =
        ALLOWED.iter().map(|(name, edges)| (*name, edges.iter().copied().collect())).collect();
    let mut faults = Vec::new();
    for manifest in manifests(root)? {
        let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
        if BESIDE.contains(&name.as_str()) {
            continue;
        }
        let Some(edges) = allowed.get(name.as_str()) else {
            faults.push(format!("crate \"{name}\" is not in the table of edges"));
            continue;
        };
        for dependency in dependencies(&manifest) {
            if allowed.contains_key(dependency.as_str()) && !edges.contains(dependency.as_str()) {
                faults.push(format!("edge {name} -> {dependency} is not allowed"));
            }
        }
    }
    Ok(faults)
}

fn manifests(root: &Path) -> Result<Vec<Table>> {
    let crates = std::fs::read_dir(root.join("crates")).context("crates/ cannot be read")?;
    let mut manifests = Vec::new();
    for entry in crates {
        let path = entry?.path().join("Cargo.toml");
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        manifests.push(text.parse().with_context(|| format!("{}", path.display()))?);
    }
    Ok(manifests)
}

fn dependencies(manifest: &Table) -> Vec<String> {
    manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}
