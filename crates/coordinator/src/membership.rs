//! Who may take part: tokens that invite, the members that they made, and the roll that every request is held against.

mod attempts;
mod roll;
mod rows;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use identity::token::Secret;
use identity::{Authority, Certified, Member, Request, Role, authority, certificate};
use protocol::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Clock, Database, database};
use transport::server::security::Connections;

use self::attempts::Attempts;
pub(crate) use self::roll::Roll;
use crate::record;

/// The members of a federation, in the database and in memory.
#[derive(Debug)]
pub(crate) struct Membership {
    database: Database,
    clock: Arc<dyn Clock>,
    roll: Arc<Roll>,
    connections: Connections,
    attempts: Attempts,
}

/// One member, as the coordinator's operator sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberRow {
    /// The member's name within its role.
    pub name: String,
    /// Its identity: an Ed25519 key.
    pub identity: String,
    /// The six words that its own side prints, too.
    pub fingerprint: String,
    /// When its present certificate expires, in milliseconds since the Unix epoch.
    pub certificate_expires_at: u64,
    /// When it enrolled.
    pub enrolled_at: u64,
    /// When it was put out, if it was.
    pub revoked_at: Option<u64>,
}

/// Why somebody is not invited, let in, renewed or put out. Strangers are not told which.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("no such token was made")]
    UnknownToken,
    #[error("the token was used by another identity at {0:?}")]
    UsedToken(Timestamp),
    #[error("the token was used by this identity, which was put out or replaced since")]
    SpentToken,
    #[error("the token expired at {0:?}")]
    ExpiredToken(Timestamp),
    #[error("the token was made for {0}")]
    OtherMember(String),
    #[error("{0} has enrolled already")]
    Taken(Member),
    #[error("the identity is another member's")]
    OtherIdentity,
    #[error("there is no {0}")]
    NoMember(Member),
    #[error("the request cannot be read: {0}")]
    Malformed(String),
    #[error(transparent)]
    Request(#[from] identity::request::Error),
    #[error(transparent)]
    Storage(#[from] record::Error),
    #[error(transparent)]
    Authority(#[from] authority::Error),
    #[error("the machine has no randomness")]
    Randomness(#[source] std::io::Error),
}

impl Refusal {
    /// Whether the coordinator itself is out of order, and not the one who asks.
    pub(crate) fn is_own(&self) -> bool {
        matches!(self, Self::Storage(_) | Self::Authority(_) | Self::Randomness(_))
    }

    /// What the operator can do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Taken(_) => {
                Some("with --replace the token puts the present member's identity out")
            }
            _ => None,
        }
    }
}

impl From<database::Error> for Refusal {
    fn from(error: database::Error) -> Self {
        Self::Storage(error.into())
    }
}

impl From<store::rusqlite::Error> for Refusal {
    fn from(error: store::rusqlite::Error) -> Self {
        Self::Storage(error.into())
    }
}

/// A token's secret, and how long it is good.
pub(crate) struct Invitation {
    pub(crate) secret: Secret,
    pub(crate) expires_at: Timestamp,
}

impl Membership {
    /// Reads the roll.
    pub(crate) fn open(database: Database, clock: Arc<dyn Clock>) -> Result<Self, record::Error> {
        let members = database.read_blocking(rows::present)?;
        let roll = Arc::new(Roll::new(members, Arc::clone(&clock)));
        let (connections, attempts) = (Connections::default(), Attempts::default());
        Ok(Self { database, clock, roll, connections, attempts })
    }

    pub(crate) fn roll(&self) -> &Arc<Roll> {
        &self.roll
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }

    /// Makes a token's secret, of which only the digest is kept.
    pub(crate) async fn invite(
        &self,
        member: Member,
        life: Duration,
        replaces: bool,
    ) -> Result<Invitation, Refusal> {
        let secret = Secret::draw().map_err(Refusal::Randomness)?;
        let (now, expires_at) = (self.clock.now(), self.clock.now().after(life));
        let digest = secret.digest();
        self.database
            .write(move |transaction| {
                if !replaces && rows::find(transaction, &member)?.is_some() {
                    return Err(Refusal::Taken(member));
                }
                rows::invite(transaction, (&digest, &member, replaces), (now, expires_at))?;
                Ok(Invitation { secret, expires_at })
            })
            .await
    }

