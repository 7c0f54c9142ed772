//! Scalars on their way to the disk: in batches, each once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use protocol::{ExperimentId, Scalar};
use serde_json::json;
use store::Transaction;
use store::rusqlite::params;
use tokio::sync::{mpsc, oneshot};

use crate::record::{Error, News, write_news};
use crate::shared::{Shared, TakenScalar};

/// What the writer of scalars is given.
#[derive(Debug)]
pub(crate) enum Given {
    Scalar(Box<TakenScalar>),
    /// Whoever asks writes what was taken before.
    Take(oneshot::Sender<Vec<TakenScalar>>),
}

/// The training loss that a scalar tells of.
pub(crate) fn training_loss(scalar: &Scalar) -> Option<f64> {
    let loss = scalar.metrics.iter().find(|(name, _)| name.eq_ignore_ascii_case(LOSS));
    loss.filter(|_| scalar.train).map(|(_, loss)| *loss)
}

/// Takes over what was given before and is not yet written.
pub(crate) async fn take(shared: &Shared) -> Vec<TakenScalar> {
    let (answer, taken) = oneshot::channel();
    if shared.scalars.send(Given::Take(answer)).await.is_err() {
        // A writer that has ended has written what it had.
        return Vec::new();
    }
    taken.await.unwrap_or_default()
}

/// Writes scalars until the shutdown: at most 500 at once, and none waits longer than 100 ms.
pub(crate) async fn write(shared: Arc<Shared>, mut given: mpsc::Receiver<Given>) {
    let shutdown = shared.shutdown.clone();
    loop {
        let first = tokio::select! {
            () = shutdown.cancelled() => break,
            first = given.recv() => first,
        };
        let Some(first) = first else { break };
        let (batch, asked) = gather(&mut given, first).await;
        let left = match asked {
            Some(answer) => answer.send(batch).err(),
            None => Some(batch),
        };
        write_batch(&shared, left.unwrap_or_default()).await;
    }
    given.close();
    let mut rest = Vec::new();
    while let Some(one) = given.recv().await {
        match one {
            Given::Scalar(scalar) => rest.push(*scalar),
            Given::Take(_) => {}
        }
    }
    write_batch(&shared, rest).await;
}

/// Waits a little for more, unless somebody waits for what there is.
async fn gather(
    given: &mut mpsc::Receiver<Given>,
    first: Given,
) -> (Vec<TakenScalar>, Option<oneshot::Sender<Vec<TakenScalar>>>) {
    let mut batch = Vec::new();
    let mut next = Some(first);
    let deadline = tokio::time::Instant::now() + LONGEST_WAIT;
    while let Some(one) = next {
        match one {
            Given::Scalar(scalar) => batch.push(*scalar),
            Given::Take(answer) => return (batch, Some(answer)),
        }
        if batch.len() >= BATCH {
            break;
        }
        next = tokio::time::timeout_at(deadline, given.recv()).await.unwrap_or(None);
    }
    (batch, None)
}

async fn write_batch(shared: &Shared, batch: Vec<TakenScalar>) {
    if batch.is_empty() {
        return;
    }
    let now = shared.clock.now();
    let experiments: BTreeSet<ExperimentId> =
        batch.iter().map(|taken| taken.experiment_id).collect();
    let written = shared
        .database
        .write(move |transaction| -> Result<(), Error> {
            batch.iter().try_for_each(|taken| write_one(transaction, taken, now))
        })
        .await;
    if let Err(error) = written {
        // Scalars may be lost; a round never waits for them.
        tracing::warn!(%error, "scalars cannot be written");
        return;
    }
    for id in experiments {
        shared.feeds.notify(id);
    }
}

/// Writes scalars inside somebody's transaction, or drops them.
///
/// # Errors
///
/// Returns that the disk is full, for then the whole transaction is undone.
pub(crate) fn write_taken(
    transaction: &Transaction<'_>,
    batch: &[TakenScalar],
    now: protocol::Timestamp,
) -> Result<(), Error> {
    let written: Result<(), Error> = transaction.attempt(|transaction| {
        batch.iter().try_for_each(|taken| write_one(transaction, taken, now))
    });
    match written {
        Err(Error::Database(error @ store::database::Error::DiskFull)) => Err(error.into()),
        Err(error) => {
            tracing::warn!(%error, "scalars cannot be written");
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

fn write_one(
    transaction: &Transaction<'_>,
    taken: &TakenScalar,
    now: protocol::Timestamp,
) -> Result<(), Error> {
    let scalar = &taken.scalar;
    let fresh = transaction
        .prepare_cached(
            "INSERT INTO scalars (round_id, attempt, sequence) VALUES (?1, ?2, ?3)
             ON CONFLICT DO NOTHING",
        )?
        .execute(params![
            scalar.round_id.to_string(),
            scalar.attempt,
            i64::try_from(scalar.sequence).unwrap_or(i64::MAX)
        ])?;
    if fresh > 0 {
        write_news(transaction, taken.experiment_id, &news(taken), now)?;
    }
    Ok(())
}

fn news(taken: &TakenScalar) -> News {
    let scalar = &taken.scalar;
    let metrics: serde_json::Map<_, _> =
        scalar.metrics.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    News::new(
        "scalar",
        json!({
            "site": taken.site,
            "round": taken.round,
            "attempt": scalar.attempt,
            "sequence_at_site": scalar.sequence,
            "train": scalar.train,
            "test": scalar.test,
            "test_on_local_updates": scalar.test_on_local_updates,
            "test_on_global_updates": scalar.test_on_global_updates,
            "metric": metrics,
            "epoch": scalar.epoch,
            "iteration": scalar.iteration,
            "total_samples": scalar.total_samples,
            "batch_samples": scalar.batch_samples,
            "num_batches": scalar.num_batches,
            "num_samples_trained": scalar.num_samples_trained,
        }),
    )
}

/// The name under which a training scalar carries the loss.
const LOSS: &str = "loss";
const BATCH: usize = 500;
const LONGEST_WAIT: Duration = Duration::from_millis(100);
