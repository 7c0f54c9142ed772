//! `wardround node plan approve DIGEST` and `wardround node plan reject DIGEST`.

use node::registry::plans::KnownPlan;

use super::Decision;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn approve(decision: Decision, printer: Printer) -> Result<(), Failure> {
    let administration = administration(decision.one.folder).await?;
    let plan = administration
        .plan_approve(&decision.one.digest, &decision.note)
        .await
        .map_err(|error| refused(&error))?;
    printer.result(&plan, people);
    Ok(())
}

pub(super) async fn reject(decision: Decision, printer: Printer) -> Result<(), Failure> {
    let administration = administration(decision.one.folder).await?;
    let plan = administration
        .plan_reject(&decision.one.digest, &decision.note)
        .await
        .map_err(|error| refused(&error))?;
    printer.result(&plan, people);
    Ok(())
}

/// What was decided.
pub(super) fn people(plan: &KnownPlan) -> String {
    format!("{} is {}", plan.plan.digest, plan.decision.as_str())
}
