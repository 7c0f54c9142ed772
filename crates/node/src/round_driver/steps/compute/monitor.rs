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
    few: Few,
}

/// What was measured over batches of few rows, until they are enough together.
#[derive(Default)]
struct Few {
    samples: u64,
    /// Of each value its sum, each batch with the weight of its rows.
    sums: Vec<(String, f64)>,
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
            few: Few::default(),
        }
    }

    pub(super) fn count(&self) -> ScalarCount {
        self.count
    }

    /// What may be told of a measurement: what was measured over few rows stays, here as in the reply. Of a validation
    /// those are all its rows; while training they are the batch's, whose loss would else be one patient's: batches are
    /// told together, by their mean, once they have enough rows.
    fn among_enough(&mut self, measurement: Measurement) -> Option<Measurement> {
        let enough = self.terms.minimum_validation_samples;
        if !matches!(measurement.stage, Stage::Training { .. }) {
            return (measurement.total_samples >= enough).then_some(measurement);
        }
        if self.few.samples == 0 && measurement.batch_samples >= enough {
            return Some(measurement);
        }
        self.few.add(measurement.batch_samples, &measurement.metrics);
        if self.few.samples < enough {
            return None;
        }
        let (batch_samples, metrics) = std::mem::take(&mut self.few).mean();
        Some(Measurement { batch_samples, metrics, ..measurement })
    }

    fn may_leave(&self, name: &str, value: f64) -> bool {
        let is_loss = name.eq_ignore_ascii_case(LOSS);
        value.is_finite() && (is_loss || self.declared.iter().any(|declared| declared == name))
    }
}

impl Few {
    #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer rows than 2^53")]
    fn add(&mut self, samples: u64, metrics: &[(String, f64)]) {
        self.samples += samples;
        for (name, value) in metrics {
            let weighted = value * samples as f64;
            match self.sums.iter_mut().find(|(known, _)| known == name) {
                Some((_, sum)) => *sum += weighted,
                None => self.sums.push((name.clone(), weighted)),
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a batch has far fewer rows than 2^53")]
    fn mean(self) -> (u64, Vec<(String, f64)>) {
        let samples = self.samples as f64;
        let means = self.sums.into_iter().map(|(name, sum)| (name, sum / samples));
        (self.samples, means.collect())
    }
}

impl Monitor for ScalarMonitor {
    fn measured(&mut self, measurement: Measurement) {
        self.count.sequence += 1;
        if self.count.sent >= self.terms.scalars_per_round {
            self.count.dropped += 1;
            return;
        }
        let Some(measurement) = self.among_enough(measurement) else { return };
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
