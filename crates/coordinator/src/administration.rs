//! What the operator of a coordinator asks for, by the coordinator's folder, whether it runs or not.
//!
//! A running coordinator answers on a socket in its folder that only its own user can open. Where none runs, the
//! command takes the folder itself and does the same.

mod socket;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use identity::{Authority, Member, Role, Time, Token, authority};
use protocol::{DatasetSummary, NodeId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Clock, Database, FolderLock, SystemClock, Transaction, folder_lock, journal};
use transport::Address;

use crate::config::{self, Config};
use crate::director::SOFTWARE;
pub use crate::membership::MemberRow;
use crate::membership::{LONGEST_LIFE, Membership, Refusal};
use crate::message::Message;
use crate::shared::Shared;
use crate::{listing, record, tables, witness};

pub(crate) use self::socket::Listener;

/// Something that the operator wants.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// A token with which a member may join.
    Invite {
        /// Who may: "node:north".
        member: String,
        /// How long, in seconds.
        seconds: u64,
        /// Whether it may take the place of the member that has the name.
        replaces: bool,
    },
    /// The members of a role.
    Members {
        /// The role.
        role: String,
    },
    /// How the coordinator is, and every node that was ever connected.
    Overview,
    /// What was signed of the audit log of a node.
    Receipts {
        /// The node's name.
        node: String,
    },
    /// That a member is put out.
    Revoke {
        /// Whom: "node:north".
        member: String,
    },
}

/// What the operator gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// A token.
    Invited {
        /// The token, in one line.
        token: String,
        /// Who may join with it.
        member: String,
        /// Until when.
        expires_at: u64,
    },
    /// Members.
    Members {
        /// Each of the role, by name.
        members: Vec<MemberRow>,
        /// Callers that were refused since the coordinator started.
        refusals: u64,
    },
    /// How the coordinator is.
    Overview(Overview),
    /// Receipts.
    Receipts {
        /// The node.
        node: String,
        /// Each as docs/reference/audit-log.md writes it, oldest first.
        receipts: Vec<String>,
    },
    /// The member is out.
    Revoked {
        /// Who.
        member: String,
        /// Open connections that were closed.
        closed: usize,
    },
}

/// How a coordinator is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overview {
    /// The version of its messages.
    pub wire_version: u32,
    /// What the program calls itself.
    pub software: String,
    /// Since when it runs; nothing where it does not.
    pub started_at: Option<Timestamp>,
    /// Experiments that have not ended.
    pub open_experiments: usize,
    /// Every node that was ever connected, by name.
    pub nodes: Vec<NodeState>,
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// The node.
    pub node: NodeId,
    /// Whether it is connected.
    pub connected: bool,
    /// Whether its owner has paused it.
    pub paused: bool,
    /// What its program calls itself.
    pub software: String,
    /// When it was last heard.
    pub last_seen_at: Timestamp,
    /// Its datasets, as it shows them.
    pub datasets: Vec<DatasetSummary>,
}

