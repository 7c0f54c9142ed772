//! The whole coordinator: opened, bound, run, shut down.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use identity::Authority;
use protocol::wire::MAXIMUM_MESSAGE;
use protocol::wire::v1::enrolment_service_server::EnrolmentServiceServer;
use protocol::wire::v1::node_service_server::NodeServiceServer;
use protocol::wire::v1::researcher_service_server::ResearcherServiceServer;
use protocol::wire::v1::witness_service_server::WitnessServiceServer;
use store::artifact::{self, ArtifactStore};
use store::{
    Clock, Database, Durability, FolderLock, SystemClock, folder_lock, journal, write_whole,
};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::service::Routes;
use transport::server::security::{Security, Tls};
use transport::{Address, Server, server};

use crate::administration::{self, Listener, Office, open_authority};
use crate::config::Config;
use crate::director::Director;
use crate::enrolment_service::{Enrolments, LONGEST_REQUEST};
use crate::membership::Membership;
use crate::node_service::Nodes;
use crate::record;
use crate::researcher_service::Researchers;
use crate::scalars::Given;
use crate::shared::Shared;
use crate::shelf::Shelf;
use crate::witness::Witness;
use crate::{bodies, retention, scalars, tables};

/// A coordinator whose folder is taken and whose port is bound; it does nothing until [`run`](Self::run).
#[derive(Debug)]
pub struct Coordinator {
    shared: Arc<Shared>,
    server: Server,
    door: Door,
    director: Director,
    scalars: mpsc::Receiver<Given>,
    handle: Handle,
    _lock: FolderLock,
}

/// What lets members in.
#[derive(Debug)]
struct Door {
    enrolments: Option<Enrolments>,
    authority: Option<Arc<Authority>>,
    administration: Listener,
}

/// What can be known of a coordinator from outside; clones share it.
#[derive(Debug, Clone)]
pub struct Handle {
    address: Address,
    socket_address: SocketAddr,
    paused: watch::Receiver<bool>,
}

