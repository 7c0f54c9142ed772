//! `wardround node plan approve|reject|revoke|countersign DIGEST`.

use node::administration::{Error, PlanEntry};
use node::grant::{Grant, Status};

use super::bounds::{Bounds, in_words};
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
    if let Some(open) = without_bounds(entry) {
        text.push_str(&format!(
            "\ngrant {open}, which has no bounds, still lets whoever asks run it: withdraw it with \
             `wardround node plan revoke {} --grant {open}`",
            entry.known.plan.digest.short()
        ));
    }
    text
}

/// An earlier grant that bounds nothing beside a later one that does.
fn without_bounds(entry: &PlanEntry) -> Option<u64> {
    let (last, earlier) = entry.grants.split_last()?;
    let is_open =
        |grant: &Option<Grant>| grant.as_ref().is_some_and(|grant| in_words(grant).is_empty());
    if is_open(&last.grant) || last.status != Status::Approved {
        return None;
    }
    let mut open =
        earlier.iter().filter(|one| one.status == Status::Approved && is_open(&one.grant));
    open.next().map(|one| one.number)
}
