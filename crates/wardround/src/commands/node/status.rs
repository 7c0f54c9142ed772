//! `wardround node status`.

use std::time::{Duration, UNIX_EPOCH};

use node::SandboxStatus;
use node::administration::Status;
use node::retention::{Kept, KeptKind};

use crate::commands::Folder;
use crate::commands::node::dataset::size;
use crate::failure::Failure;
use crate::printer::Printer;

pub(super) async fn run(folder: Folder, printer: Printer) -> Result<(), Failure> {
    let administration = super::administration(folder).await?;
    let status = administration.status().await.map_err(|error| super::refused(&error))?;
    printer.result(&status, |status| people(status) + &kept(&status.kept));
    Ok(())
}

/// What goes by itself, for people; what there is none of is left out.
fn kept(kept: &[Kept]) -> String {
    let there: Vec<&Kept> = kept.iter().filter(|kept| kept.count > 0).collect();
    if there.is_empty() {
        return String::new();
    }
    let line = |kept: &&Kept| {
        let until = match kept.until_at {
            Some(at) => {
                let at = UNIX_EPOCH + Duration::from_millis(at.milliseconds());
                let at = humantime::format_rfc3339_seconds(at);
                format!("each {} days, the oldest goes {at}", kept.days.unwrap_or_default())
            }
            None if kept.what == KeptKind::PlanStates => "with the rounds of its experiment".into(),
            None => "for ever".to_owned(),
        };
        format!("\n    {:<11}{}, {}, {until}", kept.what.in_words(), kept.count, size(kept.bytes))
    };
    format!("\n  kept{}", there.iter().map(line).collect::<String>())
}

/// A node's state for people.
pub(super) fn people(status: &Status) -> String {
    let line = match (status.is_running, status.is_connected) {
        (false, _) => "is not running",
        (true, false) => "runs and dials",
        (true, true) => "runs and is connected",
    };
    let paused = if status.is_paused { "\n  paused: new rounds are declined" } else { "" };
    let sandbox = status.sandbox.as_ref().map_or_else(String::new, sandbox);
    let audit = status.audit_trouble.as_ref().map_or_else(String::new, |trouble| {
        format!("\n  audit log    ROUNDS ARE REFUSED: {trouble}")
    });
    let certificate = status.certificate.as_ref().map_or_else(String::new, |certificate| {
        let (words, until) = (&certificate.fingerprint, certificate.expires_at);
        format!("\n  fingerprint  {words}\n  certificate  until {until}")
    });
    format!(
        "node {} {line}{paused}\n  coordinator  {}{certificate}\n  datasets     {}\n  plans        {} waiting for a decision\n  rounds       {} running, {} queued, {} not delivered{sandbox}{audit}",
        status.name,
        status.coordinator,
        status.datasets,
        status.plans_pending,
        status.rounds_running,
        status.rounds_queued,
        status.rounds_open,
    )
}

fn sandbox(found: &SandboxStatus) -> String {
    let SandboxStatus { level, bounds, missing, not_held } = found;
    let mut text = format!("\n  sandbox      level {level}, limits by {bounds}");
    for what in missing {
        text.push_str(&format!("\n    is missing {what}"));
    }
    for what in not_held {
        text.push_str(&format!("\n    NOT HELD   {what}"));
    }
    text
}
