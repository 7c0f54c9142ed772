//! Scalars.

use super::reply::{metrics, metrics_to_wire};
use super::{Error, parse, v1};
use crate::Scalar;

impl TryFrom<v1::Scalar> for Scalar {
    type Error = Error;

    fn try_from(wire: v1::Scalar) -> Result<Self, Error> {
        Ok(Self {
            round_id: parse("scalar.round_id", &wire.round_id)?,
            attempt: wire.attempt,
            sequence: wire.sequence,
            train: wire.train,
            test: wire.test,
            test_on_local_updates: wire.test_on_local_updates,
            test_on_global_updates: wire.test_on_global_updates,
            metrics: metrics("scalar.metrics", wire.metrics)?,
            epoch: wire.epoch,
            iteration: wire.iteration,
            total_samples: wire.total_samples,
            batch_samples: wire.batch_samples,
            num_batches: wire.num_batches,
            num_samples_trained: wire.num_samples_trained,
        })
    }
}

impl From<Scalar> for v1::Scalar {
    fn from(scalar: Scalar) -> Self {
        Self {
            round_id: scalar.round_id.to_string(),
            attempt: scalar.attempt,
            sequence: scalar.sequence,
            train: scalar.train,
            test: scalar.test,
            test_on_local_updates: scalar.test_on_local_updates,
            test_on_global_updates: scalar.test_on_global_updates,
            metrics: metrics_to_wire(scalar.metrics),
            epoch: scalar.epoch,
            iteration: scalar.iteration,
            total_samples: scalar.total_samples,
            batch_samples: scalar.batch_samples,
            num_batches: scalar.num_batches,
            num_samples_trained: scalar.num_samples_trained,
        }
    }
}