/// Why the operator does not get it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The coordinator refuses, in its own words.
    #[error("{message}")]
    Refused {
        /// The words.
        message: String,
        /// What can be done about it.
        hint: Option<String>,
    },
    /// The folder is in use, and nobody answers there.
    #[error(transparent)]
    Folder(#[from] folder_lock::Error),
    /// The folder's configuration is wrong.
    #[error(transparent)]
    Configuration(#[from] config::Error),
    /// The database cannot be used.
    #[error(transparent)]
    Storage(#[from] record::Error),
    /// The authority cannot be used.
    #[error(transparent)]
    Authority(#[from] authority::Error),
    /// The socket broke.
    #[error("the coordinator of {} does not answer", folder.display())]
    Silent {
        /// The folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// Asks the coordinator of a folder, or the folder itself where none runs.
///
/// # Errors
///
/// Returns [`Error::Refused`] with the coordinator's words, and what of the folder cannot be used.
pub async fn ask(
    folder: &Path,
    variables: impl IntoIterator<Item = (String, String)>,
    request: &Request,
) -> Result<Answer, Error> {
    if let Some(answer) = socket::ask(folder, request).await? {
        return answer;
    }
    let _lock = FolderLock::take(folder)?;
    let config = Config::load(folder, variables)?;
    let migrations = [journal::MIGRATIONS, tables::MIGRATIONS];
    let database = Database::open(&config.database(), &migrations).map_err(record::Error::from)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let membership = Arc::new(Membership::open(database.clone(), Arc::clone(&clock))?);
    let authority = open_authority(&config, &clock, &membership).await?;
    let address = config.public_address(config.listen);
    let authority = Some(Arc::new(authority));
    Office { membership, authority, address, database, running: None }.perform(request).await
}

/// Opens the authority of a folder; one of a folder that is older than authorities is made, while it has no members.
pub(crate) async fn open_authority(
    config: &Config,
    clock: &Arc<dyn Clock>,
    membership: &Membership,
) -> Result<Authority, Error> {
    let folder = config.authority();
    if !Authority::exists(&folder) {
        for role in [Role::Node, Role::Researcher] {
            if !membership.list(role).await?.is_empty() {
                // Another authority would make all of them strangers.
                return Err(authority::Error::Absent { path: folder }.into());
            }
        }
        Authority::create(&folder, clock.now())?;
    }
    let clock = Arc::clone(clock);
    let time = Time::new(move || clock.now());
    let authority = Authority::open(&folder, config.certified_names(), time)?;
    Ok(authority.with_member_life(Duration::from_secs(config.certificate_seconds)))
}

/// Does what the operator asks for.
#[derive(Debug)]
pub(crate) struct Office {
    pub(crate) membership: Arc<Membership>,
    /// None where plain loopback is served.
    pub(crate) authority: Option<Arc<Authority>>,
    pub(crate) address: Address,
    pub(crate) database: Database,
    /// None where the coordinator does not run.
    pub(crate) running: Option<Arc<Shared>>,
}

impl Office {
    pub(crate) async fn perform(&self, request: &Request) -> Result<Answer, Error> {
        match request {
            Request::Invite { member, seconds, replaces } => {
                self.invite(parse(member)?, Duration::from_secs(*seconds), *replaces).await
            }
            Request::Members { role } => {
                let role =
                    role.parse().map_err(|error| refused(&error as &identity::member::NotRole))?;
                let members = self.membership.list(role).await?;
                Ok(Answer::Members { members, refusals: self.membership.roll().refusals() })
            }
            Request::Overview => self.overview().await.map(Answer::Overview),
            Request::Receipts { node } => {
                let name: NodeId =
                    node.parse().map_err(|error| refused(&error as &protocol::id::Error))?;
                let read =
                    move |transaction: &Transaction<'_>| witness::receipts(transaction, &name);
                let receipts =
                    self.database.read(read).await.map_err(|error: record::Error| error)?;
                Ok(Answer::Receipts { node: node.clone(), receipts })
            }
            Request::Revoke { member } => {
                let parsed = parse(member)?;
                let closed = self.membership.revoke(parsed.clone()).await.map_err(own)?;
                if let (Member::Researcher(researcher), Some(shared)) = (parsed, &self.running) {
                    // A coordinator that shuts down looks for it when it starts again.
                    let _told = shared.tell(Message::ResearcherRevoked { researcher }).await;
                }
                Ok(Answer::Revoked { member: member.clone(), closed })
            }
        }
    }

    async fn overview(&self) -> Result<Overview, Error> {
        let rows = self.database.read(listing::nodes).await?;
        let running = self.running.as_ref();
        let is_connected =
            |node: &NodeId| running.is_some_and(|shared| shared.registry.is_connected(node));
        Ok(Overview {
            wire_version: protocol::WIRE_VERSION,
            software: SOFTWARE.to_owned(),
            started_at: running.map(|shared| shared.started_at),
            open_experiments: running.map_or(0, |shared| shared.board.count()),
            nodes: rows.into_iter().map(|row| row.state(is_connected)).collect(),
        })
    }

    async fn invite(
        &self,
        member: Member,
        life: Duration,
        replaces: bool,
    ) -> Result<Answer, Error> {
        let authority = self.authority.as_ref();
        let authority = authority
            .ok_or_else(|| refused(&"the coordinator serves plain loopback, where nobody joins"))?;
        if life.is_zero() || life > LONGEST_LIFE {
            let days = LONGEST_LIFE.as_secs() / (24 * 60 * 60);
            return Err(refused(&format!(
                "a token lives for at least a second and at most {days} days"
            )));
        }
        if self.address.port() == 0 {
            return Err(refused(
                &"the coordinator has no fixed port: start it, or set \"address\" in its configuration",
            ));
        }
        let invited = self.membership.invite(member.clone(), life, replaces).await.map_err(own)?;
        let token = Token {
            address: self.address.to_string(),
            authority: authority.fingerprint(),
            member,
            secret: invited.secret,
        };
        let expires_at = Timestamp::milliseconds(invited.expires_at);
        Ok(Answer::Invited {
            token: token.to_string(),
            member: token.member.to_string(),
            expires_at,
        })
    }
}

fn parse(member: &str) -> Result<Member, Error> {
    member.parse().map_err(|error| refused(&error as &identity::member::NotMember))
}

fn refused(message: &dyn std::fmt::Display) -> Error {
    Error::Refused { message: message.to_string(), hint: None }
}

fn own(refusal: Refusal) -> Error {
    let hint = refusal.hint().map(str::to_owned);
    match refusal {
        Refusal::Storage(error) => Error::Storage(error),
        Refusal::Authority(error) => Error::Authority(error),
        other => Error::Refused { message: other.to_string(), hint },
    }
}
