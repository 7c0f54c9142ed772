//! What all parts of a running coordinator share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use protocol::{Code, ExperimentId, Scalar, Timestamp};
use store::{ArtifactStore, Clock, Database};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::board::Board;
use crate::config::Config;
use crate::message::Message;
use crate::registry::Registry;
use crate::scalars::Given;

/// The parts that services, director and shelf have in common.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) started_at: Timestamp,
    pub(crate) database: Database,
    pub(crate) artifacts: ArtifactStore,
    /// Read while it is noted who has brought a file, written while a file that nobody wants is deleted.
    pub(crate) possession: RwLock<()>,
    pub(crate) board: Board,
    pub(crate) registry: Registry,
    pub(crate) feeds: Feeds,
    pub(crate) mailbox: mpsc::Sender<Message>,
    pub(crate) scalars: mpsc::Sender<Given>,
    pub(crate) shutdown: CancellationToken,
}

/// A scalar of an open execution.
#[derive(Debug)]
pub(crate) struct TakenScalar {
    pub(crate) experiment_id: ExperimentId,
    pub(crate) site: round::experiment::Site,
    pub(crate) round: u32,
    pub(crate) scalar: Scalar,
}

impl Shared {
    /// Hands a message to the director; waits while it is busy, and gives up when it has ended.
    pub(crate) async fn tell(&self, message: Message) -> Result<(), Code> {
        self.mailbox.send(message).await.map_err(|_| Code::CoordinatorBusy)
    }

    /// Hands a message to the director and waits for its answer.
    pub(crate) async fn ask(
        &self,
        message: Message,
        answer: oneshot::Receiver<Result<(), Code>>,
    ) -> Result<(), Code> {
        self.tell(message).await?;
        answer.await.unwrap_or(Err(Code::CoordinatorBusy))
    }
}

/// Wakes whoever watches an experiment when there is something new to read.
#[derive(Debug, Default)]
pub(crate) struct Feeds {
    feeds: Mutex<BTreeMap<ExperimentId, watch::Sender<()>>>,
}

impl Feeds {
    pub(crate) fn subscribe(&self, id: ExperimentId) -> watch::Receiver<()> {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        // Feeds of experiments that have ended, which nobody watches any more.
        feeds.retain(|_, feed| feed.receiver_count() > 0);
        feeds.entry(id).or_default().subscribe()
    }

    pub(crate) fn notify(&self, id: ExperimentId) {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        if feeds.get(&id).is_some_and(|feed| feed.send(()).is_err()) {
            // The last one to watch has gone.
            feeds.remove(&id);
        }
    }
}
