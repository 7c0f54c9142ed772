//! `wardround node restore FILE`.

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use node::backup::{AuditLog, Restored, RestoredPolicy};
use protocol::Timestamp;

use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::Printer;

/// What is restored.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A file that `wardround node backup` made.
    file: PathBuf,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let folder = super::folder(arguments.folder)?;
    let restored = node::backup::restore(&folder, &arguments.file).await;
    let restored = restored.map_err(|error| {
        let failure = Failure::from_error(&error);
        match error {
            node::backup::RestoreError::Lock(_) => failure.hint("stop the node first"),
            node::backup::RestoreError::OtherNode { .. } => {
                failure.hint("name another folder with --dir")
            }
            _ => failure,
        }
    })?;
    let place = folder.root().display().to_string();
    printer.result(&restored, |restored| people(restored, &place));
    Ok(())
}

fn people(restored: &Restored, place: &str) -> String {
    let Restored { node, backup_at, refused_until, epoch, audit_log, .. } = restored;
    let log = match audit_log {
        AuditLog::Kept => {
            format!("lay here and goes on; {} rounds had started since", restored.rounds_since)
        }
        AuditLog::OfBackup => "is the backup's: what was recorded since is missing".to_owned(),
    };
    let mut text = format!(
        "node {node} is restored in {place}: restore {epoch} of it\n  backup     of {}\n  audit log  {log}\n  requests   that were made until {} are refused\n  rounds     {} that were under way have ended",
        instant(*backup_at),
        instant(*refused_until),
        restored.rounds_ended,
    );
    let since = instant(*backup_at);
    text.push_str(&match audit_log {
        AuditLog::Kept => format!(
            "\n  paused     {} changes and decisions since the backup are not in it: see \
             `wardround node audit list --since {since}`, make them again, then `wardround node resume`",
            restored.changes_since
        ),
        AuditLog::OfBackup => format!(
            "\n  paused     decide and exclude again what was decided and excluded since {since}, then \
             `wardround node resume`"
        ),
    });
    text.push_str(&match (audit_log, restored.grants_closed) {
        (_, 0) => String::new(),
        (AuditLog::Kept, closed) => {
            format!("\n  grants     {closed} that were withdrawn since are withdrawn here, too")
        }
        (AuditLog::OfBackup, closed) => {
            format!("\n  grants     {closed} are withdrawn: approve again what still may run")
        }
    });
    for name in &restored.datasets_closed {
        text.push_str(&format!(
            "\n  closed     dataset {name}, until you say again who withdrew: \
             `wardround node dataset exclude {name} --file FILE`, an empty one where nobody has"
        ));
    }
    text.push_str(match restored.policy {
        RestoredPolicy::OfBackup => "",
        RestoredPolicy::Kept => "\n  policy     lay here, was in effect last, and stays",
        RestoredPolicy::Closed => {
            "\n  policy     another was in effect since the backup, and its file is gone: until you \
             write policy.toml again, nobody may ask for anything"
        }
    });
    if let Some(aside) = &restored.replaced {
        text.push_str(&format!("\n  replaced   files are in {}", aside.display()));
    }
    text
}

fn instant(at: Timestamp) -> String {
    let at = UNIX_EPOCH + Duration::from_millis(at.milliseconds());
    humantime::format_rfc3339_millis(at).to_string()
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
What lies in the folder moves aside, but for an audit log that goes on after the backup's: it stays,
and tells which rounds ran since. No round runs a second time: the node refuses requests that were
made before the restore. Where the log is lost, too, what is counted by day counts as used up for a
day, and grants of so many rounds are used up. The node is paused: what you decided since the backup
is not in it.";
