//! What a node that was restored from a backup remembers of it, so that nothing runs a second time.

use protocol::{DatasetId, Digest, ResearcherId, RoundId, Timestamp};
use rusqlite::OptionalExtension;
use serde::{Deserialize, Serialize};
use store::{Transaction, rusqlite};

use super::{Error, from_json, grants, rounds, to_json};

/// The last restore of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restore {
    /// Counted from 1: the node's lives after its first.
    pub epoch: u64,
    /// When the backup was made.
    pub backup_at: Timestamp,
    /// When it was restored.
    pub restored_at: Timestamp,
    /// A request that was made up to then is refused.
    pub refused_until: Timestamp,
    /// Whether nobody can say any more what ran in between.
    pub is_log_lost: bool,
    /// What ran in between, where the audit log says so.
    pub spent: Vec<Spent>,
    /// Grants up to this number have run nobody knows how many rounds.
    pub uncounted_grants: u64,
}

/// A round that ran after the backup was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Its id.
    pub round_id: RoundId,
    /// Who asked.
    pub researcher_id: ResearcherId,
    /// On which dataset.
    pub dataset_id: DatasetId,
    /// The grant that it counts under.
    pub grant: Option<u64>,
    /// When its first attempt started.
    pub at: Timestamp,
}

/// The last restore, where there was one.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn latest(transaction: &Transaction<'_>) -> Result<Option<Restore>, Error> {
    let select = "SELECT value FROM node_settings WHERE key = 'restore'";
    let text: Option<String> = transaction.query_row(select, [], |row| row.get(0)).optional()?;
    text.map(|text| from_json("the last restore", &text)).transpose()
}

/// Opens the node's next life: notes the restore, counts what ran in between, ends every round that has not ended, and
/// pauses, for what the owner decided in between is not in the backup.
///
/// Gives how many rounds it ended. Replies that were written stay, and may be said again.
///
/// # Errors
///
/// Where the database cannot be written.
pub fn begin(transaction: &Transaction<'_>, mut restore: Restore) -> Result<u64, Error> {
    if restore.is_log_lost {
        restore.uncounted_grants = grants::latest(transaction)?;
    }
    for spent in &restore.spent {
        if let Some(grant) = spent.grant {
            let own = Digest::of(spent.round_id.to_string().as_bytes());
            grants::count(transaction, grant, &own, spent.round_id)?;
        }
    }
    transaction.execute(
        "INSERT INTO node_settings (key, value) VALUES ('restore', ?1) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [to_json(&restore)],
    )?;
    super::set_paused(transaction, true)?;
    let mut ended = 0;
    for round in rounds::open(transaction)? {
        // A reply that cannot be read was never sent either.
        if !matches!(rounds::reply(transaction, round), Ok(Some(_))) {
            rounds::abandon(transaction, round, restore.restored_at)?;
            ended += 1;
        }
    }
    Ok(ended)
}

/// Whether nobody can say how many rounds ran under a grant.
pub(super) fn is_uncounted(transaction: &Transaction<'_>, grant: u64) -> Result<bool, Error> {
    Ok(latest(transaction)?.is_some_and(|restore| grant <= restore.uncounted_grants))
}

/// Whether a request that the journal has no reply to may have been run by an earlier life of this node.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn is_spent(transaction: &Transaction<'_>, id: RoundId) -> Result<bool, Error> {
    Ok(latest(transaction)?.is_some_and(|restore| restore.refuses(id)))
}

impl Restore {
    /// Whether a round's id says that it was made before the restore, or does not say when it was made.
    fn refuses(&self, id: RoundId) -> bool {
        let made = id.uuid().get_timestamp().map(|timestamp| timestamp.to_unix());
        let Some((seconds, nanoseconds)) = made.filter(|_| id.uuid().get_version_num() == 7) else {
            return true;
        };
        let made = seconds.saturating_mul(1_000).saturating_add(u64::from(nanoseconds / 1_000_000));
        made <= self.refused_until.milliseconds()
    }

    /// How many rounds count as run since an instant that no row tells of.
    pub(super) fn untold(
        &self,
        researcher: &ResearcherId,
        dataset: DatasetId,
        since: Timestamp,
    ) -> u64 {
        if since >= self.restored_at {
            return 0;
        }
        if self.is_log_lost {
            // Any number may have run, so whatever is allowed counts as used.
            return UNKNOWN;
        }
        let is_alike = |spent: &&Spent| {
            spent.researcher_id == *researcher && spent.dataset_id == dataset && spent.at >= since
        };
        self.spent.iter().filter(is_alike).count() as u64
    }
}

/// Any number, and more than any bound.
pub(super) const UNKNOWN: u64 = u32::MAX as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn restore(is_log_lost: bool, spent: Vec<Spent>) -> Restore {
        let restored_at = Timestamp::from_milliseconds(1_750_000_000_000);
        Restore {
            epoch: 1,
            backup_at: Timestamp::from_milliseconds(1_740_000_000_000),
            restored_at,
            refused_until: restored_at,
            is_log_lost,
            spent,
            uncounted_grants: 0,
        }
    }

    #[test]
    fn a_request_is_refused_up_to_the_instant_and_without_one() {
        let restore = restore(false, Vec::new());
        let id = |milliseconds| {
            let builder = uuid::Builder::from_unix_timestamp_millis(milliseconds, &[7; 10]);
            RoundId::from_uuid(builder.into_uuid())
        };
        assert!(restore.refuses(id(1_749_999_999_999)));
        assert!(restore.refuses(id(1_750_000_000_000)));
        assert!(!restore.refuses(id(1_750_000_000_001)));
        let untimed = RoundId::from_uuid(uuid::Builder::from_random_bytes([7; 16]).into_uuid());
        assert!(restore.refuses(untimed));
    }

    #[test]
    fn what_the_log_tells_counts_and_what_nobody_can_tell_counts_as_everything() {
        let researcher: ResearcherId = "ada".parse().unwrap();
        let dataset: DatasetId = "0197f3a0-0000-7000-8000-000000000003".parse().unwrap();
        let spent = Spent {
            round_id: "0197f3a0-0000-7000-8000-000000000001".parse().unwrap(),
            researcher_id: researcher.clone(),
            dataset_id: dataset,
            grant: None,
            at: Timestamp::from_milliseconds(1_749_999_000_000),
        };
        let since = Timestamp::from_milliseconds(1_749_998_000_000);
        let told = restore(false, vec![spent]);
        assert_eq!(told.untold(&researcher, dataset, since), 1);
        assert_eq!(told.untold(&"bob".parse().unwrap(), dataset, since), 0);
        let later = Timestamp::from_milliseconds(1_749_999_000_001);
        assert_eq!(told.untold(&researcher, dataset, later), 0);
        let lost = restore(true, Vec::new());
        assert_eq!(lost.untold(&researcher, dataset, since), UNKNOWN);
        assert_eq!(lost.untold(&researcher, dataset, lost.restored_at), 0);
    }
}
