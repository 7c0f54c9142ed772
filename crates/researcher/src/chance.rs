//! What is drawn once, at submission, and recorded: identifiers and seeds.

use protocol::{Digest, ExperimentId};
use uuid::Uuid;

/// A new experiment's identifier.
pub(crate) fn experiment_id() -> ExperimentId {
    ExperimentId::from_uuid(Uuid::now_v7())
}

/// A seed for an experiment whose file has none.
pub(crate) fn seed() -> u64 {
    // A UUID has fixed bits; the digest of two spreads what is random over all of the seed.
    let drawn = [Uuid::now_v7().into_bytes(), Uuid::now_v7().into_bytes()].concat();
    let digest = Digest::of(&drawn);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest.as_bytes()[..8]);
    u64::from_le_bytes(bytes)
}
