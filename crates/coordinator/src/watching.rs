//! Following an experiment: what has happened, then what happens, until it has ended.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::Stream;
use protocol::ExperimentId;
use protocol::wire::v1;
use store::Transaction;
use store::rusqlite::params;
use tokio::sync::watch;
use tonic::Status;

use crate::door::internal;
use crate::record::Error;
use crate::shared::Shared;

/// The events of an experiment after a sequence; it ends after the experiment's last.
///
/// Everything is read from the database, so that a watcher that is slow or comes late misses nothing, and memory is
/// one page however much there is to read.
pub(crate) fn stream(
    shared: Arc<Shared>,
    id: ExperimentId,
    after: u64,
) -> impl Stream<Item = Result<v1::ExperimentEvent, Status>> + Send {
    let news = shared.feeds.subscribe(id);
    let watcher = Watcher { shared, id, after, news, page: VecDeque::new(), ended: false };
    futures::stream::unfold(watcher, |mut watcher| async move {
        let next = watcher.next().await?;
        Some((next, watcher))
    })
}

struct Watcher {
    shared: Arc<Shared>,
    id: ExperimentId,
    after: u64,
    news: watch::Receiver<()>,
    page: VecDeque<v1::ExperimentEvent>,
    ended: bool,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<v1::ExperimentEvent, Status>> {
        loop {
            if let Some(event) = self.page.pop_front() {
                self.after = event.sequence;
                return Some(Ok(event));
            }
            if self.ended {
                return None;
            }
            // Whatever comes while the page is read is noticed by the next wait.
            self.news.borrow_and_update();
            if let Err(status) = self.turn().await {
                self.ended = true;
                return Some(Err(status));
            }
            if self.page.is_empty() && !self.ended && !self.wait().await {
                return None;
            }
        }
    }

    /// Reads the next page.
    async fn turn(&mut self) -> Result<(), Status> {
        let (id, after) = (self.id, self.after);
        let read = self.shared.database.read(move |transaction| page(transaction, id, after)).await;
        let (events, ended) = read.map_err(|error| internal(&error))?;
        self.ended = ended && events.len() < PAGE;
        self.page = events.into();
        Ok(())
    }

    /// Waits for something new; says whether the coordinator still works.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            () = self.shared.shutdown.cancelled() => false,
            changed = self.news.changed() => changed.is_ok(),
        }
    }
}

fn page(
    transaction: &Transaction<'_>,
    id: ExperimentId,
    after: u64,
) -> Result<(Vec<v1::ExperimentEvent>, bool), Error> {
    let id = id.to_string();
    let state: String = transaction
        .prepare_cached("SELECT state FROM experiments WHERE experiment_id = ?1")?
        .query_row([&id], |row| row.get(0))?;
    let mut select = transaction.prepare_cached(
        "SELECT sequence, at, name, fields FROM events
         WHERE experiment_id = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
    )?;
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let rows =
        select.query_map(params![id, after, i64::try_from(PAGE).unwrap_or(i64::MAX)], |row| {
            let (sequence, at): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(v1::ExperimentEvent {
                sequence: u64::try_from(sequence).unwrap_or(0),
                at: u64::try_from(at).unwrap_or(0),
                name: row.get(2)?,
                fields_json: row.get(3)?,
            })
        })?;
    let ended = matches!(state.as_str(), "completed" | "cancelled" | "failed");
    Ok((rows.collect::<Result<_, _>>()?, ended))
}

/// Events read at once.
const PAGE: usize = 256;
