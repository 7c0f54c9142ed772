//! The owner's command to sign with another key.

use super::{Office, refused};
use crate::administration::Error;
use crate::audit::{self, Actor, Handover, Step};
use crate::key_replacement::{self, KeyReplacement};

impl Office {
    pub(super) async fn replace_key(
        &self,
        actor: &Actor,
        end: Handover,
        pause_at: Option<Step>,
    ) -> Result<KeyReplacement, Error> {
        let replaced = key_replacement::replace(&self.site, actor.clone(), end, pause_at).await;
        replaced.map_err(|error| refused(&error, hint(&error)))
    }
}

fn hint(error: &key_replacement::Error) -> Option<&'static str> {
    match error {
        key_replacement::Error::Audit(error) => Some(match error {
            audit::Error::KeyMissing { .. }
            | audit::Error::KeyOther { .. }
            | audit::Error::Key(_) => LOST_HINT,
            audit::Error::KeyThere { .. } | audit::Error::KeyInMemory => NOT_LOST_HINT,
            audit::Error::NoLog => NO_LOG_HINT,
            audit::Error::Damaged(_) => DAMAGE_HINT,
            audit::Error::Unwritable(_) | audit::Error::Locked | audit::Error::Closed => DISK_HINT,
        }),
        key_replacement::Error::Unfinished(_)
        | key_replacement::Error::Key(_)
        | key_replacement::Error::Grants(_)
        | key_replacement::Error::Place(_) => Some(DISK_HINT),
    }
}

const LOST_HINT: &str = "bring the key back from a backup, for this user only (mode 600); where it is lost for good, \
                         `wardround node audit rotate-key --lost` goes on without it";
const NOT_LOST_HINT: &str = "`wardround node audit rotate-key` without --lost replaces it";
const NO_LOG_HINT: &str = "the first act that is recorded begins one, with a key of its own";
const DAMAGE_HINT: &str = "`wardround node audit verify` tells what is damaged; \
                           docs/errors/audit.unavailable.md says how a node goes on";
const DISK_HINT: &str = "`wardround node doctor` looks at the folder and its disk";
