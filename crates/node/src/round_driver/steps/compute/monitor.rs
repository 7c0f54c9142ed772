//! Sends what is measured while a plan works, within the node's bounds, and never holds the work up.

use std::sync::Arc;
use std::time::Instant;

use protocol::Scalar;
use runtime::{Interruption, Measurement, Monitor, Stage};

use super::super::super::bench::ScalarCount;
use super::super::Work;
use crate::policy::Terms;
use crate::site::Site;
use crate::stop_flag::StopFlag;

/// Turns measurements into scalars, and a raised flag into an interruption.
pub(super) struct ScalarMonitor {
    site: Arc<Site>,
    stop: StopFlag,
    round_id: protocol::RoundId,
    attempt: u32,
    declared: Vec<String>,
    count: ScalarCount,
    terms: Arc<Terms>,
    due: Option<Instant>,
}

impl ScalarMonitor {
    pub(super) fn new(
        work: &Work,
        count: ScalarCount,
        terms: Arc<Terms>,
        due: Option<Instant>,
    ) -> Self {
        Self {
            site: Arc::clone(&work.site),
            stop: work.stop.clone(),
            round_id: work.request.round_id,
            attempt: work.ticket.attempt,
            declared: work.findings.declared_metrics.clone(),
            count,
            terms,
            due,
        }
    }

    pub(super) fn count(&self) -> ScalarCount {
        self.count
    }

    /// What was measured over few rows stays, here as in the reply: of a validation all its rows, while training those of
    /// the batch, whose loss would else be one patient's.
    fn is_withheld(&self, measurement: &Measurement) -> bool {
        let samples = match measurement.stage {
            Stage::Training { .. } => measurement.batch_samples,
            Stage::ValidatingGlobal | Stage::ValidatingLocal => measurement.total_samples,
        };
        samples < self.terms.minimum_validation_samples
    }

    fn may_leave(&self, name: &str, value: f64) -> bool {
        let is_loss = name.eq_ignore_ascii_case(LOSS);
        value.is_finite() && (is_loss || self.declared.iter().any(|declared| declared == name))
    }
}

impl Monitor for ScalarMonitor {
    fn measured(&mut self, measurement: Measurement) {
        self.count.sequence += 1;
        if self.count.sent >= self.terms.scalars_per_round {
            self.count.dropped += 1;
            return;
        }
        if self.is_withheld(&measurement) {
            return;
        }
        let Measurement { stage, mut metrics, .. } = measurement;
        metrics.retain(|(name, value)| self.may_leave(name, *value));
        self.terms.metrics.apply(&mut metrics);
        if metrics.is_empty() {
            return;
        }
        self.count.sent += 1;
        let (train, epoch) = match stage {
            Stage::Training { epoch } => (true, Some(epoch)),
            Stage::ValidatingGlobal | Stage::ValidatingLocal => (false, None),
        };
        self.site.outbox.send_scalar(Scalar {
            round_id: self.round_id,
            attempt: self.attempt,
            sequence: self.count.sequence,
            train,
            test: !train,
            test_on_local_updates: stage == Stage::ValidatingLocal,
            test_on_global_updates: stage == Stage::ValidatingGlobal,
            metrics,
            epoch,
            iteration: measurement.iteration,
            total_samples: measurement.total_samples,
            batch_samples: measurement.batch_samples,
            num_batches: measurement.num_batches,
            num_samples_trained: measurement.num_samples_trained,
        });
    }

    fn interruption(&mut self) -> Option<Interruption> {
        if self.stop.is_raised() {
            return Some(Interruption::Cancelled);
        }
        let is_over = self.due.is_some_and(|due| Instant::now() >= due);
        is_over.then_some(Interruption::TimeIsUp)
    }
}

/// The one value that every plan measures while it trains.
const LOSS: &str = "loss";
