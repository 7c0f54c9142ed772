//! One round by itself: a request and local files, all phases, the node's own policy, no coordinator.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{ArtifactReference, TrainReply, TrainRequest};
use round::{Event, Round};
use store::{Clock, Durability, FolderLock, SystemClock};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::mpsc;

use crate::carrier::{Way, blocking};
use crate::config::Config;
use crate::declined;
use crate::folder::Folder;
use crate::node::{self, open_site};
use crate::notice::Notice;
use crate::policy_file;
use crate::registry::{self, restores, rounds};
use crate::round_driver::{Message, RoundDriver};
use crate::round_log::chain;
use crate::site::Site;

/// Where the files of a request lie, and where its update goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFiles {
    /// The plan's bundle, as the request names it by digest.
    pub plan: PathBuf,
    /// The global parameters, as the request names them by digest.
    pub parameters: PathBuf,
    /// The folder in which the update is put, under its digest.
    pub output: PathBuf,
}

/// Why a request could not be run; a round that fails is a reply, not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The node's folder cannot be used, or its daemon holds it.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// A file cannot be read.
    #[error("file {} cannot be used: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The journal cannot be written.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The round ended without a reply: our own bug.
    #[error("the round ended without a reply")]
    NoReply,
}

/// Runs one request in the node's folder, with its datasets, its approvals and its policy, and gives the reply.
///
/// A request whose `round_id` is known is not run again: its stored reply is given.
///
/// # Errors
///
/// Where the folder or the files cannot be used. A round that fails is a [`TrainReply`].
pub async fn run_request(
    folder: &Folder,
    config: Config,
    request: TrainRequest,
    files: &LocalFiles,
) -> Result<TrainReply, Error> {
    let _lock = FolderLock::take(folder.root()).map_err(node::Error::from)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let way = Way::Local(files.output.clone());
    let site = open_site(folder, config, clock, way)?;
    let id = request.round_id;
    if let Some(reply) =
        site.database.read(move |transaction| rounds::reply(transaction, id)).await?
    {
        return Ok(reply);
    }
    let is_spent = site.database.read(move |transaction| restores::is_spent(transaction, id));
    if is_spent.await? {
        return Ok(declined::refuse_spent(&site, &request).await);
    }
    let mut pins = Vec::new();
    for (path, reference) in
        [(&files.plan, &request.plan), (&files.parameters, &request.parameters)]
    {
        pins.push(site.carrier.store().pin(&reference.digest));
        ingest(&site, path, reference).await?;
    }
    policy_file::account(&site).await;
    site.adopt_approvals().await?;
    let mut notices = site.notices.subscribe();
    let (driver, sender) = start_or_restore(&site, request).await?;
    let acknowledging = async {
        loop {
            match notices.recv().await {
                Ok(Notice::RoundEnded { .. }) | Err(RecvError::Lagged(_)) => {
                    // The reply is in the journal and goes to whoever called: that is its delivery.
                    drop(sender.send(Message::Told(Event::Acknowledged)).await);
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return,
            }
        }
    };
    tokio::select! {
        () = driver.run() => {}
        () = acknowledging => {}
    }
    let reply = site.database.read(move |transaction| rounds::reply(transaction, id)).await?;
    reply.ok_or(Error::NoReply)
}

/// Accepts the request, or takes it up where an interrupted run left it.
async fn start_or_restore(
    site: &Arc<Site>,
    request: TrainRequest,
) -> Result<(RoundDriver, mpsc::Sender<Message>), Error> {
    let (id, now) = (request.round_id, site.clock.now());
    let records = site.database.read(move |transaction| rounds::records(transaction, id)).await?;
    if !records.is_empty() {
        return RoundDriver::restore(site, records, now).map_err(|_| Error::NoReply);
    }
    let kept = request.clone();
    site.database.write(move |transaction| rounds::accept(transaction, &kept, now)).await?;
    let (round, actions) = Round::start(&request, now);
    Ok(RoundDriver::new(site, request, round, actions, site.slots.place()))
}

/// Takes a file into the store; one that is not what the request names is left out, and the round says so.
async fn ingest(site: &Arc<Site>, path: &Path, reference: &ArtifactReference) -> Result<(), Error> {
    let store = site.carrier.store().clone();
    let (path, reference) = (path.to_owned(), reference.clone());
    blocking(move || {
        let unusable = |message: String| Error::File { path: path.clone(), message };
        let mut file = std::fs::File::open(&path).map_err(|error| unusable(chain(&error)))?;
        store
            .ingest(&mut file, &reference, Durability::Process)
            .map_err(|error| unusable(chain(&error)))
    })
    .await
}
