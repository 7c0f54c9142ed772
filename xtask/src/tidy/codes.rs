//! Every code has a page with its remedy, and a test that reaches it.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::files::sources;

struct Code {
    variant: String,
    text: String,
    today: bool,
}

/// Compares the list in `protocol` with `docs/errors/` and with the tests.
pub(super) fn check(root: &Path) -> Result<Vec<String>> {
    let codes = codes(root)?;
    let mut faults = pages(root, &codes)?;
    let tests = tests(root)?;
    for code in codes.iter().filter(|code| code.today && code.text != "ok") {
        let variant = format!("Code::{}", code.variant);
        let text = format!("\"{}\"", code.text);
        let reached = tests.iter().any(|test| mentions(test, &variant) || test.contains(&text));
        if !reached {
            faults.push(format!("code {} is reached by no test", code.text));
        }
    }
    Ok(faults)
}

fn codes(root: &Path) -> Result<Vec<Code>> {
    let path = root.join("crates/protocol/src/code.rs");
    let source = std::fs::read_to_string(&path).context("the list of codes cannot be read")?;
    let table = source.split("\ncodes! {\n").nth(1).context("the list of codes has moved")?;
    let mut codes = Vec::new();
    for line in table.lines().take_while(|line| *line != "}") {
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        ensure!(fields.len() >= 5, "a line of the list of codes cannot be read: {line}");
        codes.push(Code {
            variant: fields[0].to_owned(),
            text: fields[1].trim_matches('"').to_owned(),
            today: fields[2] == "Today",
        });
    }
    ensure!(codes.len() > 40, "the list of codes has moved");
    Ok(codes)
}

fn pages(root: &Path, codes: &[Code]) -> Result<Vec<String>> {
    let mut faults = Vec::new();
    let wanted: BTreeSet<String> =
        codes.iter().filter(|code| code.text != "ok").map(|code| code.text.clone()).collect();
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("docs/errors")).context("docs/errors/")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if let Some(code) = name.strip_suffix(".md").filter(|name| *name != "README") {
            found.insert(code.to_owned());
        }
    }
    faults
        .extend(wanted.difference(&found).map(|code| format!("docs/errors/{code}.md is missing")));
    faults.extend(
        found.difference(&wanted).map(|code| format!("docs/errors/{code}.md is of no code")),
    );
    Ok(faults)
}

fn tests(root: &Path) -> Result<Vec<String>> {
    let mut tests = Vec::new();
    for path in sources(&root.join("crates"))?.into_iter().chain(sources(&root.join("tests"))?) {
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let text = std::fs::read_to_string(&path)?;
        if shown.contains("/tests/") || shown.starts_with("tests/") || shown.ends_with("/tests.rs")
        {
            tests.push(text);
        } else if let Some((_, inline)) = text.split_once("\n#[cfg(test)]\nmod ") {
            tests.push(inline.to_owned());
        }
    }
    Ok(tests)
}

/// Whether a text names the variant and not a longer one.
fn mentions(text: &str, variant: &str) -> bool {
    text.match_indices(variant).any(|(at, _)| {
        !text[at + variant.len()..].starts_with(|next: char| next.is_ascii_alphanumeric())
    })
}
