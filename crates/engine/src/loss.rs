//! Losses: how far raw outputs are from the targets, and in which direction.
//!
//! Value and gradient are closed forms in f64, taken from raw outputs (logits), so that they stay
//! exact for large ones; the tape begins at the outputs.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::description;
use crate::fields::{Fields, Range, split_kind};

/// A loss, with the weights of the classes if there are some.
///
/// The loss of a batch is the mean over its rows (and over a row's outputs in regression); with class
/// weights the weighted mean, `Σ wᵢ lᵢ / Σ wᵢ`, as PyTorch's `CrossEntropyLoss` has it.
///
/// # Examples
///
/// ```
/// use engine::Loss;
///
/// let loss: Loss = serde_json::from_str(r#"{ "kind": "huber", "delta": 2.0 }"#)?;
/// let graded = loss.evaluate(&[3.0], &[0.0], 1)?;
/// assert_eq!((graded.value, graded.gradient), (4.0, vec![2.0]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub struct Loss {
    kind: Kind,
    class_weights: Option<Vec<f64>>,
}

/// A loss's value on a batch and its gradient at the outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Graded {
    /// The mean loss.
    pub value: f64,
    /// Its derivative by each output, in the outputs' order.
    pub gradient: Vec<f32>,
}

/// Says why targets cannot be used with a loss.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is nothing to take the mean of.
    #[error("the batch has no rows")]
    Empty,
    /// A different count of targets than the outputs need.
    #[error("{loss} needs {expected} targets for these rows, found {found}")]
    Count {
        /// The loss.
        loss: &'static str,
        /// Targets needed.
        expected: usize,
        /// Targets given.
        found: usize,
    },
    /// A target outside what the loss is defined for.
    #[error("{loss}: a target must be {rule}, found {found} in row {row}")]
    Target {
        /// The loss.
        loss: &'static str,
        /// What a target must be.
        rule: String,
        /// The target.
        found: f32,
        /// Its row in the batch, from zero.
        row: usize,
    },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    BinaryCrossEntropy,
    CategoricalCrossEntropy,
    MeanSquaredError,
    MeanAbsoluteError,
    Huber { delta: f64 },
    Poisson,
}

impl Loss {
    /// Reads the settings of the loss called `kind`: `delta` (1) for Huber, and `class_weights` (one
    /// number above 0 for each class) for the cross-entropies.
    ///
    /// # Errors
    ///
    /// [`description::Error`] names the loss or key, and the rule that is broken.
    pub fn parse(kind: &str, settings: &Map<String, Value>) -> Result<Self, description::Error> {
        let mut fields = Fields::new(&format!("loss {kind}"), settings);
        let kind = match kind {
            "binary_cross_entropy" => Kind::BinaryCrossEntropy,
            "categorical_cross_entropy" => Kind::CategoricalCrossEntropy,
            "mean_squared_error" => Kind::MeanSquaredError,
            "mean_absolute_error" => Kind::MeanAbsoluteError,
            "huber" => {
                Kind::Huber { delta: fields.number("delta", Range::Positive)?.unwrap_or(1.0) }
            }
            "poisson" => Kind::Poisson,
            _ => {
                return Err(description::Error::UnknownName {
                    subject: "loss",
                    name: kind.to_owned(),
                    known: Self::names().map(str::to_owned).collect(),
                });
            }
        };
        let class_weights = if kind.classifies() {
            fields.numbers("class_weights", Range::Positive)?
        } else {
            None
        };
        if kind == Kind::BinaryCrossEntropy && class_weights.as_ref().is_some_and(|w| w.len() != 2)
        {
            return Err(
                fields.invalid("class_weights", "must have one number for each of 2 classes")
            );
        }
        fields.finish()?;
        Ok(Self { kind, class_weights })
    }

