//! The roll in memory: asked for each request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use identity::{Certified, Member, PublicKey};
use protocol::Timestamp;
use store::Clock;
use transport::server::security::{Refused, Roster};

/// The members that are let in, each with the identity that it has now.
#[derive(Debug)]
pub(crate) struct Roll {
    members: RwLock<HashMap<Member, PublicKey>>,
    refusals: AtomicU64,
    clock: Arc<dyn Clock>,
    told: Mutex<(Timestamp, u32)>,
}

impl Roll {
    pub(super) fn new(members: Vec<(Member, PublicKey)>, clock: Arc<dyn Clock>) -> Self {
        let members = RwLock::new(members.into_iter().collect());
        Self { members, refusals: AtomicU64::new(0), clock, told: Mutex::default() }
    }

    /// Takes over what the database says of a member: the identity that it has now, or that it is out.
    ///
    /// Whoever changes a member calls this after the commit. The lookup is made while nobody else can change the roll,
    /// so that of two changes at once the one that was committed last counts, whichever was told last.
    pub(super) fn settle<E>(
        &self,
        member: &Member,
        look: impl FnOnce() -> Result<Option<PublicKey>, E>,
    ) -> Result<(), E> {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        match look() {
            Ok(Some(identity)) => members.insert(member.clone(), identity),
            Ok(None) => members.remove(member),
            Err(error) => {
                // Who is not known to be a member is not treated as one.
                members.remove(member);
                return Err(error);
            }
        };
        Ok(())
    }

    /// How many callers were refused since the start.
    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Counts a refusal and, unless there are very many, writes it down.
    pub(crate) fn note(&self, address: SocketAddr, reason: &dyn std::fmt::Display) {
        let refusals = self.refusals.fetch_add(1, Ordering::Relaxed) + 1;
        let now = self.clock.now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back begins another minute.
        if now < told.0 || told.0.until(now) >= MINUTE {
            *told = (now, 0);
        }
        told.1 += 1;
        if told.1 <= MOST_LINES {
            tracing::warn!(%address, %reason, refusals, "a caller is refused");
        }
    }
}

impl Roster for Roll {
    fn admits(&self, certified: &Certified) -> bool {
        let members = self.members.read().unwrap_or_else(PoisonError::into_inner);
        let identity = members.get(&certified.member);
        identity.is_some_and(|identity| super::is_of(certified, identity))
    }

    fn refused(&self, address: SocketAddr, refused: &Refused) {
        self.note(address, refused);
    }
}

const MINUTE: Duration = Duration::from_secs(60);

/// Refusals that are written down within a minute; the count goes on.
const MOST_LINES: u32 = 60;
