//! `wardround node plan approve|reject|revoke|countersign DIGEST`.

use node::administration::{Error, PlanEntry};
use node::grant::Status;

use super::bounds::Bounds;
use super::{Decision, One};
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn approve(
    decision: Decision,
    bounds: Bounds,
    printer: Printer,
) -> Result<(), Failure> {
    let grant = bounds.text()?;
    let administration = administration(decision.one.folder).await?;
    let approved = administration.plan_grant(&decision.one.digest, grant, &decision.note).await;
    tell(approved, printer)
}

pub(super) async fn reject(decision: Decision, printer: Printer) -> Result<(), Failure> {
    let administration = administration(decision.one.folder).await?;
    tell(administration.plan_reject(&decision.one.digest, &decision.note).await, printer)
}

pub(super) async fn revoke(
    decision: Decision,
    grant: Option<u64>,
    printer: Printer,
) -> Result<(), Failure> {
    let administration = administration(decision.one.folder).await?;
    tell(administration.plan_revoke(&decision.one.digest, grant, &decision.note).await, printer)
}

pub(super) async fn countersign(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    tell(administration.plan_countersign(&one.digest).await, printer)
}

fn tell(entry: Result<PlanEntry, Error>, printer: Printer) -> Result<(), Failure> {
    printer.result(&entry.map_err(|error| refused(&error))?, people);
    Ok(())
}

/// What was decided.
pub(super) fn people(entry: &PlanEntry) -> String {
    let mut text = format!("{} is {}", entry.known.plan.digest, entry.status.as_str());
    if entry.grants.last().is_some_and(|last| last.status == Status::Pending) {
        text.push_str(
            "\nits grant counts once another user of the operating system has signed it: \
             `wardround node plan countersign`",
        );
    }
    text
}
