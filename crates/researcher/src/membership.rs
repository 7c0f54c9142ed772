//! Becoming a consortium's researcher, and staying one.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use identity::{Credentials, Fingerprint, Member, Time, Token, credentials};
use protocol::{ResearcherId, Timestamp};
use transport::{Address, dial, enrolment};

/// A researcher who has joined.
#[derive(Debug)]
pub struct Joined {
    /// Their name.
    pub name: ResearcherId,
    /// Where their coordinator is.
    pub coordinator: String,
    /// Their identity, as the coordinator's operator sees it, too.
    pub fingerprint: Fingerprint,
    /// Until when their certificate is good.
    pub expires_at: Timestamp,
}

/// Why a researcher has not joined, or has no identity that can be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token is for a node.
    #[error("the token is for {0}, which is not a researcher")]
    NotResearcher(Member),
    /// The keys in the folder are a node's.
    #[error("folder {} has the keys of {found}, which is not a researcher", path.display())]
    OtherMember {
        /// The folder.
        path: std::path::PathBuf,
        /// Whose keys they are.
        found: Member,
    },
    /// The coordinator was not reached, or did not take the token.
    #[error(transparent)]
    Enrolment(#[from] enrolment::Error),
    /// The keys or the certificate cannot be used.
    #[error(transparent)]
    Credentials(#[from] credentials::Error),
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
            Self::NotResearcher(_) => Some("a node joins with `wardround node init --join TOKEN`"),
            Self::OtherMember { .. } => Some("name another folder with --identity"),
            Self::Enrolment(error) => error.hint(),
            Self::Credentials(_) => Some(
                "join with `wardround researcher init --join TOKEN`, or name another folder with --identity",
            ),
        }
    }
}

/// Joins with a token: makes keys in `folder`, which never leave it, and keeps the certificate that the coordinator
/// gives.
///
/// # Errors
///
/// Says which step failed. Where the answer was lost, the same token and folder go on.
pub async fn join(folder: &Path, token: &Token) -> Result<Joined, Error> {
    let Member::Researcher(name) = &token.member else {
        return Err(Error::NotResearcher(token.member.clone()));
    };
    let settings = dial::Settings::default();
    let credentials = enrolment::enrol(folder, token, time(), settings).await?;
    Ok(Joined {
        name: name.clone(),
        coordinator: credentials.coordinator().to_owned(),
        fingerprint: credentials.identity().fingerprint(),
        expires_at: credentials.expires_at(),
    })
}

/// Opens what a researcher is known by; renews the certificate where that is due and the coordinator answers.
///
/// # Errors
///
/// Returns [`credentials::Error::Absent`] for a folder that has not joined.
pub async fn open(folder: &Path) -> Result<Arc<Credentials>, Error> {
    let credentials = Arc::new(Credentials::open(folder, time())?);
    if !matches!(credentials.member(), Member::Researcher(_)) {
        let (path, found) = (folder.to_owned(), credentials.member());
        return Err(Error::OtherMember { path, found });
    }
    if credentials.is_due_for_renewal(now())
        && let Ok(address) = credentials.coordinator().parse::<Address>()
    {
        let renewing = enrolment::renew(&credentials, &address, dial::Settings::default());
        match tokio::time::timeout(PATIENCE, renewing).await {
            Ok(Ok(())) => tracing::info!("the certificate is renewed"),
            Ok(Err(error)) => tracing::warn!(%error, "the certificate cannot be renewed"),
            Err(_) => tracing::warn!("the coordinator takes too long to renew the certificate"),
        }
    }
    Ok(credentials)
}

fn time() -> Time {
    Time::new(now)
}

/// A researcher's program runs no state machine: its clock is the machine's.
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let milliseconds =
        since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    Timestamp::from_milliseconds(milliseconds)
}

/// How long a command waits for a renewal.
const PATIENCE: Duration = Duration::from_secs(5);
