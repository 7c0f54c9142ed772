//! `wardround node plan diff DIGEST`.

use std::collections::BTreeSet;

use node::administration::PlanComparison;
use similar::TextDiff;

use super::One;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(one: One, with: Option<String>, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let compared = administration.plan_compare(&one.digest, with.as_deref()).await;
    printer.result(&compared.map_err(|error| refused(&error))?, people);
    Ok(())
}

fn people(compared: &PlanComparison) -> String {
    let Some(other) = &compared.other else {
        return "no other plan was approved here".to_owned();
    };
    let mut text = format!("--- {other}\n+++ {}\n", compared.plan);
    if compared.is_same_but_for_layout {
        text.push_str("the same but for comments and whitespace\n");
    }
    text.push_str(&unified(compared));
    text
}

/// The lines that differ, by file.
pub(super) fn unified(compared: &PlanComparison) -> String {
    let names: BTreeSet<&String> =
        compared.files.keys().chain(compared.other_files.keys()).collect();
    let mut text = String::new();
    for name in names {
        let old = compared.other_files.get(name).map_or("", String::as_str);
        let new = compared.files.get(name).map_or("", String::as_str);
        if old != new {
            let diff = TextDiff::from_lines(old, new);
            let diff = diff.unified_diff().context_radius(3).to_string();
            text.push_str(&format!("\n{name}\n{diff}"));
        }
    }
    text
}