/// Why a coordinator cannot start or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process holds the folder, or it cannot be used.
    #[error(transparent)]
    Folder(#[from] folder_lock::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] record::Error),
    /// The artifacts cannot be used.
    #[error(transparent)]
    Artifacts(#[from] artifact::Error),
    /// The address cannot be listened on.
    #[error(transparent)]
    Listen(#[from] server::Error),
    /// The authority cannot be used.
    #[error(transparent)]
    Administration(#[from] administration::Error),
    /// The address file cannot be written.
    #[error("folder {} cannot be written", folder.display())]
    Unwritable {
        /// The folder.
        folder: std::path::PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
}

impl Coordinator {
    /// Takes the folder, opens what is in it, replays open experiments and binds the port.
    ///
    /// # Errors
    ///
    /// Says what of the folder or the port cannot be used.
    pub async fn open(config: Config) -> Result<Self, Error> {
        Self::open_with(config, Arc::new(SystemClock)).await
    }

    /// As [`open`](Self::open), with the time from another clock.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub async fn open_with(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let lock = FolderLock::take(&config.folder)?;
        let migrations = [journal::MIGRATIONS, tables::MIGRATIONS];
        let database =
            Database::open(&config.database(), &migrations).map_err(record::Error::from)?;
        let settings = artifact::Settings { reserve: config.reserve_bytes, ..Default::default() };
        let artifacts = ArtifactStore::open(&config.artifacts(), settings, Arc::clone(&clock))?;
        bodies::restore(&database, &artifacts)?;
        let membership = Arc::new(Membership::open(database.clone(), Arc::clone(&clock))?);
        let authority = if config.insecure_loopback {
            None
        } else {
            Some(Arc::new(open_authority(&config, &clock, &membership).await?))
        };
        let security = security(authority.as_deref(), &membership)?;
        let server = Server::bind(config.listen, security, server_settings(&config)).await?;
        let address = config.public_address(server.socket_address());
        let (mailbox, inbox) = mpsc::channel(MAILBOX);
        let (scalar_sender, scalars) = mpsc::channel(SCALARS);
        let (pausing, paused) = watch::channel(false);
        let handle =
            Handle { address: server.address(), socket_address: server.socket_address(), paused };
        let shared = Arc::new(Shared {
            started_at: clock.now(),
            config,
            clock,
            database,
            artifacts,
            possession: Default::default(),
            board: Default::default(),
            registry: Default::default(),
            feeds: Default::default(),
            mailbox,
            scalars: scalar_sender,
            shutdown: CancellationToken::new(),
        });
        let director = Director::start(Arc::clone(&shared), inbox, pausing).await?;
        publish_address(&shared.config, &handle)?;
        let office = Office {
            membership: Arc::clone(&membership),
            authority: authority.clone(),
            address,
            database: shared.database.clone(),
            running: Some(Arc::clone(&shared)),
        };
        let enrolments = authority.clone().map(|own| Enrolments::new(own, membership));
        let administration = Listener::open(&shared.config.folder, office)
            .map_err(|source| Error::Unwritable { folder: shared.config.folder.clone(), source })?;
        let door = Door { enrolments, authority, administration };
        Ok(Self { shared, server, door, director, scalars, handle, _lock: lock })
    }

    /// The coordinator's address and what else can be known of it.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Serves until `shutdown` ends, or until the journal cannot be written.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Storage`] when the coordinator had to stop because nothing can be committed any more; what
    /// was acknowledged is safe, and a restart goes on from there.
    pub async fn run(self, shutdown: impl Future<Output = ()> + Send) -> Result<(), Error> {
        let Self { shared, server, door, director, scalars, handle: _, _lock } = self;
        let stop = shared.shutdown.clone();
        let readers = TaskTracker::new();
        let witness = door.authority.clone().map(|own| Witness::new(Arc::clone(&shared), own));
        let router = router(&shared, &readers, (door.enrolments, witness));
        let administering = door.administration.serve(stop.clone());
        let serving = server.serve(router, stop.clone().cancelled_owned());
        let directing = async {
            let ended = director.run().await;
            // Without a director nobody is served.
            stop.cancel();
            ended
        };
        let stopping = async {
            tokio::select! {
                () = shutdown => stop.cancel(),
                () = stop.cancelled() => {}
            }
            shared.registry.close();
        };
        let writing = scalars::write(Arc::clone(&shared), scalars);
        let sweeping = sweep(&shared, door.authority.as_deref());
        let (directed, (), (), (), (), ()) =
            tokio::join!(directing, serving, stopping, writing, sweeping, administering);
        readers.close();
        readers.wait().await;
        // The address is nobody's now; a file that stays behind is overwritten by the next start.
        let _removed = std::fs::remove_file(shared.config.address_file());
        Ok(directed?)
    }
}

impl Handle {
    /// The address to dial, with its real port.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// The socket address that is bound.
    pub fn socket_address(&self) -> SocketAddr {
        self.socket_address
    }

    /// Waits until an experiment has entered the state that the configuration says to pause at.
    pub async fn paused(&mut self) {
        if self.paused.wait_for(|paused| *paused).await.is_err() {
            // The coordinator has ended without pausing.
            std::future::pending::<()>().await;
        }
    }
}

/// How callers are known: by their certificates, or by what they say.
fn security(
    authority: Option<&Authority>,
    membership: &Arc<Membership>,
) -> Result<Security, Error> {
    let Some(authority) = authority else { return Ok(Security::InsecureLoopback) };
    Ok(Security::Tls(Tls {
        config: authority.server_config().map_err(administration::Error::from)?,
        roster: Arc::clone(membership.roll()) as _,
        connections: membership.connections().clone(),
        time: authority.time().clone(),
        open_path: transport::enrolment::ENROL_PATH,
    }))
}

fn router(
    shared: &Arc<Shared>,
    readers: &TaskTracker,
    (enrolments, witness): (Option<Enrolments>, Option<Witness>),
) -> axum::Router {
    let nodes = NodeServiceServer::new(Nodes::new(Arc::clone(shared), readers.clone()))
        .max_decoding_message_size(MAXIMUM_MESSAGE)
        .max_encoding_message_size(MAXIMUM_MESSAGE);
    let researchers = ResearcherServiceServer::new(Researchers::new(Arc::clone(shared)))
        .max_decoding_message_size(MAXIMUM_MESSAGE);
    let mut services = Routes::new(nodes).add_service(researchers);
    if let Some(enrolments) = enrolments {
        let enrolments = EnrolmentServiceServer::new(enrolments);
        services = services.add_service(enrolments.max_decoding_message_size(LONGEST_REQUEST));
    }
    if let Some(witness) = witness {
        let witness = WitnessServiceServer::new(witness);
        services = services.add_service(witness.max_decoding_message_size(LONGEST_REQUEST));
    }
    let shelf = Arc::new(Shelf::new(Arc::clone(shared)));
    server::one_port(services, transport::artifact::routes(shelf, shared.config.silence()))
}

fn server_settings(config: &Config) -> server::Settings {
    server::Settings {
        connections: config.connections,
        connections_per_address: config.connections_per_address,
        shutdown_grace: Duration::from_secs(config.shutdown_seconds),
        ..Default::default()
    }
}

fn publish_address(config: &Config, handle: &Handle) -> Result<(), Error> {
    let text = format!("{}\n", handle.address);
    write_whole(&config.address_file(), text.as_bytes(), Durability::Process)
        .map_err(|source| Error::Unwritable { folder: config.folder.clone(), source })
}

/// Now and then drops files that nobody wants, and renews the coordinator's own certificate.
async fn sweep(shared: &Arc<Shared>, authority: Option<&Authority>) {
    let mut orphans = retention::Orphans::default();
    loop {
        match authority.map(Authority::renew_own) {
            Some(Ok(true)) => tracing::info!("the coordinator's certificate is renewed"),
            Some(Err(error)) => {
                tracing::error!(%error, "the coordinator's certificate cannot be renewed");
            }
            Some(Ok(false)) | None => {}
        }
        if let Err(error) = orphans.sweep(shared).await {
            tracing::warn!(%error, "the artifacts cannot be swept");
        }
        let next = shared.clock.now().after(SWEEP_INTERVAL);
        tokio::select! {
            () = shared.shutdown.cancelled() => return,
            () = shared.clock.wait_until(next) => {}
        }
    }
}

/// Messages that may wait for the director; whoever brings more waits.
const MAILBOX: usize = 1024;

/// Scalars that may wait for the disk; more are dropped, and their gap shows.
const SCALARS: usize = 10_000;

const SWEEP_INTERVAL: Duration = Duration::from_secs(10 * 60);
