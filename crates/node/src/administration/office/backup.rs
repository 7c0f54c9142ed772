//! The owner's command to back the node up.

use super::Office;
use crate::administration::Error;
use crate::administration::answer::MadeBackup;
use crate::audit::{Action, Actor, Entry};
use crate::backup;
use crate::carrier::blocking;

use super::refused;

impl Office {
    /// Makes a backup in the node's own scratch folder, and records it before anybody is told where it is.
    pub(super) async fn backup(&self, actor: &Actor) -> Result<MadeBackup, Error> {
        let file = self.site.folder.scratch().join(format!("backup-{}", uuid::Uuid::now_v7()));
        let (site, to) = (std::sync::Arc::clone(&self.site), file.clone());
        let made = blocking(move || backup::create(&site, &to)).await;
        let backup = made.map_err(|error| refused(&error, Some(HINT)))?;
        let entry = Entry::new(self.site.clock.now(), actor.clone(), Action::NodeBackup);
        let contents = &backup.contents;
        let entry = entry.backup(&backup.digest, contents.made_at, contents.epoch);
        if let Err(error) = self.site.audit.permit(entry).await {
            drop(std::fs::remove_file(&file));
            return Err(refused(&*error, Some(AUDIT_HINT)));
        }
        Ok(MadeBackup { file, backup })
    }
}

const HINT: &str = "`wardround node doctor` looks at the folder, its disk and its database";
const AUDIT_HINT: &str =
    "no backup was made, for it cannot be recorded: free disk space or repair the folder audit/";
