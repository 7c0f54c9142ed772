//! Which files stay: plans always, the last models and the best, updates until their round is checkpointed.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use protocol::{ArtifactReference, Digest, Timestamp};
use store::Transaction;
use store::artifact::Error as ArtifactError;
use store::rusqlite::params;

use crate::history;
use crate::possession;
use crate::record::{Error, column, read, read_json};
use crate::shared::Shared;
use crate::submission::Submission;

/// Marks what an experiment no longer keeps after a round and returns its digests; nothing is deleted yet.
///
/// Call it after the round is closed: its updates are then in a model that is on the disk.
pub(crate) fn release(
    transaction: &Transaction<'_>,
    submission: &Submission,
    round: u32,
) -> Result<Vec<Digest>, Error> {
    let mut released = Vec::new();
    if !submission.keep_updates {
        released.extend(release_updates(transaction, submission, round)?);
    }
    if !submission.keep_models {
        released.extend(release_models(transaction, submission)?);
    }
    Ok(released)
}

/// Deletes files that no row wants any more; a file that cannot be deleted now is found by the next sweep.
pub(crate) async fn delete(shared: &Arc<Shared>, digests: Vec<Digest>) {
    for digest in digests {
        let shared = Arc::clone(shared);
        let deleting = tokio::task::spawn_blocking(move || delete_one(&shared, digest));
        // It cannot panic, and nobody cancels it.
        drop(deleting.await);
    }
}

fn delete_one(shared: &Shared, digest: Digest) {
    // Nobody notes between the look and the deletion that he has brought the file again.
    let _turn = shared.possession.write().unwrap_or_else(PoisonError::into_inner);
    match shared.database.read_blocking(move |transaction| is_wanted(transaction, &digest)) {
        Ok(true) => {}
        Ok(false) => match shared.artifacts.delete(&digest) {
            // Somebody is bringing it just now; if he does not note it, the sweep finds it.
            Ok(()) | Err(ArtifactError::Pinned { .. }) => {}
            Err(error) => tracing::warn!(%digest, %error, "a file is not deleted"),
        },
        Err(error) => {
            tracing::warn!(%digest, %error, "it cannot be found out whether a file is wanted");
        }
    }
}

/// The files that no row wanted when they were last looked at, with when that was first so.
///
/// A file may be on the disk a moment before a row names it: an aggregate before its checkpoint, an upload before its
/// reply. So a file goes only when nobody has wanted it for a day.
#[derive(Debug, Default)]
pub(crate) struct Orphans {
    since: BTreeMap<Digest, Timestamp>,
}

impl Orphans {
    /// Looks at every file, deletes what has been an orphan for a day, and drops uploads that nobody continues.
    pub(crate) async fn sweep(&mut self, shared: &Arc<Shared>) -> Result<(), Error> {
        let now = shared.clock.now();
        forget_uploads(shared, now).await?;
        let mut unwanted = Vec::new();
        for digest in list(shared).await {
            let read = move |transaction: &Transaction<'_>| is_wanted(transaction, &digest);
            if !shared.database.read(read).await? {
                unwanted.push(digest);
            }
        }
        self.since.retain(|digest, _| unwanted.contains(digest));
        for digest in unwanted {
            self.since.entry(digest).or_insert(now);
        }
        let old = self.since.iter().filter(|(_, since)| since.until(now) >= ORPHAN_LIFETIME);
        delete(shared, old.map(|(digest, _)| *digest).collect()).await;
        Ok(())
    }
}

async fn forget_uploads(shared: &Shared, now: Timestamp) -> Result<(), Error> {
    let lifetime = u64::try_from(ORPHAN_LIFETIME.as_millis()).unwrap_or(u64::MAX);
    let oldest = Timestamp::from_milliseconds(now.milliseconds().saturating_sub(lifetime));
    shared
        .database
        .write(move |transaction| -> Result<(), Error> {
            possession::forget(transaction, column(oldest))
        })
        .await
}

async fn list(shared: &Shared) -> Vec<Digest> {
    let artifacts = shared.artifacts.clone();
    let listed = tokio::task::spawn_blocking(move || {
        if let Err(error) = artifacts.expire_partials() {
            tracing::warn!(%error, "abandoned uploads cannot be dropped");
        }
        artifacts.list().into_iter().map(|reference| reference.digest).collect()
    });
    listed.await.unwrap_or_default()
}

/// Whether an error means that the disk is full.
pub(crate) fn is_full(error: &ArtifactError) -> bool {
    matches!(error, ArtifactError::DiskFull { .. } | ArtifactError::NoRoom { .. })
}

/// Releases the updates of one round: those of earlier ones were released when they were closed.
fn release_updates(
    transaction: &Transaction<'_>,
    submission: &Submission,
    round: u32,
) -> Result<Vec<Digest>, Error> {
    let id = submission.experiment_id.to_string();
    let mut select = transaction.prepare_cached(
        "UPDATE replies SET update_kept = 0
         WHERE experiment_id = ?1 AND round = ?2 AND update_kept AND EXISTS
         (SELECT 1 FROM rounds WHERE experiment_id = ?1 AND round = ?2 AND ended_at IS NOT NULL)
         RETURNING update_digest",
    )?;
    let texts = select.query_map(params![id, round], |row| row.get::<_, String>(0))?;
    let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
    texts.iter().map(|text| read("replies", text)).collect()
}

fn release_models(
    transaction: &Transaction<'_>,
    submission: &Submission,
) -> Result<Vec<Digest>, Error> {
    let id = submission.experiment_id.to_string();
    let mut select = transaction.prepare_cached(
        "SELECT round, model FROM rounds WHERE experiment_id = ?1 AND model_kept ORDER BY round",
    )?;
    let rows =
        select.query_map([&id], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, String>(1)?)))?;
    let kept: Vec<(u32, String)> = rows.collect::<Result<_, _>>()?;
    let recent = kept.len().saturating_sub(LAST_MODELS);
    let best = history::best_round(transaction, submission)?;
    let mut released = Vec::new();
    for (round, model) in kept.iter().take(recent).filter(|(round, _)| Some(*round) != best) {
        transaction.execute(
            "UPDATE rounds SET model_kept = 0 WHERE experiment_id = ?1 AND round = ?2",
            params![id, round],
        )?;
        released.push(read_json::<ArtifactReference>("rounds", model)?.digest);
    }
    Ok(released)
}

pub(crate) fn is_wanted(transaction: &Transaction<'_>, digest: &Digest) -> Result<bool, Error> {
    let wanted = transaction
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM rounds WHERE model_digest = ?1 AND model_kept)
             OR EXISTS (SELECT 1 FROM replies WHERE update_digest = ?1 AND update_kept)
             OR EXISTS (SELECT 1 FROM brought WHERE digest = ?1)
             OR EXISTS (SELECT 1 FROM experiments WHERE plan_digest = ?1)
             OR EXISTS (SELECT 1 FROM approval_requests WHERE plan_digest = ?1)",
        )?
        .query_row([digest.to_string()], |row| row.get(0))?;
    Ok(wanted)
}

/// The newest models stay, so that a reader who is a little late still finds its file.
const LAST_MODELS: usize = 3;

/// How long a file that no row names is kept.
const ORPHAN_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);
