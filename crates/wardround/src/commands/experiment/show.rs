//! `wardround experiment show ID`.

use protocol::ApprovalStatus;
use researcher::overview::{ExecutionOverview, ExperimentDetails};

use super::One;
use crate::commands::connection::failure;
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(one: One, printer: Printer) -> Result<(), Failure> {
    let client = one.connection.open().await?;
    let details = client.show(one.id).await.map_err(|error| failure(&error))?;
    printer.result(&details, people);
    Ok(())
}

fn people(details: &ExperimentDetails) -> String {
    let overview = &details.overview;
    let mut text = format!(
        "{}\n  id      {}\n  state   {}, round {} of {}\n  seed    {}\n",
        overview.name,
        overview.experiment_id,
        overview.state,
        overview.round,
        overview.rounds,
        details.seed,
    );
    if let Some(code) = overview.code {
        text.push_str(&format!("  because {code}: {}\n", overview.message));
    }
    if overview.state == "paused" {
        let id = overview.experiment_id;
        text.push_str(&format!("  next    wardround experiment resume {id}\n"));
    }
    if let Some(plan) = &details.plan {
        text.push_str(&format!("  plan    {}\n", plan.digest));
    }
    if let Some(model) = &details.model {
        text.push_str(&format!("  model   {} ({} bytes)\n", model.digest, model.size));
    }
    if !details.executions.is_empty() {
        let rows = details.executions.iter().map(|execution| {
            [
                execution.node.to_string(),
                execution.dataset.clone(),
                stage(execution),
                execution.code.map(|code| code.to_string()).unwrap_or_default(),
                if execution.connected { "yes" } else { "no" }.to_owned(),
                execution.note.clone(),
            ]
        });
        text.push('\n');
        text.push_str(&table(
            ["node", "dataset", "stage", "code", "connected", "note"],
            rows.collect(),
        ));
    }
    text
}

/// How far an execution is; of one that waits for an approval which was given once, what became of that.
fn stage(execution: &ExecutionOverview) -> String {
    match execution.approval {
        None | Some(ApprovalStatus::Pending) => execution.stage.clone(),
        Some(status) => format!("{} ({status})", execution.stage),
    }
}
