//! What the steps of one attempt hand to each other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{Digest, MetricsReport, Phase, Timing, Warning};
use runtime::Confinement;
use serde_json::{Map, Value};
use store::artifact::Pin;
use training_plan::arguments::TrainingArguments;

use crate::carrier::Fetched;
use crate::policy::Terms;
use crate::registry::datasets::Dataset;

/// The things an attempt works with; gone with the attempt.
#[derive(Default)]
pub(crate) struct Bench {
    pub(crate) arguments: Option<TrainingArguments>,
    /// The owner's policy for the dataset, the same for the whole attempt.
    pub(crate) terms: Option<Arc<Terms>>,
    pub(crate) plan: Option<Fetched>,
    pub(crate) parameters: Option<Fetched>,
    pub(crate) session: Option<Session>,
    /// When the plan's time is over, where the policy bounds it.
    pub(crate) due: Option<Instant>,
    /// Keeps the update until its record does: another round may delete a file of the same bytes.
    pub(crate) update_pin: Option<Pin>,
    /// A short update, which travels inside the reply.
    pub(crate) carried: Option<Vec<u8>>,
    pub(crate) scalars: ScalarCount,
}

/// A plan that a runtime has built.
pub(crate) struct Session {
    pub(crate) instance: Box<dyn runtime::Instance>,
    pub(crate) dataset: Dataset,
}

/// The scalars of an attempt.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ScalarCount {
    /// Numbers given, of dropped ones, too: a gap shows them.
    pub(crate) sequence: u64,
    /// Messages that left.
    pub(crate) sent: u64,
    /// Messages that did not, because of the node's bound.
    pub(crate) dropped: u64,
}

/// The numbers of an attempt, for the export record and the reply.
#[derive(Debug, Clone, Default)]
pub(crate) struct Findings {
    pub(crate) sample_count: u64,
    /// The grant under which the round runs.
    pub(crate) grant: Option<u64>,
    /// What exactly it says.
    pub(crate) grant_digest: Option<Digest>,
    /// Rows or subjects of patients who withdrew.
    pub(crate) excluded: u64,
    pub(crate) metrics_before: Option<MetricsReport>,
    pub(crate) metrics_after: Option<MetricsReport>,
    pub(crate) optimizer_args: Map<String, Value>,
    pub(crate) declared_metrics: Vec<String>,
    /// How the plan was confined.
    pub(crate) confinement: Option<Confinement>,
    pub(crate) warnings: Vec<Warning>,
    /// What the policy took out of the reply of an update that it holds.
    pub(crate) withheld: Vec<Warning>,
    pub(crate) timing: Timing,
}

impl Findings {
    /// Notes how long a phase took; a phase that is done again adds to itself.
    pub(crate) fn time(&mut self, phase: Phase, took: Duration) {
        let seconds = took.as_secs_f64();
        match self.timing.phases.iter_mut().find(|(other, _)| *other == phase) {
            Some((_, known)) => *known += seconds,
            None => self.timing.phases.push((phase, seconds)),
        }
    }
}
