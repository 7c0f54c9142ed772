//! Metrics over the whole validation subset: the plan predicts, the node computes.

use dataset::Interrupt;
use protocol::{MetricsReport, Warning};
use serde_json::{Map, Value};
use training_plan::arguments::Validation;
use training_plan::metric::{
    Metric, MetricOptions, MetricTask, Observations, evaluate, summarise, summarise_regression,
};

use super::dialogue::{Dialogue, Enclosed, Step};
use super::frame::Patience;
use super::message::{self, Part, Request, Said, TruthKind};
use crate::{Failure, Measurement, Stage, Validated, ValidationOutcome};

/// One validation.
pub(super) struct Pass<'a> {
    pub(super) arguments: &'a Validation,
    /// The metrics that the plan declares, if it does.
    pub(super) declared: Option<&'a [String]>,
    /// The metric that the plan means where none is named.
    pub(super) usual: Option<Metric>,
    /// Rows of the validation subset.
    pub(super) rows: usize,
}

impl Pass<'_> {
    /// Has the subset predicted, and computes.
    pub(super) fn run(
        &self,
        validated: Validated,
        dialogue: &mut Dialogue,
        patience: &mut Patience<'_>,
    ) -> Result<ValidationOutcome, Failure> {
        if self.rows == 0 {
            // With no split at all the arguments themselves have given a warning.
            let is_asked = self.arguments.test_ratio > 0.0;
            let warnings = if is_asked { vec![Warning::ValidationEmpty] } else { Vec::new() };
            return Ok(ValidationOutcome { report: None, warnings });
        }
        let request = Request::Validate {
            which: match validated {
                Validated::Global => "global",
                Validated::Local => "local",
            },
            metric: self.arguments.metric.map(Metric::name),
            metric_args: &self.arguments.metric_args,
            batch_size: self.arguments.batch_size.map_or(0, std::num::NonZeroU64::get),
        };
        dialogue.begin(Step::Validate, &request, Enclosed::default(), patience)?;
        let (rated, values) = self.listen(dialogue, patience)?;
        let outcome = match rated {
            Some(rated) if values.is_empty() => self.compute(&rated, patience)?,
            _ => self.of_plan(&values),
        };
        if let Some(report) = outcome.report.as_ref().filter(|report| !report.metrics.is_empty()) {
            patience.monitor().measured(self.measurement(validated, report));
        }
        Ok(outcome)
    }

    /// Collects what the worker predicts, until it is done.
    fn listen(
        &self,
        dialogue: &mut Dialogue,
        patience: &mut Patience<'_>,
    ) -> Result<(Option<Rated>, Map<String, Value>), Failure> {
        let mut rated: Option<Rated> = None;
        loop {
            let (said, payload) = dialogue.next(patience)?;
            match said {
                Said::Part(part) => {
                    let known = rated.get_or_insert_with(|| Rated::of(part));
                    if let Err(text) = known.add(part, &payload, self.rows) {
                        return Err(dialogue.broken(text));
                    }
                }
                Said::Done(done) => {
                    let done: message::Validated = dialogue.done(done)?;
                    let predicted = rated.as_ref().map(|rated| rated.rows);
                    if predicted.is_some_and(|rows| rows != self.rows) {
                        return Err(
                            dialogue.broken("predictions of other rows than were asked for")
                        );
                    }
                    return Ok((rated, done.values));
                }
                Said::Scalar(_) | Said::Order(_) | Said::Labels(_) | Said::Failed(_) => {
                    return Err(dialogue.broken("a message that is out of place in a validation"));
                }
            }
        }
    }

    /// The values that the plan's own testing step gives; the node can only hold them to their names.
    fn of_plan(&self, values: &Map<String, Value>) -> ValidationOutcome {
        let mut outcome = ValidationOutcome::default();
        let mut report = self.report();
        for (name, value) in values.iter().take(MOST_METRICS) {
            match value.as_f64().filter(|value| value.is_finite()) {
                Some(value) => report.metrics.push((name.clone(), value)),
                None => outcome.warnings.push(Warning::MetricFailed),
            }
        }
        if report.metrics.is_empty() {
            outcome.warnings.push(Warning::MetricFailed);
        }
        outcome.warnings.dedup();
        outcome.report = Some(report);
        outcome
    }

    fn compute(
        &self,
        rated: &Rated,
        patience: &mut Patience<'_>,
    ) -> Result<ValidationOutcome, Failure> {
        let asked = self.arguments.metric.or(self.usual).unwrap_or_else(|| rated.usual_metric());
        let usual = MetricOptions { classes: rated.classes(), ..MetricOptions::default() };
        let chosen =
            MetricOptions { classes: rated.classes(), ..self.arguments.metric_options.clone() };
        let mut outcome = ValidationOutcome::default();
        let mut report = self.report();
        for metric in self.metrics(asked) {
            crate::monitor::interruptibly(patience.monitor(), "computing metrics", look)?;
            let options = if metric == asked { &chosen } else { &usual };
            match evaluate(metric, rated.truth(), rated.prediction(), options) {
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
        let sums = match (rated.kind, asked.task()) {
            (TruthKind::Label, MetricTask::Classification) => rated
                .has_class_numbers()
                .then(|| summarise(rated.truth(), rated.prediction(), &chosen).ok())
                .flatten(),
            (TruthKind::Number, _) | (_, MetricTask::Regression) => {
                summarise_regression(rated.truth(), rated.prediction()).ok()
            }
        };
        report.sums = sums.and_then(|sums| serde_json::to_value(sums).ok());
        outcome.warnings.dedup();
        outcome.report = Some(report);
        Ok(outcome)
    }

    /// The metrics to compute: the declared ones that the node knows, and the one that was asked for.
    fn metrics(&self, asked: Metric) -> Vec<Metric> {
        let declared = self.declared.unwrap_or_default().iter();
        let mut metrics: Vec<Metric> = declared.filter_map(|name| name.parse().ok()).collect();
        if !metrics.contains(&asked) {
            metrics.push(asked);
        }
        metrics
    }

    fn report(&self) -> MetricsReport {
        MetricsReport { validation_count: self.rows as u64, ..MetricsReport::default() }
    }

    fn measurement(&self, validated: Validated, report: &MetricsReport) -> Measurement {
        let size = self.arguments.batch_size.map_or(u64::MAX, std::num::NonZeroU64::get);
        let batches = report.validation_count.div_ceil(size);
        Measurement {
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
        }
    }
}

fn look(interrupt: &mut Interrupt<'_>) -> Result<(), Failure> {
    Ok(interrupt.look()?)
}

/// Truth and prediction of rows.
struct Rated {
    kind: TruthKind,
    /// Columns of the truth and of the prediction.
    widths: [usize; 2],
    rows: usize,
    truth: Vec<f64>,
    predictions: Vec<f64>,
}

impl Rated {
    fn of(part: Part) -> Self {
        let widths = [part.truth.columns, part.prediction.columns];
        Self { kind: part.truth.kind, widths, rows: 0, truth: Vec::new(), predictions: Vec::new() }
    }

    /// Takes the rows of a part; there cannot be more than the subset has.
    fn add(&mut self, part: Part, payload: &[u8], most: usize) -> Result<(), &'static str> {
        let widths = [part.truth.columns, part.prediction.columns];
        let is_narrow = widths.iter().all(|width| (1..=MOST_COLUMNS).contains(width));
        if !is_narrow || widths != self.widths || part.truth.kind != self.kind {
            return Err("predictions of another shape than before");
        }
        if part.rows > most - self.rows {
            return Err("predictions of more rows than were asked for");
        }
        if payload.len() != part.rows * (widths[0] + widths[1]) * 8 {
            return Err("predictions of another length than announced");
        }
        let values = payload.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes));
        let split = part.rows * widths[0];
        self.truth.extend(values.clone().take(split));
        self.predictions.extend(values.skip(split));
        self.rows += part.rows;
        Ok(())
    }

    /// The metric of the task that the truth shows.
    const fn usual_metric(&self) -> Metric {
        match self.kind {
            TruthKind::Label => Metric::Accuracy,
            TruthKind::Number => Metric::MeanSquareError,
        }
    }

    /// Whether whole numbers are small enough to be the numbers of classes: the sums name every class that occurs,
    /// so a measured value, such as an age in days or a record's number, must not pass for one.
    fn has_class_numbers(&self) -> bool {
        let is_class = |value: &f64| value.fract() != 0.0 || value.abs() < MOST_CLASSES;
        let single = |values: &[f64], width: usize| width > 1 || values.iter().all(is_class);
        single(&self.truth, self.widths[0]) && single(&self.predictions, self.widths[1])
    }

    fn truth(&self) -> Observations<'_> {
        Observations::shaped(&self.truth, &[self.rows, self.widths[0]])
    }

    fn prediction(&self) -> Observations<'_> {
        Observations::shaped(&self.predictions, &[self.rows, self.widths[1]])
    }

    /// The number of classes, where the prediction tells it: the rows of this site may not have them all.
    fn classes(&self) -> Option<usize> {
        let width = self.widths[1];
        match self.kind {
            TruthKind::Number => None,
            TruthKind::Label if width > 1 => Some(width),
            TruthKind::Label => {
                let is_binary = self.truth.iter().all(|label| [0.0, 1.0].contains(label));
                is_binary.then_some(2)
            }
        }
    }
}

/// Values of one validation.
const MOST_METRICS: usize = 32;

/// The numbers of classes lie below, on both sides of zero.
const MOST_CLASSES: f64 = 1_000.0;

/// Columns of a truth or a prediction.
const MOST_COLUMNS: usize = 65_536;
