//! `wardround coordinator nodes|researchers list|revoke`.

use std::time::{Duration, UNIX_EPOCH};

use clap::Subcommand;
use coordinator::administration::{Answer, MemberRow, Request};
use identity::{Member, Role};

use super::administer;
use crate::commands::Folder;
use crate::failure::Failure;
use crate::home;
use crate::printer::{Printer, table};

/// What can be done with those who have joined.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// List those who have joined, with what to compare by telephone.
    List(Folder),
    /// Put one out: its connections end at once, and nothing of it is answered any more.
    Revoke(Revocation),
}

/// Who is put out.
#[derive(Debug, clap::Args)]
pub(crate) struct Revocation {
    /// The name.
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    folder: Folder,
}

/// What is asked about researchers.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Researchers {
    #[command(flatten)]
    folder: Folder,
    #[command(subcommand)]
    action: Option<Action>,
}

pub(super) async fn researchers(researchers: Researchers, printer: Printer) -> Result<(), Failure> {
    let action = researchers.action.unwrap_or(Action::List(researchers.folder));
    run(Role::Researcher, action, printer).await
}

pub(super) async fn run(role: Role, action: Action, printer: Printer) -> Result<(), Failure> {
    match action {
        Action::List(folder) => list(role, folder, printer).await,
        Action::Revoke(revocation) => revoke(role, revocation, printer).await,
    }
}

async fn list(role: Role, folder: Folder, printer: Printer) -> Result<(), Failure> {
    let folder = home::folder(folder.dir, home::Role::Coordinator)?;
    let answer = administer(&folder, &Request::Members { role: role.to_string() }).await?;
    let Answer::Members { members, .. } = &answer else {
        return Err(Failure::failed("the coordinator gives another answer"));
    };
    printer.result(&answer_of(&answer), |_| {
        if members.is_empty() {
            return format!("no {role} has joined yet");
        }
        let rows = members.iter().map(|row| {
            [row.name.clone(), state(row), instant(row.enrolled_at), row.fingerprint.clone()]
        });
        table([&role.to_string(), "state", "joined", "fingerprint"], rows.collect())
    });
    Ok(())
}

async fn revoke(role: Role, revocation: Revocation, printer: Printer) -> Result<(), Failure> {
    let Revocation { name, folder } = revocation;
    let folder = home::folder(folder.dir, home::Role::Coordinator)?;
    let member = Member::new(role, &name).map_err(Failure::usage)?.to_string();
    let answer = administer(&folder, &Request::Revoke { member }).await?;
    printer.result(&answer_of(&answer), |_| {
        let closed = match &answer {
            Answer::Revoked { closed, .. } => *closed,
            _ => 0,
        };
        format!("{role} {name} is put out; {closed} open connections were closed")
    });
    Ok(())
}

/// The answer without its name, which the command has said.
pub(super) fn answer_of(answer: &Answer) -> serde_json::Value {
    let value = serde_json::to_value(answer).unwrap_or_default();
    match value {
        serde_json::Value::Object(named) => named.into_iter().next().map(|(_, value)| value),
        other => Some(other),
    }
    .unwrap_or_default()
}

fn state(row: &MemberRow) -> String {
    match row.revoked_at {
        Some(at) => format!("put out {}", instant(at)),
        None => format!("certificate until {}", instant(row.certificate_expires_at)),
    }
}

/// An instant to the second, in UTC.
pub(super) fn instant(milliseconds: u64) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(milliseconds);
    humantime::format_rfc3339_seconds(at).to_string()
}
