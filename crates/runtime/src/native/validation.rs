//! Metrics over the whole validation subset.

use dataset::Interrupt;
use engine::{Loss, Model};
use protocol::{MetricsReport, Warning};
use training_plan::Plan;
use training_plan::arguments::Validation;
use training_plan::metric::{
    Metric, MetricOptions, Observations, evaluate, summarise, summarise_regression,
};
use training_plan::plan::Task;

use super::preparation::Prepared;
use super::training::BatchBuffer;
use crate::monitor::interruptibly;
use crate::{Failure, Measurement, Monitor, Stage, Validated, ValidationOutcome};

/// One validation of one model.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) plan: &'a Plan,
    pub(super) loss: &'a Loss,
    pub(super) model: &'a Model,
    pub(super) data: &'a Prepared,
    pub(super) arguments: &'a Validation,
}

impl Pass<'_> {
    pub(super) fn run(
        self,
        validated: Validated,
        monitor: &mut dyn Monitor,
    ) -> Result<ValidationOutcome, Failure> {
        let rows = &self.data.split.validation;
        if rows.is_empty() {
            // With no split at all the arguments themselves have given a warning.
            let warnings = if self.arguments.test_ratio > 0.0 {
                vec![Warning::ValidationEmpty]
            } else {
                Vec::new()
            };
            return Ok(ValidationOutcome { report: None, warnings });
        }
        let size = self
            .arguments
            .batch_size
            .map_or(usize::MAX, |size| usize::try_from(size.get()).unwrap_or(usize::MAX));
        let mut rated = Rated::new(self.plan.data().task(), self.plan.data().outputs());
        let mut batch = BatchBuffer::default();
        let batches = rows.chunks(size.min(rows.len()).min(most_rows(self.model)));
        let count = batches.len() as u64;
        for part in batches {
            interruptibly(monitor, "validating", |interrupt| Ok(interrupt.look()?))?;
            batch.fill(self.data, part);
            rated.add(self.model, self.loss, &batch);
        }
        let mut outcome = interruptibly(monitor, "computing metrics", |interrupt| {
            rated.report(self.plan.metrics().names(), self.options(), interrupt)
        })?;
        if self
            .arguments
            .metric
            .is_some_and(|metric| !self.plan.metrics().names().contains(&metric))
        {
            outcome.warnings.push(Warning::MetricNotDeclared);
        }
        self.tell(&outcome, validated, count, monitor);
        Ok(outcome)
    }

    /// The options of the metric that was asked for, else of the plan's default.
    fn options(self) -> Options {
        let metric = self.arguments.metric.unwrap_or_else(|| self.plan.metrics().default());
        Options { metric, options: self.arguments.metric_options.clone() }
    }

    fn tell(
        self,
        outcome: &ValidationOutcome,
        validated: Validated,
        batches: u64,
        monitor: &mut dyn Monitor,
    ) {
        let Some(report) = &outcome.report else { return };
        if report.metrics.is_empty() {
            return;
        }
        monitor.measured(Measurement {
            stage: match validated {
                Validated::Global => Stage::ValidatingGlobal,
                Validated::Local => Stage::ValidatingLocal,
            },
            metrics: report.metrics.clone(),
            iteration: batches,
            total_samples: report.validation_count,
            batch_samples: report.validation_count,
            num_batches: batches,
            num_samples_trained: 0,
        });
    }
}

/// How one metric is computed where there is a choice; the others are as usual.
pub(super) struct Options {
    pub(super) metric: Metric,
    pub(super) options: MetricOptions,
}

/// Truth and prediction of rows.
pub(super) struct Rated {
    task: Task,
    outputs: usize,
    truth: Vec<f64>,
    predictions: Vec<f64>,
}

impl Rated {
    pub(super) fn new(task: Task, outputs: usize) -> Self {
        Self { task, outputs, truth: Vec::new(), predictions: Vec::new() }
    }

    /// Predicts the rows of a batch.
    pub(super) fn add(&mut self, model: &Model, loss: &Loss, batch: &BatchBuffer) {
        let outputs = model.predict(&batch.features).expect("the rows have the model's inputs");
        let predictions = loss.predictions(&outputs, self.outputs);
        self.predictions.extend(predictions.into_iter().map(f64::from));
        self.truth.extend(batch.targets.iter().copied().map(f64::from));
    }

    /// Computes the metrics; one that cannot be is left out, with a warning.
    ///
    /// # Errors
    ///
    /// Only where it is interrupted.
    pub(super) fn report(
        &self,
        metrics: &[Metric],
        chosen: Options,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<ValidationOutcome, Failure> {
        let classes = match self.task {
            Task::Binary => Some(2),
            Task::Multiclass => Some(self.outputs),
            Task::Regression => None,
        };
        let usual = MetricOptions { classes, ..MetricOptions::default() };
        let asked = MetricOptions { classes, ..chosen.options };
        let truth = Observations::numbers(&self.truth);
        let shape = [self.truth.len(), self.outputs];
        let predictions = Observations::shaped(&self.predictions, &shape);
        let mut outcome = ValidationOutcome::default();
        let mut report =
            MetricsReport { validation_count: self.truth.len() as u64, ..MetricsReport::default() };
        for metric in metrics {
            interrupt.look()?;
            let options = if *metric == chosen.metric { &asked } else { &usual };
            match evaluate(*metric, truth, predictions, options) {
                Ok(evaluation) => {
                    let value = evaluation.value;
                    report.metrics.extend(value.map(|value| (metric.name().to_owned(), value)));
                    outcome.warnings.extend(evaluation.warning);
                }
                Err(error) => {
                    tracing::warn!(%metric, %error, "a metric could not be computed");
                    outcome.warnings.push(Warning::MetricFailed);
                }
            }
        }
        interrupt.look()?;
        let sums = match self.task {
            Task::Binary | Task::Multiclass => summarise(truth, predictions, &asked),
            Task::Regression => summarise_regression(truth, predictions),
        };
        report.sums = sums.ok().and_then(|sums| serde_json::to_value(sums).ok());
        outcome.warnings.dedup();
        outcome.report = Some(report);
        Ok(outcome)
    }
}

/// The most rows that are predicted at once, whatever was asked for: it bounds the memory, and the time in which an
/// interruption is not seen.
pub(super) fn most_rows(model: &Model) -> usize {
    (MOST_PRODUCTS / model.size().max(1)).clamp(1, 1 << 14)
}

/// The most products of a row's values with parameters at once: some tenths of a second.
const MOST_PRODUCTS: usize = 1 << 31;
