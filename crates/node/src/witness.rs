//! Having the head of the audit log signed by the coordinator, so that an end that was cut off shows.

use std::sync::Arc;
use std::time::Duration;

use identity::{Credentials, Receipt};
use protocol::Digest;
use protocol::wire::v1;
use store::{Durability, write_whole};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use transport::{Identity, dial};
use v1::witness_service_client::WitnessServiceClient;

use crate::audit::Head;
use crate::outbox::Line;
use crate::round_log::chain;
use crate::site::Site;

/// Why a head is not signed.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Dial(#[from] dial::Error),
    #[error("the coordinator does not sign it")]
    Refused(#[from] tonic::Status),
    #[error("the coordinator takes too long")]
    Late,
    #[error(transparent)]
    Receipt(#[from] identity::receipt::Error),
    #[error("the coordinator has signed something else")]
    Other,
    #[error("the receipt cannot be kept")]
    Unwritable(#[from] std::io::Error),
}

/// Has the head signed whenever it has moved and a line stands, at most once in [`PAUSE`], until the shutdown.
pub(crate) async fn run(site: Arc<Site>, identity: Identity, shutdown: CancellationToken) {
    let Identity::Credentials(credentials) = identity else { return };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = witness(&site, &credentials) => {}
    }
}

async fn witness(site: &Site, credentials: &Arc<Credentials>) {
    let mut heads = site.audit.head();
    let mut lines = site.outbox.line();
    loop {
        // Neither sender ends before the node does.
        if heads.changed().await.is_err() || connected(&mut lines).await.is_err() {
            return;
        }
        // What follows soon shares the receipt.
        site.clock.wait_until(site.clock.now().after(GATHERING)).await;
        let Some(head) = *heads.borrow_and_update() else { continue };
        if let Err(error) = countersign(site, credentials, head).await {
            tracing::warn!(error = chain(&error), "the audit log is not countersigned");
            heads.mark_changed();
        }
        site.clock.wait_until(site.clock.now().after(PAUSE)).await;
    }
}

async fn connected(
    lines: &mut tokio::sync::watch::Receiver<Line>,
) -> Result<(), tokio::sync::watch::error::RecvError> {
    lines.wait_for(|line| matches!(line, Line::Up(_))).await.map(drop)
}

/// Has one head signed and keeps the receipt.
async fn countersign(
    site: &Site,
    credentials: &Arc<Credentials>,
    Head { records, hash: head, key }: Head,
) -> Result<(), Error> {
    // The key that was in force then: it may be replaced at any time.
    let log_key = key.to_string();
    let asking = async {
        let settings = dial::Settings::default();
        let line = dial(&site.config.coordinator, Arc::clone(credentials), settings).await?;
        let request =
            v1::CountersignRequest { log_key: log_key.clone(), records, head: head.to_string() };
        Ok::<_, Error>(WitnessServiceClient::new(line).countersign(request).await?.into_inner())
    };
    let answer = timeout(PATIENCE, asking).await.map_err(|_| Error::Late)??;
    let receipt: Receipt = answer.receipt.parse()?;
    let is_asked_for = receipt.head.records == records
        && receipt.head.head == head
        && receipt.head.node == site.config.name
        && receipt.head.log_key.to_string() == log_key;
    if !is_asked_for || authority_of(&receipt) != credentials.authority() {
        return Err(Error::Other);
    }
    let text = receipt.to_string();
    Ok(write_whole(&site.folder.audit_receipt(), text.as_bytes(), Durability::PowerLoss)?)
}

fn authority_of(receipt: &Receipt) -> Digest {
    receipt.authority.digest()
}

/// Records that come within this time of one another share a receipt.
const GATHERING: Duration = Duration::from_secs(1);
/// Between two receipts.
const PAUSE: Duration = Duration::from_secs(30);
/// How long the coordinator may take.
const PATIENCE: Duration = Duration::from_secs(15);