    /// Refuses a token that makes nobody this member, before anything is computed for whoever shows it.
    pub(crate) fn expects(&self, secret: &Secret, member: &Member) -> Result<(), Refusal> {
        let (digest, now) = (secret.digest(), self.clock.now());
        let look =
            |transaction: &store::Transaction<'_>| rows::check(transaction, &digest, member, now);
        self.database.read_blocking(look)
    }

    /// Makes a member of whoever has a token: what is returned is committed.
    ///
    /// The same identity with the same token is answered again while the token lives, because the answer may have been
    /// lost.
    pub(crate) async fn enrol(
        &self,
        authority: &Authority,
        secret: &Secret,
        request: Request,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        let issued = authority.issue(&request)?;
        let (digest, now, certified) =
            (secret.digest(), self.clock.now(), issued.certified.clone());
        let fingerprint = request.identity.fingerprint().to_string();
        let row = fingerprint.clone();
        let replaced = self
            .database
            .write(move |transaction| {
                let spending = (&digest, &certified, row.as_str());
                rows::spend(transaction, spending, now)
            })
            .await?;
        let member = request.member;
        self.settle(&member)?;
        if replaced {
            self.connections.close(&member);
        }
        tracing::info!(%member, %fingerprint, replaced, "a member has enrolled");
        Ok(issued.chain)
    }

    /// Gives a member its next certificate.
    pub(crate) async fn renew(
        &self,
        authority: &Authority,
        request: Request,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        let issued = authority.issue(&request)?;
        let certified = issued.certified.clone();
        self.database.write(move |transaction| rows::renew(transaction, &certified)).await?;
        let member = request.member;
        tracing::info!(%member, serial = issued.certified.serial, "a certificate is renewed");
        Ok(issued.chain)
    }

    /// The members of a role that there are and were.
    pub(crate) async fn list(&self, role: Role) -> Result<Vec<MemberRow>, record::Error> {
        self.database.read(move |transaction| rows::list(transaction, role)).await
    }

    /// Puts a member out: nothing of it is answered from now on, and its open connections end. Says how many.
    pub(crate) async fn revoke(&self, member: Member) -> Result<usize, Refusal> {
        let (name, now) = (member.clone(), self.clock.now());
        self.database.write(move |transaction| rows::revoke(transaction, &name, now)).await?;
        self.settle(&member)?;
        let closed = self.connections.close(&member);
        tracing::warn!(%member, closed, "a member is put out");
        Ok(closed)
    }

    /// Lets the roll say what the database says of a member, once a change of it is committed.
    fn settle(&self, member: &Member) -> Result<(), record::Error> {
        let look = |transaction: &store::Transaction<'_>| rows::identity(transaction, member);
        self.roll.settle(member, || self.database.read_blocking(look))
    }

    /// Whether an address has not failed too often of late.
    pub(crate) fn may_try(&self, address: IpAddr) -> bool {
        self.attempts.may_try(address, self.clock.now())
    }

    /// Notes that an address was refused.
    pub(crate) fn failed(&self, address: IpAddr) {
        self.attempts.failed(address, self.clock.now());
    }
}

/// Whether a certificate is still the one of a member.
pub(crate) fn is_of(certified: &Certified, identity: &identity::PublicKey) -> bool {
    certified.identity == *identity
}

/// Whether a member was put out, and has not joined again since.
pub(crate) fn is_out(
    transaction: &store::Transaction<'_>,
    member: &Member,
) -> Result<bool, record::Error> {
    Ok(rows::find(transaction, member)?.is_some_and(|(_, is_out)| is_out))
}

/// The longest life of a token, and of a member's certificate.
pub(crate) const LONGEST_LIFE: Duration =
    Duration::from_secs(certificate::MEMBER_DAYS * 24 * 60 * 60);
