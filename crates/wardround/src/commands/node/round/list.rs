//! `wardround node round list`.

use node::registry::rounds::{RoundRow, Stage};

use serde_json::{Value, json};

use crate::commands::Folder;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, table};

pub(super) async fn run(limit: usize, folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = administration(folder).await?;
    let rounds = administration.round_list(limit).await.map_err(|error| refused(&error))?;
    let unreadable = administration.rounds_unreadable(limit).await;
    let unreadable = unreadable.map_err(|error| refused(&error))?;
    let ruins = unreadable.iter().map(|id| json!({"round_id": id, "stage": Stage::Damaged}));
    let document: Vec<Value> = rounds.iter().map(|row| json!(row)).chain(ruins).collect();
    printer.result(&document, |_| {
        if document.is_empty() {
            return "no rounds".to_owned();
        }
        let damaged = stage(Stage::Damaged).to_owned();
        let empty = String::new;
        let ruins =
            unreadable.iter().map(|id| [id.clone(), empty(), empty(), damaged.clone(), empty()]);
        let rows = rounds.iter().map(|row: &RoundRow| {
            [
                row.round_id.to_string(),
                row.experiment_id.to_string(),
                row.round.to_string(),
                stage(row.stage).to_owned(),
                row.code.map(|code| code.to_string()).unwrap_or_default(),
            ]
        });
        table(["id", "experiment", "round", "stage", "code"], rows.chain(ruins).collect())
    });
    Ok(())
}

/// How far a round is, in words.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Queued => "queued",
        Stage::Running => "running",
        Stage::Exported => "update written",
        Stage::Replied => "reply not delivered",
        Stage::Delivered => "delivered",
        Stage::Closed => "came too late",
        Stage::Damaged => "damaged",
    }
}
