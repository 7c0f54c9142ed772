//! Which policy is in effect: read from the folder, compared with the one before, and recorded.

use std::sync::{Arc, PoisonError};

use protocol::Digest;
use store::Database;

use crate::audit::{Action, Actor, Entry};
use crate::config::Config;
use crate::folder::Folder;
use crate::node::Error;
use crate::policy::{self, Policy};
use crate::registry;
use crate::round_log::chain;
use crate::site::Site;

/// Reads a folder's policy. One that was in effect and is not there any more is an error: without it, more would be
/// allowed than its owner has said.
pub(crate) fn load(folder: &Folder, config: &Config, database: &Database) -> Result<Policy, Error> {
    let policy = Policy::load(&folder.policy(), config)?;
    let known: Result<_, registry::Error> = database.read_blocking(registry::policy);
    match (policy.digest(), known?) {
        (None, Some(before)) if before != NONE => {
            Err(policy::Error::Gone { path: folder.policy() }.into())
        }
        _ => Ok(policy),
    }
}

/// Puts another policy into effect, for rounds that start from now on.
pub(crate) fn replace(site: &Site, policy: Policy) {
    *site.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    // Groups may have other members.
    site.reconsider.notify_one();
}

/// The text under which a policy is known.
pub(crate) fn written(digest: Option<Digest>) -> String {
    digest.map_or_else(|| NONE.to_owned(), |digest| digest.to_string())
}

/// Records a policy that is another than when the node ran last.
///
/// A folder that has never had one is not worth a record.
pub(crate) async fn account(site: &Site) {
    let digest = site.policy().digest();
    let known: Result<_, registry::Error> = site.database.read(registry::policy).await;
    let is_known = match known {
        Ok(Some(known)) => known == written(digest),
        Ok(None) => digest.is_none(),
        Err(error) => {
            tracing::error!(error = chain(&error), "the policy before cannot be read");
            false
        }
    };
    if is_known {
        return;
    }
    let entry = Entry::new(site.clock.now(), Actor::of_process(), Action::PolicyChange);
    site.audit.account(entry.policy(digest.as_ref())).await;
    let noted =
        site.database.write(move |transaction| registry::set_policy(transaction, &written(digest)));
    if let Err(error) = noted.await {
        let error: registry::Error = error;
        tracing::error!(error = chain(&error), "the policy in effect cannot be noted");
    }
}

/// What stands for the digest of a file that is not there.
const NONE: &str = "none";
