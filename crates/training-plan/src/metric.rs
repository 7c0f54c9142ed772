//! Metrics: their names, their values on rows, and what pools them over sites.
//!
//! Values agree with scikit-learn's functions of the same names and their defaults, with these
//! choices where scikit-learn refuses or leaves one:
//!
//! - The positive class of a binary problem is the larger label.
//! - Precision, recall and F1 of more than two classes are `weighted` means unless
//!   `test_metric_args` names another `average`; ROC AUC is each class against the rest, `macro`.
//! - Dice is F1's formula, but two empty sets overlap perfectly; of more than two classes it is the
//!   `macro` mean.
//! - A fraction whose denominator is zero is 0 (`zero_division`), as scikit-learn has it.
//! - One class only has no ROC AUC: [`Evaluation::value`] is none and a coded warning says so.
//!
//! Truth and prediction are labels, probabilities of the positive class (a fraction anywhere makes
//! them probabilities; from 0.5 on a row is positive), or tables of one score for each class (the
//! first largest wins). Values are those of all rows at once, never means of batches.

mod classes;
mod confusion;
mod error;
mod likelihood;
mod name;
mod observations;
mod options;
mod pool;
mod ranking;
mod regression;

use protocol::{MetricSums, Warning};

pub use error::{MetricError, Side};
pub use name::{Metric, MetricTask, Pooling, UnknownMetric};
pub use observations::Observations;
pub use options::{MetricOptions, MultiOutput, ZeroDivision};
pub use pool::pool;

use classes::Classified;

/// The value of one metric.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The value, always finite; none where the rows do not define one.
    pub value: Option<f64>,
    /// The values of the outputs one by one, where `raw_values` were asked for and there are two
    /// or more.
    pub per_output: Vec<f64>,
    /// Why there is no value.
    pub warning: Option<Warning>,
}

/// Computes one metric over all rows.
///
/// # Errors
///
/// Returns an error that says what does not fit: lengths, dimensions, kinds of labels, values that
/// are not finite, or a prediction that the metric cannot judge.
///
/// # Examples
///
/// ```
/// use training_plan::metric::{Metric, MetricOptions, Observations, evaluate};
///
/// let truth = Observations::numbers(&[0.0, 1.0, 0.0, 1.0]);
/// let probabilities = Observations::numbers(&[0.2, 0.6, 0.7, 0.8]);
/// let options = MetricOptions::default();
/// let accuracy = evaluate(Metric::Accuracy, truth, probabilities, &options)?;
/// assert_eq!(accuracy.value, Some(0.75));
/// let area = evaluate(Metric::RocAuc, truth, probabilities, &options)?;
/// assert_eq!(area.value, Some(0.75));
/// # Ok::<(), training_plan::metric::MetricError>(())
/// ```
pub fn evaluate(
    metric: Metric,
    truth: Observations<'_>,
    prediction: Observations<'_>,
    options: &MetricOptions,
) -> Result<Evaluation, MetricError> {
    if metric == Metric::RocAuc {
        let rows = Classified::join(&truth, &prediction, options)?;
        return Ok(match ranking::roc_auc(&rows, options)? {
            Some(area) => Evaluation::of(area),
            None => Evaluation {
                value: None,
                per_output: Vec::new(),
                warning: Some(Warning::MetricSingleClass),
            },
        });
    }
    let sums = sums_for(metric, &truth, &prediction, options)?;
    let per_output = match options.multioutput {
        MultiOutput::RawValues if sums.residuals.len() > 1 => per_output(metric, &sums)?,
        MultiOutput::RawValues | MultiOutput::UniformAverage => Vec::new(),
    };
    Ok(Evaluation { per_output, ..Evaluation::of(value(metric, &sums)?) })
}

/// Sums what pools every classification metric that can be pooled.
///
/// Log loss is left out where the prediction has no probabilities.
///
/// # Errors
///
/// Returns an error where truth and prediction do not fit each other, or where the prediction has
/// neither labels nor probabilities.
pub fn summarise(
    truth: Observations<'_>,
    prediction: Observations<'_>,
    options: &MetricOptions,
) -> Result<MetricSums, MetricError> {
    let rows = Classified::join(&truth, &prediction, options)?;
    Ok(MetricSums {
        confusion: Some(confusion::count(&rows, options)?),
        log_loss: likelihood::sum(&rows).ok(),
        residuals: Vec::new(),
    })
}

/// Sums what pools every regression metric.
///
/// # Errors
///
/// Returns an error where truth and prediction do not fit each other or are not numbers.
pub fn summarise_regression(
    truth: Observations<'_>,
    prediction: Observations<'_>,
) -> Result<MetricSums, MetricError> {
    let residuals = regression::sum(&truth, &prediction)?;
    Ok(MetricSums { residuals, ..MetricSums::default() })
}

/// Computes a metric from sums, of one site or pooled; several outputs give their plain mean.
///
/// # Errors
///
/// Returns an error where the sums hold nothing for the metric, or no value exists.
pub fn value(metric: Metric, sums: &MetricSums) -> Result<f64, MetricError> {
    let not_summed = MetricError::NotSummed { metric };
    let value = match metric {
        Metric::RocAuc => return Err(not_summed),
        Metric::LogLoss => {
            let loss = sums.log_loss.filter(|loss| loss.rows > 0).ok_or(not_summed)?;
            #[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
            let rows = loss.rows as f64;
            loss.total / rows
        }
        Metric::Accuracy
        | Metric::BalancedAccuracy
        | Metric::Precision
        | Metric::Recall
        | Metric::F1Score
        | Metric::Dice => confusion::value(metric, sums.confusion.as_ref().ok_or(not_summed)?)?,
        Metric::MeanSquareError
        | Metric::MeanAbsoluteError
        | Metric::R2Score
        | Metric::ExplainedVariance => confusion::mean(&per_output(metric, sums)?),
    };
    if value.is_finite() { Ok(value) } else { Err(MetricError::Overflow { metric }) }
}

impl Evaluation {
    fn of(value: f64) -> Self {
        Self { value: Some(value), per_output: Vec::new(), warning: None }
    }
}

fn per_output(metric: Metric, sums: &MetricSums) -> Result<Vec<f64>, MetricError> {
    if sums.residuals.is_empty() {
        return Err(MetricError::NotSummed { metric });
    }
    sums.residuals.iter().map(|output| regression::value(metric, output)).collect()
}

/// The sums that one metric needs, and an error of its own kind where they cannot be had.
fn sums_for(
    metric: Metric,
    truth: &Observations<'_>,
    prediction: &Observations<'_>,
    options: &MetricOptions,
) -> Result<MetricSums, MetricError> {
    match metric.task() {
        MetricTask::Regression => {
            let residuals = regression::sum(truth, prediction)?;
            Ok(MetricSums { residuals, ..MetricSums::default() })
        }
        MetricTask::Classification => {
            let rows = Classified::join(truth, prediction, options)?;
            if metric == Metric::LogLoss {
                let log_loss = Some(likelihood::sum(&rows)?);
                return Ok(MetricSums { log_loss, ..MetricSums::default() });
            }
            let confusion = Some(confusion::count(&rows, options)?);
            Ok(MetricSums { confusion, ..MetricSums::default() })
        }
    }
}
