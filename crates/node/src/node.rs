//! The daemon: a folder's lock, its rounds, its line to the coordinator, its owner's commands.

use std::future::Future;
use std::sync::{Arc, RwLock};

use protocol::Timestamp;
use store::artifact::{ArtifactStore, Settings};
use store::{Clock, Database, FolderLock, SystemClock, journal};
use tokio::sync::{broadcast, mpsc};
use tokio_util::sync::CancellationToken;
use transport::{ArtifactClient, Identity};

use crate::administration::{Administration, Office, socket};
use crate::approval;
use crate::audit::{Action, Actor, Audit, Entry};
use crate::carrier::{Carrier, Way};
use crate::config::{self, Config};
use crate::dispatcher::{Command, Dispatcher};
use crate::folder::Folder;
use crate::grant::Seal;
use crate::key_replacement;
use crate::link::Link;
use crate::membership;
use crate::notice::Notice;
use crate::outbox::Outbox;
use crate::policy;
use crate::policy_file;
use crate::pythons::Pythons;
use crate::registry;
use crate::self_test;
use crate::site::Site;
use crate::slots::Slots;
use crate::witness;

/// A node that holds its folder and does not run yet.
pub struct Node {
    site: Arc<Site>,
    commands: mpsc::Sender<Command>,
    inbox: mpsc::Receiver<Command>,
    started_at: Timestamp,
    identity: Identity,
    _lock: FolderLock,
}

/// A cheap hold on a running node.
#[derive(Clone)]
pub struct Handle {
    notices: broadcast::Sender<Notice>,
    administration: Administration,
}

