//! Becoming a node of a consortium: a token goes in, an identity and a configured folder come out.

use std::sync::Arc;

use identity::{Credentials, Fingerprint, Member, Time, Token};
use protocol::NodeId;
use store::{Clock as _, FolderLock, SystemClock};
use transport::{Address, dial, enrolment};

use crate::audit::{Action, Actor, Audit, Entry};
use crate::config::{self, Config};
use crate::folder::Folder;
use crate::membership::time_of;

/// A node that has joined.
#[derive(Debug)]
pub struct Joined {
    /// Its name.
    pub name: NodeId,
    /// Where its coordinator is.
    pub coordinator: Address,
    /// Its identity, as the coordinator's operator sees it, too.
    pub fingerprint: Fingerprint,
    /// Whether the folder was this node's before, and has a new certificate now.
    pub is_renewed: bool,
}

/// Why a node has not joined.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token is for a researcher.
    #[error("the token is for {0}, which is not a node")]
    NotNode(Member),
    /// The folder is another node's.
    #[error("folder {} belongs to node {present}, and the token is for node {invited}", path.display())]
    OtherNode {
        /// The folder.
        path: std::path::PathBuf,
        /// Whose it is.
        present: NodeId,
        /// Whom the token is for.
        invited: NodeId,
    },
    /// Another process holds the folder.
    #[error(transparent)]
    Lock(#[from] store::folder_lock::Error),
    /// The folder cannot be made a node's.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The coordinator was not reached, or did not take the token.
    #[error(transparent)]
    Enrolment(#[from] enrolment::Error),
    /// It cannot be recorded.
    #[error("the audit log cannot be written")]
    Audit(#[source] Arc<crate::audit::Error>),
    /// The audit log cannot be opened.
    #[error("folder {} cannot be used", path.display())]
    Folder {
        /// The folder.
        path: std::path::PathBuf,
        /// What the file system said.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether nobody answered; the same call may succeed later.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Enrolment(enrolment::Error::Dial(dial::Error::Unreachable { .. })))
    }

    /// Why the coordinator refuses, where it does.
    pub fn code(&self) -> Option<protocol::Code> {
        match self {
            Self::Enrolment(error) => error.code(),
            _ => None,
        }
    }

    /// What can be done about it, where something can be said.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotNode(_) => {
                Some("a researcher joins with `wardround researcher init --join TOKEN`")
            }
            Self::OtherNode { .. } | Self::Folder { .. } => Some("name another folder with --dir"),
            Self::Lock(_) => Some("stop the node first, or name another folder with --dir"),
            Self::Enrolment(error) => error.hint(),
            Self::Config(_) | Self::Audit(_) => None,
        }
    }
}

/// Joins with a token. Keys are made in the folder and never leave it; the configuration is written last, so that a
/// folder whose joining was interrupted is nobody's yet, and the same token goes on where it ended.
///
/// A folder that is this node's already keeps all that it has, its identity above all, and gets a new certificate.
///
/// # Errors
///
/// Says which step failed; nothing of a present node is changed then.
pub async fn join(folder: &Folder, token: &Token) -> Result<Joined, Error> {
    let Member::Node(name) = &token.member else {
        return Err(Error::NotNode(token.member.clone()));
    };
    let present = present(folder)?;
    if let Some(present) = present.as_ref().filter(|present| *present != name) {
        let (path, invited) = (folder.root().to_owned(), name.clone());
        return Err(Error::OtherNode { path, present: present.clone(), invited });
    }
    let address: Address = token.address.parse().map_err(enrolment::Error::from)?;
    let failed = |source| Error::Folder { path: folder.root().to_owned(), source };
    config::create_private(folder).map_err(failed)?;
    let _lock = FolderLock::take(folder.root())?;
    let clock: Arc<dyn store::Clock> = Arc::new(SystemClock);
    let settings = dial::Settings::default();
    let credentials = enrol(folder, token, time_of(&clock), settings).await?;
    if present.is_none() {
        config::prepare(folder)?;
    }
    let fingerprint = credentials.identity().fingerprint();
    let entry = Entry::new(SystemClock.now(), Actor::of_process(), Action::NodeJoin)
        .node(name)
        .identity(&credentials.identity());
    let audit = Audit::new(folder, name, &clock).map_err(failed)?;
    audit.permit(entry).await.map_err(Error::Audit)?;
    if present.is_none() {
        config::configure(folder, name, &address)?;
    }
    Ok(Joined {
        name: name.clone(),
        coordinator: address,
        fingerprint,
        is_renewed: present.is_some(),
    })
}

/// Takes up what an interrupted attempt of the same token has left; else asks the coordinator.
async fn enrol(
    folder: &Folder,
    token: &Token,
    time: Time,
    settings: dial::Settings,
) -> Result<Credentials, Error> {
    let is_unfinished = !folder.configuration().exists();
    if is_unfinished
        && let Ok(credentials) = Credentials::open(&folder.identity(), time.clone())
        && credentials.member() == token.member
    {
        return Ok(credentials);
    }
    Ok(enrolment::enrol(&folder.identity(), token, time, settings).await?)
}

/// Whose folder it is already.
fn present(folder: &Folder) -> Result<Option<NodeId>, Error> {
    if !folder.configuration().exists() {
        return Ok(None);
    }
    Ok(Some(Config::load(folder, [])?.name))
}
