//! Who is let in: the roster of members, and the connections that they have.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use identity::{Certified, Member, Time};
use rustls::ServerConfig;
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

/// How a server knows its callers.
#[derive(Clone, Debug)]
pub enum Security {
    /// Connections are not encrypted, and callers say who they are: for one machine, where all trust each other.
    InsecureLoopback,
    /// Connections are encrypted, and callers are who their certificates say.
    Tls(Tls),
}

/// What encrypted serving needs.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The server's certificate, and the authority that callers' certificates are of.
    pub config: Arc<ServerConfig>,
    /// Who is a member now.
    pub roster: Arc<dyn Roster>,
    /// The members' open connections.
    pub connections: Connections,
    /// What certificates are checked by while a connection is open.
    pub time: Time,
    /// The one path that answers callers without a certificate.
    pub open_path: &'static str,
}

/// Says who is a member now, and hears of those who are refused.
pub trait Roster: fmt::Debug + Send + Sync + 'static {
    /// Whether a certificate, whose chain and dates are good, is that of a member. Asked for each request.
    fn admits(&self, certified: &Certified) -> bool;

    /// Takes note of a refusal.
    fn refused(&self, address: SocketAddr, refused: &Refused);
}

/// Why a caller is refused before its request is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The connection could not be encrypted, which is also what a certificate of another authority ends with.
    #[error("the connection cannot be encrypted: {0}")]
    Handshake(String),
    /// It shows no certificate, and asks for something else than one.
    #[error("it shows no certificate")]
    NoCertificate,
    /// Its certificate expired while the connection was open.
    #[error("the certificate of {0} has expired")]
    Expired(Member),
    /// Its certificate is good, but the member was put out, or has another identity now.
    #[error("{0} is not a member with this identity")]
    NotMember(Member),
}

/// The open connections of members; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Connections(Arc<Mutex<Present>>);

#[derive(Debug, Default)]
struct Present {
    next: u64,
    members: HashMap<Member, HashMap<u64, CancellationToken>>,
}

impl Connections {
    /// Closes every connection of a member at once; says how many there were.
    pub fn close(&self, member: &Member) -> usize {
        let closed = self.present().members.remove(member).unwrap_or_default();
        closed.values().for_each(CancellationToken::cancel);
        closed.len()
    }

    /// Notes a connection until what is returned is dropped.
    pub(crate) fn enter(&self, member: &Member) -> Presence {
        let closing = CancellationToken::new();
        let mut present = self.present();
        present.next += 1;
        let number = present.next;
        present.members.entry(member.clone()).or_default().insert(number, closing.clone());
        Presence { connections: self.clone(), member: member.clone(), number, closing }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        // Every change is one call that cannot panic half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member's open connection.
pub(crate) struct Presence {
    connections: Connections,
    member: Member,
    number: u64,
    closing: CancellationToken,
}

impl Presence {
    /// Waits until the connection is to be closed.
    pub(crate) fn closed(&self) -> WaitForCancellationFuture<'_> {
        self.closing.cancelled()
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let mut present = self.connections.present();
        let Some(own) = present.members.get_mut(&self.member) else { return };
        own.remove(&self.number);
        if own.is_empty() {
            present.members.remove(&self.member);
        }
    }
}

/// Whose connection a request came on; in the extensions of every request.
#[derive(Clone, Debug)]
pub(crate) enum Peer {
    /// Somebody on this machine.
    PlainLoopback,
    /// Somebody who shows no certificate.
    Stranger(Tls),
    /// Somebody whose certificate is the authority's.
    Certified(Tls, Arc<Certified>),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_members_connections_are_closed_and_nobody_elses() {
        let connections = Connections::default();
        let [north, south] = ["node:north", "node:south"].map(|name| name.parse().unwrap());
        let open = [connections.enter(&north), connections.enter(&north)];
        let other = connections.enter(&south);
        drop(connections.enter(&north));
        assert_eq!(connections.close(&north), 2);
        assert!(open.iter().all(|open| open.closing.is_cancelled()));
        assert!(!other.closing.is_cancelled());
        assert_eq!(connections.close(&north), 0);
        drop(open);
        assert_eq!(connections.close(&south), 1);
    }
}