/// Why a node cannot run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its configuration or folder is not usable.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// It has no identity that can be used.
    #[error(transparent)]
    Identity(#[from] membership::Error),
    /// Its policy is not usable.
    #[error(transparent)]
    Policy(#[from] policy::Error),
    /// Another process holds the folder.
    #[error(transparent)]
    Lock(#[from] store::folder_lock::Error),
    /// The folder cannot be used.
    #[error("folder {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
    /// The database cannot be used.
    #[error(transparent)]
    Database(#[from] store::database::Error),
    /// The artifacts cannot be used.
    #[error(transparent)]
    Artifacts(#[from] store::artifact::Error),
    /// What the database holds cannot be used.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// A restore of the folder was cut short.
    #[error("folder {} holds a restore that was cut short: give `wardround node restore` again", path.display())]
    RestorePending {
        /// The folder.
        path: std::path::PathBuf,
    },
    /// The owner's socket cannot be opened.
    #[error("the socket for the owner's commands cannot be opened")]
    Socket(#[source] std::io::Error),
}

impl Node {
    /// Takes the folder and opens what it holds; nothing runs and nothing is dialled yet.
    ///
    /// # Errors
    ///
    /// [`Error::Lock`] where another process holds the folder; else what is wrong with it.
    pub fn open(folder: &Folder, config: Config) -> Result<(Self, Handle), Error> {
        Self::open_with_clock(folder, config, Arc::new(SystemClock))
    }

    /// As [`Node::open`], with a clock of the caller's.
    ///
    /// # Errors
    ///
    /// As [`Node::open`].
    pub fn open_with_clock(
        folder: &Folder,
        config: Config,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Handle), Error> {
        let lock = FolderLock::take(folder.root())?;
        let identity = membership::open(folder, &config, &clock)?;
        let settings = transport::artifact::client::Settings::default();
        let client = ArtifactClient::new(config.coordinator.clone(), &identity, settings);
        let started_at = clock.now();
        let site = open_site(folder, config, clock, Way::Coordinator(client))?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let office = Office::of_daemon(Arc::clone(&site), commands.clone(), started_at);
        let administration = Administration::in_process(office);
        let handle = Handle { notices: site.notices.clone(), administration };
        Ok((Self { site, commands, inbox, started_at, identity, _lock: lock }, handle))
    }

    /// Serves until `shutdown` ends; then ends in bounded time, with everything that matters in the journal.
    ///
    /// # Errors
    ///
    /// Where the folder's content cannot be taken up. A coordinator that cannot be reached is no error.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let Self { site, commands, inbox, started_at, identity, _lock } = self;
        let token = CancellationToken::new();
        key_replacement::settle(&site).await;
        record(&site, Action::NodeStart).await;
        policy_file::account(&site).await;
        empty_scratch(&site.folder)?;
        site.adopt_approvals().await?;
        site.pin_plans().await?;
        let mut dispatcher = Dispatcher::new(Arc::clone(&site), token.clone());
        dispatcher.restore().await?;
        let office = Office::of_daemon(Arc::clone(&site), commands.clone(), started_at);
        let socket =
            socket::Listener::open(&site.folder, site.config.administrators.as_deref(), office)
                .map_err(Error::Socket)?;
        // Rounds need not wait for it: each puts the same layers on, or does not start.
        tokio::spawn(self_test::run(Arc::clone(&site)));
        let link = Link::new(Arc::clone(&site), identity.clone(), commands, token.clone());
        let renewing = membership::renew(Arc::clone(&site), identity.clone(), token.clone());
        let lapsing = approval::lapses::run(Arc::clone(&site), token.clone());
        let witnessing = witness::run(Arc::clone(&site), identity, token.clone());
        let serving = async {
            tokio::join!(
                dispatcher.run(inbox),
                link.run(),
                socket.serve(token.clone()),
                renewing,
                lapsing,
                witnessing
            )
        };
        let mut serving = Box::pin(serving);
        tokio::select! {
            () = shutdown => token.cancel(),
            _ = &mut serving => {}
        }
        if token.is_cancelled() {
            serving.await;
        }
        record(&site, Action::NodeStop).await;
        Ok(())
    }
}

impl Handle {
    /// Follows what the node tells.
    pub fn notices(&self) -> broadcast::Receiver<Notice> {
        self.notices.subscribe()
    }

    /// The owner's commands.
    pub fn administration(&self) -> &Administration {
        &self.administration
    }
}

/// Opens a folder's database and artifacts.
pub(crate) fn open_site(
    folder: &Folder,
    config: Config,
    clock: Arc<dyn Clock>,
    way: Way,
) -> Result<Arc<Site>, Error> {
    if folder.restore_pending().exists() {
        return Err(Error::RestorePending { path: folder.root().to_owned() });
    }
    config::create_private(folder)
        .map_err(|source| Error::Folder { path: folder.root().to_owned(), source })?;
    let database =
        Database::open(&folder.database(), &[journal::MIGRATIONS, registry::MIGRATIONS])?;
    let policy = policy_file::load(folder, &config, &database)?;
    let settings = Settings { capacity: Some(config.cache_bytes), ..Settings::default() };
    let store = ArtifactStore::open(&folder.artifacts(), settings, Arc::clone(&clock))?;
    let audit = Audit::new(folder, &config.name, &clock)
        .map_err(|source| Error::Folder { path: folder.audit(), source })?;
    let (notices, _) = broadcast::channel(NOTICES);
    let seal = Seal::new(folder, &config.name);
    Ok(Arc::new(Site {
        audit,
        slots: Slots::new(config.rounds_at_once),
        pythons: Pythons::default(),
        self_test: Default::default(),
        decided: Default::default(),
        folder: folder.clone(),
        config,
        policy: RwLock::new(Arc::new(policy)),
        clock,
        database,
        carrier: Carrier::new(store, way),
        outbox: Outbox::new(),
        notices,
        plan_pins: std::sync::Mutex::default(),
        key_work: std::sync::Mutex::default(),
        seal,
        admitted: std::sync::Mutex::default(),
        questions: std::sync::Mutex::default(),
        reconsider: tokio::sync::Notify::new(),
    }))
}

/// Records that the node starts or ends; where it cannot be recorded now, it is as soon as it can.
async fn record(site: &Site, action: Action) {
    let entry = Entry::new(site.clock.now(), Actor::of_process(), action);
    let entry = entry.node(&site.config.name);
    let entry = entry.sandbox_minimum(site.config.python.minimum_sandbox_level);
    let entry = match site.self_test.found() {
        Some(found) => entry.sandbox_level(found.level),
        None => entry,
    };
    site.audit.account(entry).await;
}

/// Nothing of a round survives its process but the journal.
fn empty_scratch(folder: &Folder) -> Result<(), Error> {
    let failed = |source| Error::Folder { path: folder.scratch(), source };
    for entry in std::fs::read_dir(folder.scratch()).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let removed = if path.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        };
        removed.map_err(failed)?;
    }
    Ok(())
}

/// Commands that may wait for the dispatcher; whoever brings more waits.
const COMMANDS: usize = 1_024;
/// Notices that a slow listener may miss.
const NOTICES: usize = 1_024;
