//! Round ids that a replay makes again.

use protocol::{ExperimentId, RoundId, Timestamp};
use sha2::{Digest as _, Sha256};

use super::Site;

/// Derives the id of one execution: a UUIDv7 whose 48 bits of time are the journaled `now` and whose other bits
/// are SHA-256 over experiment, round, attempt, node and dataset, each with its length before it.
pub(super) fn derive(
    experiment: ExperimentId,
    round: u32,
    attempt: u32,
    site: &Site,
    now: Timestamp,
) -> RoundId {
    let mut hash = Sha256::new();
    let uuid = experiment.uuid();
    let parts: [&[u8]; 6] = [
        LABEL,
        uuid.as_bytes(),
        &round.to_le_bytes(),
        &attempt.to_le_bytes(),
        site.node.as_str().as_bytes(),
        site.dataset.as_str().as_bytes(),
    ];
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut other = [0; 10];
    other.copy_from_slice(&digest[..10]);
    let uuid = uuid::Builder::from_unix_timestamp_millis(now.milliseconds(), &other).into_uuid();
    RoundId::from_uuid(uuid)
}

const LABEL: &[u8] = b"wardround/round-id/v1";

#[cfg(test)]
mod tests {
    use super::*;

    fn site(node: &str, dataset: &str) -> Site {
        Site { node: node.parse().unwrap(), dataset: dataset.parse().unwrap() }
    }

    fn experiment() -> ExperimentId {
        "0197f3a0-0000-7000-8000-000000000001".parse().unwrap()
    }

    #[test]
    fn the_same_execution_at_the_same_instant_has_the_same_id() {
        let now = Timestamp::from_milliseconds(1_750_000_000_000);
        let id = derive(experiment(), 1, 1, &site("north", "records"), now);
        assert_eq!(id, derive(experiment(), 1, 1, &site("north", "records"), now));
        assert_eq!(id.uuid().get_version_num(), 7);
        assert!(id.to_string().starts_with("01977420-dc00-7"), "{id}");
    }

    #[test]
    fn every_part_of_an_execution_changes_its_id() {
        let now = Timestamp::from_milliseconds(1_750_000_000_000);
        let ids = [
            derive(experiment(), 1, 1, &site("north", "records"), now),
            derive(experiment(), 2, 1, &site("north", "records"), now),
            derive(experiment(), 1, 2, &site("north", "records"), now),
            derive(experiment(), 1, 1, &site("northr", "ecords"), now),
            derive(experiment(), 1, 1, &site("north", "images"), now),
        ];
        let distinct: std::collections::BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
