//! Who the node is to its coordinator, and staying that: certificates renew themselves before they expire.

use std::sync::Arc;
use std::time::Duration;

use identity::{Credentials, Member, Time, credentials};
use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Clock, SystemClock};
use tokio_util::sync::CancellationToken;
use transport::{Identity, dial, enrolment};

use crate::audit::{Action, Actor, Entry};
use crate::config::Config;
use crate::folder::Folder;
use crate::round_log::chain;
use crate::site::Site;

/// Why a node has no identity that it can use.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its keys or certificate cannot be used.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
    /// The keys in the folder are another member's.
    #[error("folder {} has the keys of {found}, and the configuration names node {name}", path.display())]
    OtherMember {
        /// The folder.
        path: std::path::PathBuf,
        /// Whose keys they are.
        found: Member,
        /// The node's name by its configuration.
        name: protocol::NodeId,
    },
}

/// What a node's certificate says, for its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateStatus {
    /// The node's identity in six words, as the coordinator's operator sees it, too.
    pub fingerprint: String,
    /// Until when the certificate is good.
    pub expires_at: Timestamp,
    /// When it is to be renewed.
    pub renewal_due_at: Timestamp,
}

/// Opens what the node is known by: its credentials, or its bare name where the configuration names plain loopback.
pub(crate) fn open(
    folder: &Folder,
    config: &Config,
    clock: &Arc<dyn Clock>,
) -> Result<Identity, Error> {
    let own = Member::Node(config.name.clone());
    if !config.coordinator.is_encrypted() {
        return Ok(Identity::InsecureLoopback(own));
    }
    let path = folder.identity();
    let credentials = Credentials::open(&path, time_of(clock))?;
    if credentials.member() != own {
        let (found, name) = (credentials.member(), config.name.clone());
        return Err(Error::OtherMember { path, found, name });
    }
    Ok(Identity::Credentials(Arc::new(credentials)))
}

/// What the certificate in a folder says, where there is one that can be read.
pub(crate) fn status(folder: &Folder, config: &Config) -> Option<CertificateStatus> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let Ok(Identity::Credentials(credentials)) = open(folder, config, &clock) else { return None };
    Some(CertificateStatus {
        fingerprint: credentials.identity().fingerprint().to_string(),
        expires_at: credentials.expires_at(),
        renewal_due_at: credentials.renewal_due_at(),
    })
}

/// Renews the certificate whenever two thirds of its life have passed, until the shutdown.
///
/// What fails is tried again; the present certificate stays good meanwhile, and both are once there are two.
pub(crate) async fn renew(site: Arc<Site>, identity: Identity, shutdown: CancellationToken) {
    let Identity::Credentials(credentials) = identity else { return };
    loop {
        let due = credentials.renewal_due_at();
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = site.clock.wait_until(due) => {}
        }
        let settings = dial::Settings::default();
        let renewing = enrolment::renew(&credentials, &site.config.coordinator, settings);
        let renewed = tokio::select! {
            () = shutdown.cancelled() => return,
            renewed = tokio::time::timeout(PATIENCE, renewing) => renewed,
        };
        match renewed {
            Ok(Ok(())) => {
                tracing::info!(expires_at = %credentials.expires_at(), "the certificate is renewed");
                let entry = Entry::new(site.clock.now(), Actor::Node, Action::IdentityRenew);
                let entry = entry.node(&site.config.name).identity(&credentials.identity());
                site.audit.account(entry).await;
            }
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "the certificate cannot be renewed");
                rest(&site, &shutdown).await;
            }
            Err(_) => {
                tracing::warn!("the coordinator takes too long to renew the certificate");
                rest(&site, &shutdown).await;
            }
        }
    }
}

/// The time as certificates are judged by.
pub(crate) fn time_of(clock: &Arc<dyn Clock>) -> Time {
    let clock = Arc::clone(clock);
    Time::new(move || clock.now())
}

async fn rest(site: &Site, shutdown: &CancellationToken) {
    let next = site.clock.now().after(RETRY);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = site.clock.wait_until(next) => {}
    }
}

/// How long the coordinator may take to renew.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two attempts.
const RETRY: Duration = Duration::from_secs(10 * 60);
