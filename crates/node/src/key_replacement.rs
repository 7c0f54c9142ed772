//! Replacing the node's signing key: the log first, then the grants, then the key's place.
//!
//! The record in the log decides which key is in force. Whatever a crash leaves undone after it is done when the folder
//! is opened the next time, before anything is signed.

use std::sync::{Arc, PoisonError};

use protocol::NodeId;
use serde::{Deserialize, Serialize};
use store::Transaction;

use crate::audit::{
    self, Action, Actor, Entry, Handover, Pending, PublicKey, Replaced, Replacement, Step,
};
use crate::carrier::blocking;
use crate::registry::{self, grants};
use crate::round_log::chain;
use crate::site::Site;

/// A key that took over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyReplacement {
    /// Whose log it signs.
    pub node: NodeId,
    /// The key that signs from now on.
    pub key: String,
    /// The key before it.
    pub before: String,
    /// How that one ended.
    pub end: Handover,
    /// The record that says so.
    pub record: u64,
    /// How many grants are signed with the new key now.
    pub grants: u64,
    /// Of a lost key, how many records the coordinator had signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub countersigned: Option<u64>,
}

/// Why the key is the one that it was, or is not in its place yet.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The log does not take it.
    #[error("the key is not replaced")]
    Audit(#[from] audit::Error),
    /// What an earlier replacement has left cannot be brought to its end.
    #[error("an earlier replacement of the key is not finished")]
    Unfinished(#[source] Box<Self>),
    /// The new key cannot be read back.
    #[error("the new key cannot be used")]
    Key(#[from] audit::key::Error),
    /// The grants cannot be signed anew.
    #[error("the grants are not signed with the new key yet: the node's next start does it")]
    Grants(#[from] registry::Error),
    /// The new key cannot take the old one's place.
    #[error("the new key is not in its place yet: the node's next start brings it there")]
    Place(#[from] std::io::Error),
}

/// Replaces the node's key.
pub(crate) async fn replace(
    site: &Arc<Site>,
    actor: Actor,
    end: Handover,
    pause_at: Option<Step>,
) -> Result<KeyReplacement, Error> {
    let at = Arc::clone(site);
    let replaced = blocking(move || replace_now(&at, actor, end, pause_at)).await;
    // An earlier one may have been finished where this one failed.
    forget_before(site).await?;
    // Whoever has asked for a plan is answered under the grants as they count now.
    site.reconsider.notify_one();
    replaced
}

fn replace_now(
    site: &Site,
    actor: Actor,
    end: Handover,
    pause_at: Option<Step>,
) -> Result<KeyReplacement, Error> {
    let _alone = site.key_work.lock().unwrap_or_else(PoisonError::into_inner);
    finish_earlier(site).map_err(|error| Error::Unfinished(Box::new(error)))?;
    let (action, countersigned) = match end {
        Handover::Rotated => (Action::LogRotate, None),
        Handover::Lost => {
            let receipt = audit::receipt(&site.folder);
            (Action::LogBreak, receipt.map(|receipt| (receipt.head.records, receipt.head.head)))
        }
    };
    let entry = Entry::new(site.clock.now(), actor, action);
    let replacement = Replacement { entry, handover: end, countersigned, pause_at };
    let Replaced { before, key, record } = site.audit.replace_key(replacement)?;
    Step::Recorded.stand_still(pause_at);
    let grants = sign_grants(site, before)?;
    Step::Granted.stand_still(pause_at);
    audit::place(&site.folder)?;
    Ok(KeyReplacement {
        node: site.config.name.clone(),
        key: key.to_string(),
        before: before.to_string(),
        end,
        record,
        grants,
        countersigned: countersigned.map(|(records, _)| records),
    })
}

/// Brings what a crash has left of a replacement to its end; nothing is signed before.
pub(crate) async fn settle(site: &Arc<Site>) {
    let at = Arc::clone(site);
    let finished = blocking(move || {
        let _alone = at.key_work.lock().unwrap_or_else(PoisonError::into_inner);
        finish_earlier(&at)
    });
    let settled = match finished.await {
        Ok(()) => forget_before(site).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    if let Err(error) = settled {
        let error = chain(&error);
        tracing::error!(error, "a replacement of the audit log's key is not finished");
    }
}

fn finish_earlier(site: &Site) -> Result<(), Error> {
    match audit::pending(&site.folder)? {
        Pending::Nothing => Ok(()),
        Pending::Leftover => Ok(audit::discard(&site.folder)?),
        Pending::Unfinished { before } => {
            let grants = sign_grants(site, before)?;
            audit::place(&site.folder)?;
            tracing::info!(grants, "a replacement of the audit log's key is finished");
            Ok(())
        }
    }
}

/// Signs the grants with the key that has come into force; what another key has signed counts no more afterwards.
fn sign_grants(site: &Site, before: PublicKey) -> Result<u64, Error> {
    let key = audit::next_key(&site.folder)?;
    let seal = site.seal.clone();
    let signed = site.database.write_blocking(move |transaction| {
        let signed = grants::sign_anew(transaction, &seal, &[before], &key)?;
        // Within the transaction: the next one that writes a grant signs it with this key.
        seal.replace(key, before);
        Ok::<_, registry::Error>(signed)
    });
    if signed.is_err() {
        site.seal.forget();
    }
    Ok(signed?)
}

/// Ceases to believe the key before, once nobody reads any more what was there before the grants were signed anew.
async fn forget_before(site: &Site) -> Result<(), registry::Error> {
    let before = site.seal.before();
    // Reads come one after another on each of the two ways, so that what began earlier has ended when these have.
    let nothing = |_: &Transaction<'_>| Ok::<_, registry::Error>(());
    site.database.read(nothing).await?;
    site.database.read_blocking(nothing)?;
    site.seal.forget_before(before);
    Ok(())
}
