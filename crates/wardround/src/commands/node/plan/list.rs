//! `wardround node plan list`.

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
        let rows = plans.iter().map(|plan| {
            let asked = plan.researcher_id.as_ref().map(ToString::to_string);
            [
                plan.plan.digest.short(),
                plan.decision.as_str().to_owned(),
                plan.runtime.as_str().to_owned(),
                asked.unwrap_or_else(|| "this node's owner".to_owned()),
                plan.experiment_name.clone(),
                plan.note.clone(),
            ]
        });
        table(["plan", "decision", "runtime", "asked by", "experiment", "note"], rows.collect())
    });
    Ok(())
}