    /// The names of all losses.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().copied()
    }

    /// The loss's name.
    pub fn name(&self) -> &'static str {
        self.kind.name()
    }

    /// Checks that a model with so many outputs can be trained under this loss.
    ///
    /// # Errors
    ///
    /// [`description::Error::Outputs`] with the rule: binary cross-entropy takes one output,
    /// categorical one for each class and at least two.
    pub fn check_outputs(&self, outputs: usize) -> Result<(), description::Error> {
        let refuse =
            |rule: String| Err(description::Error::Outputs { loss: self.name(), rule, outputs });
        match (self.kind, &self.class_weights) {
            (Kind::BinaryCrossEntropy, _) if outputs != 1 => refuse("takes one output".to_owned()),
            (Kind::CategoricalCrossEntropy, _) if outputs < 2 => {
                refuse("takes one output for each class, at least two".to_owned())
            }
            (Kind::CategoricalCrossEntropy, Some(weights)) if weights.len() != outputs => {
                refuse(format!("has class weights for {} classes", weights.len()))
            }
            _ => Ok(()),
        }
    }

    /// Computes the loss of raw outputs, `width` for each row, and its gradient there.
    ///
    /// Targets are 0 or 1 (binary), a class number from 0 (categorical), or one number for each
    /// output (regression).
    ///
    /// # Errors
    ///
    /// [`Error`] when there are no rows, or targets of another count or outside their range.
    pub fn evaluate(
        &self,
        outputs: &[f32],
        targets: &[f32],
        width: usize,
    ) -> Result<Graded, Error> {
        let rows = outputs.len() / width.max(1);
        if rows == 0 {
            return Err(Error::Empty);
        }
        let expected = if self.kind.classifies() { rows } else { outputs.len() };
        if targets.len() != expected {
            return Err(Error::Count { loss: self.name(), expected, found: targets.len() });
        }
        let mut sums = Sums::new(outputs.len());
        match self.kind {
            Kind::CategoricalCrossEntropy => {
                for (row, (scores, target)) in outputs.chunks(width).zip(targets).enumerate() {
                    let class = self.class(*target, width, row)?;
                    sums.add_row(scores, class, self.weight(class));
                }
            }
            Kind::BinaryCrossEntropy => {
                for (row, (score, target)) in outputs.iter().zip(targets).enumerate() {
                    let weight = self.weight(self.class(*target, 2, row)?);
                    sums.add(binary_cross_entropy(f64::from(*score), f64::from(*target)), weight);
                }
            }
            Kind::MeanSquaredError
            | Kind::MeanAbsoluteError
            | Kind::Huber { .. }
            | Kind::Poisson => {
                for (position, (output, target)) in outputs.iter().zip(targets).enumerate() {
                    self.check_number(*target, position / width)?;
                    sums.add(self.regress(f64::from(*output), f64::from(*target)), 1.0);
                }
            }
        }
        Ok(sums.mean())
    }

    /// Turns raw outputs, `width` for each row, into what they mean: probabilities of the positive
    /// class (binary), of each class (categorical), the expected count (Poisson), else the value.
    pub fn predictions(&self, outputs: &[f32], width: usize) -> Vec<f32> {
        match self.kind {
            Kind::BinaryCrossEntropy => {
                outputs.iter().map(|score| single(sigmoid(f64::from(*score)))).collect()
            }
            Kind::CategoricalCrossEntropy => {
                outputs.chunks(width.max(1)).flat_map(|row| softmax(row).map(single)).collect()
            }
            Kind::Poisson => outputs.iter().map(|rate| single(f64::from(*rate).exp())).collect(),
            Kind::MeanSquaredError | Kind::MeanAbsoluteError | Kind::Huber { .. } => {
                outputs.to_vec()
            }
        }
    }

    fn class(&self, target: f32, classes: usize, row: usize) -> Result<usize, Error> {
        #[expect(clippy::cast_precision_loss, reason = "class numbers are small")]
        let known = target.fract() == 0.0 && target >= 0.0 && target < classes as f32;
        if !known {
            let rule = format!("a class number from 0 to {}", classes - 1);
            return Err(Error::Target { loss: self.name(), rule, found: target, row });
        }
        #[expect(clippy::cast_possible_truncation, reason = "a class number, checked above")]
        #[expect(clippy::cast_sign_loss, reason = "not negative, checked above")]
        Ok(target as usize)
    }

    fn weight(&self, class: usize) -> f64 {
        self.class_weights.as_ref().map_or(1.0, |weights| weights[class])
    }

    fn check_number(&self, target: f32, row: usize) -> Result<(), Error> {
        let rule = match self.kind {
            _ if !target.is_finite() => "a finite number",
            Kind::Poisson if target < 0.0 => "a count of at least 0",
            _ => return Ok(()),
        };
        Err(Error::Target { loss: self.name(), rule: rule.to_owned(), found: target, row })
    }

    fn regress(&self, output: f64, target: f64) -> (f64, f64) {
        let difference = output - target;
        match self.kind {
            Kind::MeanSquaredError => (difference * difference, 2.0 * difference),
            Kind::MeanAbsoluteError => (difference.abs(), sign(difference)),
            Kind::Huber { delta } if difference.abs() <= delta => {
                (0.5 * difference * difference, difference)
            }
            Kind::Huber { delta } => {
                (delta * (difference.abs() - 0.5 * delta), delta * sign(difference))
            }
            Kind::Poisson => (output.exp() - target * output, output.exp() - target),
            Kind::BinaryCrossEntropy | Kind::CategoricalCrossEntropy => {
                unreachable!("evaluated by class")
            }
        }
    }
}

