//! `wardround node plan list`.

use node::administration::PlanEntry;

use super::bounds::day;
use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = administration(folder).await?;
    let plans = administration.plan_list().await.map_err(|error| refused(&error))?;
    printer.result(&plans, |plans| {
        if plans.is_empty() {
            return "no plan has asked to run here".to_owned();
        }
        let header = [
            "plan",
            "status",
            "runtime",
            "asked by",
            "experiment",
            "rounds",
            "expires",
            "note",
            "message",
        ];
        table(header, plans.iter().map(row).collect())
    });
    Ok(())
}

fn row(entry: &PlanEntry) -> [String; 9] {
    let plan = &entry.known;
    let asked = plan.researcher_id.as_ref().map(ToString::to_string);
    // The grant that decides what the status is: the best, and of several such the last.
    let deciding = entry.grants.iter().rev().find(|one| one.status == entry.status);
    let grant = deciding.and_then(|one| one.grant.as_ref());
    let used = deciding.map(|one| match grant.and_then(|grant| grant.rounds) {
        Some(rounds) => format!("{} of {rounds}", one.used),
        None => one.used.to_string(),
    });
    let expires = grant.and_then(|grant| grant.expires_at).map(day);
    [
        plan.plan.digest.short(),
        entry.status.as_str().to_owned(),
        plan.runtime.as_str().to_owned(),
        asked.unwrap_or_else(|| "this node's owner".to_owned()),
        plan.experiment_name.clone(),
        used.unwrap_or_default(),
        expires.unwrap_or_default(),
        plan.note.clone(),
        plan.messages.last().map(|last| last.text.clone()).unwrap_or_default(),
    ]
}
