//! `wardround plan request-approval PLAN` and `wardround plan status [PLAN]`.

use std::path::PathBuf;

use protocol::Code;
use researcher::overview::ApprovalOverview;

use crate::commands::connection::{Connection, failure};
use crate::failure::Failure;
use crate::printer::{Printer, table};

/// Whom to ask, and what to tell them.
#[derive(Debug, clap::Args)]
pub(crate) struct Asking {
    /// The plan's file; the files that it names are looked for beside it.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// Ask only this node; can be given several times.
    #[arg(long, value_name = "NAME")]
    node: Vec<String>,
    /// Ask only for this dataset; can be given several times.
    #[arg(long, value_name = "NAME")]
    dataset: Vec<String>,
    /// What the owners are told: what the plan is for.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    message: String,
    #[command(flatten)]
    connection: Connection,
}

/// About which plan.
#[derive(Debug, clap::Args)]
pub(crate) struct Looking {
    /// The plan's file; without it, all plans.
    #[arg(value_name = "PLAN")]
    plan: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn ask(asking: Asking, printer: Printer) -> Result<(), Failure> {
    let bundle = super::read_bundle(&asking.plan)?;
    let name = asking.plan.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let client = asking.connection.open().await?;
    let whom = (&*asking.node, &*asking.dataset);
    let what = (name.as_deref().unwrap_or_default(), &*asking.message);
    let asked = client.request_approval(&bundle, whom, what).await;
    printer.result(&asked.map_err(|error| failure(&error))?, |asked| people(asked));
    Ok(())
}

pub(super) async fn look(looking: Looking, printer: Printer) -> Result<(), Failure> {
    let digest = match &looking.plan {
        Some(plan) => Some(super::read_bundle(plan)?.digest()),
        None => None,
    };
    let client = looking.connection.open().await?;
    let found = client.approvals(digest.as_ref()).await.map_err(|error| failure(&error))?;
    printer.result(&found, |found| people(found));
    Ok(())
}

/// An owner's answer as the owner's own list of plans names it; a code that is no answer stays one.
fn decision(code: Code) -> String {
    match code {
        Code::Ok => "approved".to_owned(),
        Code::PlanNotRegistered | Code::PlanNotApproved => "pending".to_owned(),
        Code::PlanRejected => "rejected".to_owned(),
        Code::PlanRevoked => "revoked".to_owned(),
        other => other.to_string(),
    }
}

fn people(found: &[ApprovalOverview]) -> String {
    if found.is_empty() {
        return "no owner was asked".to_owned();
    }
    let rows = found.iter().map(|one| {
        let state = match one.code {
            Some(code) => one.status.map_or_else(|| decision(code), |status| status.to_string()),
            None if one.connected => "asked".to_owned(),
            None => "not connected".to_owned(),
        };
        [one.plan.short(), one.node.to_string(), one.dataset.clone(), state, one.note.clone()]
    });
    table(["plan", "node", "dataset", "status", "note"], rows.collect())
}