impl TryFrom<Map<String, Value>> for Loss {
    type Error = description::Error;

    fn try_from(settings: Map<String, Value>) -> Result<Self, Self::Error> {
        let (kind, settings) = split_kind("loss", settings)?;
        Self::parse(&kind, &settings)
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::BinaryCrossEntropy => NAMES[0],
            Self::CategoricalCrossEntropy => NAMES[1],
            Self::MeanSquaredError => NAMES[2],
            Self::MeanAbsoluteError => NAMES[3],
            Self::Huber { .. } => NAMES[4],
            Self::Poisson => NAMES[5],
        }
    }

    fn classifies(self) -> bool {
        matches!(self, Self::BinaryCrossEntropy | Self::CategoricalCrossEntropy)
    }
}

/// Weighted sums on the way to the mean.
struct Sums {
    value: f64,
    weight: f64,
    gradient: Vec<f64>,
}

impl Sums {
    fn new(outputs: usize) -> Self {
        Self { value: 0.0, weight: 0.0, gradient: Vec::with_capacity(outputs) }
    }

    fn add(&mut self, (value, derivative): (f64, f64), weight: f64) {
        self.value += weight * value;
        self.weight += weight;
        self.gradient.push(weight * derivative);
    }

    /// Categorical cross-entropy of one row.
    fn add_row(&mut self, scores: &[f32], class: usize, weight: f64) {
        let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let shifted = |score: f32| f64::from(score) - f64::from(largest);
        let total: f64 = scores.iter().map(|score| shifted(*score).exp()).sum();
        self.value += weight * (total.ln() - shifted(scores[class]));
        self.weight += weight;
        self.gradient.extend(scores.iter().enumerate().map(|(position, score)| {
            let expected = if position == class { 1.0 } else { 0.0 };
            weight * (shifted(*score).exp() / total - expected)
        }));
    }

    fn mean(self) -> Graded {
        let gradient = self.gradient.into_iter().map(|one| single(one / self.weight)).collect();
        Graded { value: self.value / self.weight, gradient }
    }
}

/// `max(z, 0) − z·y + ln(1 + exp(−|z|))` and `sigmoid(z) − y`.
fn binary_cross_entropy(score: f64, target: f64) -> (f64, f64) {
    let value = score.max(0.0) - score * target + (-score.abs()).exp().ln_1p();
    // The maximum drops a score that is not a number; the sum must not.
    (if score.is_nan() { score } else { value }, sigmoid(score) - target)
}

fn sigmoid(score: f64) -> f64 {
    if score >= 0.0 { 1.0 / (1.0 + (-score).exp()) } else { score.exp() / (1.0 + score.exp()) }
}

fn softmax(scores: &[f32]) -> impl Iterator<Item = f64> {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let shifted = move |score: &f32| (f64::from(*score) - f64::from(largest)).exp();
    let total: f64 = scores.iter().map(shifted).sum();
    scores.iter().map(move |score| shifted(score) / total)
}

/// The sign, 0 at 0; unlike `signum`, which is 1 there.
fn sign(number: f64) -> f64 {
    if number == 0.0 { 0.0 } else { number.signum() }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn single(number: f64) -> f32 {
    number as f32
}

const NAMES: [&str; 6] = [
    "binary_cross_entropy",
    "categorical_cross_entropy",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "poisson",
];
