//! `wardround node release …`

use clap::Subcommand;
use node::administration::HeldUpdate;
use node::registry::releases::Decision;
use node::registry::rounds::RoundRow;
use protocol::RoundId;

use crate::commands::Folder;
use crate::commands::connection::wait;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::{Printer, table};

/// What a data manager can do about updates that the policy holds.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the updates that wait for a decision.
    List(Folder),
    /// Show one: what made it, from how many rows, and where its file is.
    Show(One),
    /// Let an update leave.
    Approve(Verdict),
    /// Keep an update; its round ends with `egress.denied`.
    Reject(Verdict),
}

/// One round.
#[derive(Debug, clap::Args)]
pub(crate) struct One {
    /// The round's identifier.
    #[arg(value_name = "ID")]
    id: RoundId,
    #[command(flatten)]
    folder: Folder,
}

/// One round, and why it is decided so.
#[derive(Debug, clap::Args)]
pub(crate) struct Verdict {
    #[command(flatten)]
    one: One,
    /// Why; it stays with the decision and is shown to nobody else.
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
}

pub(super) fn run(command: Command, printer: Printer) -> Result<(), Failure> {
    match command {
        Command::List(folder) => wait(list(folder, printer)),
        Command::Show(one) => wait(show(one, printer)),
        Command::Approve(verdict) => wait(decide(verdict, Decision::Approved, printer)),
        Command::Reject(verdict) => wait(decide(verdict, Decision::Rejected, printer)),
    }
}

async fn list(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = administration(folder).await?;
    let waiting = administration.release_list().await.map_err(|error| refused(&error))?;
    printer.result(&waiting, |waiting| {
        if waiting.is_empty() {
            return "no update waits".to_owned();
        }
        let rows = waiting.iter().map(|row: &RoundRow| {
            let held = row.held.as_ref();
            [
                row.round_id.to_string(),
                row.experiment_id.to_string(),
                row.round.to_string(),
                row.researcher_id.to_string(),
                held.map(|held| held.update.size.to_string()).unwrap_or_default(),
            ]
        });
        table(["id", "experiment", "round", "asked by", "bytes"], rows.collect())
    });
    Ok(())
}

async fn show(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let shown = administration.release_show(one.id).await.map_err(|error| refused(&error))?;
    printer.result(&shown, people);
    Ok(())
}

fn people(shown: &HeldUpdate) -> String {
    let row = &shown.row;
    let mut text = format!(
        "{}\n  experiment  {}\n  round       {}\n  asked by    {}\n  plan        {}\n  samples     {}\n",
        row.round_id,
        row.experiment_id,
        row.round,
        row.researcher_id,
        shown.plan,
        shown.sample_count,
    );
    if let Some(held) = &row.held {
        let word = word(held.decision);
        text.push_str(&format!(
            "  update      {} ({} bytes)\n",
            held.update.digest, held.update.size
        ));
        text.push_str(&format!("  decision    {word}\n"));
    }
    if let Some(norm) = shown.norm {
        text.push_str(&format!("  changes     the model by a norm of {norm:.6}\n"));
    }
    if let Some(file) = &shown.file {
        text.push_str(&format!("  file        {}\n", file.display()));
    }
    for (name, shape) in &shown.tensors {
        text.push_str(&format!("  tensor      {name} {shape:?}\n"));
    }
    text
}

async fn decide(verdict: Verdict, decision: Decision, printer: Printer) -> Result<(), Failure> {
    let administration = administration(verdict.one.folder).await?;
    let decided = administration.release_decide(verdict.one.id, decision, &verdict.note).await;
    let row = decided.map_err(|error| refused(&error))?;
    printer
        .result(&row, |row| format!("the update of round {} is {}", row.round_id, word(decision)));
    Ok(())
}

const fn word(decision: Decision) -> &'static str {
    match decision {
        Decision::Pending => "waiting",
        Decision::Approved => "approved",
        Decision::Rejected => "rejected",
    }
}
