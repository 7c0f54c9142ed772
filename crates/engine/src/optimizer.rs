//! Optimizers: the table, what each method must say of itself, and the state between steps.
//!
//! The formulas are those of PyTorch's `torch.optim` (documentation of release 2.5), each stated at
//! its method. A new optimizer is one file below `optimizer/` and one line in `KINDS`.

mod adagrad;
mod adam;
#[cfg(test)]
mod reference;
mod rmsprop;
mod sgd;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::description::Error;
use crate::fields::{Fields, Range, split_kind};

const KINDS: &[Kind] = &[adagrad::KIND, adam::ADAM, adam::ADAMW, rmsprop::KIND, sgd::KIND];

/// An optimizer with its settings; its state belongs to the trainer.
///
/// # Examples
///
/// ```
/// use engine::Optimizer;
///
/// let adam: Optimizer = serde_json::from_str(r#"{ "kind": "adam", "betas": [0.9, 0.99] }"#)?;
/// assert_eq!((adam.name(), adam.learning_rate()), ("adam", 0.001));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Optimizer {
    name: &'static str,
    learning_rate: f64,
    method: Arc<dyn Method>,
}

impl Optimizer {
    /// Reads the settings of the optimizer called `kind`. All take `lr` (0.01 for SGD, 0.001 for the
    /// others) and `weight_decay` (0; 0.01 for AdamW); the others have PyTorch's names and defaults.
    ///
    /// | kind | further keys |
    /// |---|---|
    /// | `sgd` | `momentum` (0), `dampening` (0), `nesterov` (false) |
    /// | `adam`, `adamw` | `betas` ([0.9, 0.999]), `eps` (1e-8), `amsgrad` (false) |
    /// | `rmsprop` | `alpha` (0.99), `eps` (1e-8), `momentum` (0), `centered` (false) |
    /// | `adagrad` | `lr_decay` (0), `eps` (1e-10), `initial_accumulator_value` (0) |
    ///
    /// # Errors
    ///
    /// [`Error`] names the optimizer or key, and the rule that is broken.
    pub fn parse(kind: &str, settings: &Map<String, Value>) -> Result<Self, Error> {
        let Some(kind) = KINDS.iter().find(|known| known.name == kind) else {
            return Err(Error::UnknownName {
                subject: "optimizer",
                name: kind.to_owned(),
                known: Self::names().map(str::to_owned).collect(),
            });
        };
        let mut fields = Fields::new(&format!("optimizer {}", kind.name), settings);
        let learning_rate = fields.number("lr", Range::Positive)?.unwrap_or(kind.learning_rate);
        let method = (kind.parse)(&mut fields)?;
        fields.finish()?;
        Ok(Self { name: kind.name, learning_rate, method: method.into() })
    }

    /// The names of all optimizers.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.name)
    }

    /// The optimizer's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The base learning rate, before a schedule.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// Bytes of state kept for a model with `size` numbers.
    pub fn state_bytes(&self, size: usize) -> u64 {
        (size as u64).saturating_mul((self.method.slots() * size_of::<f32>()) as u64)
    }

    /// State before the first step, for tensors of these sizes.
    pub(crate) fn start(&self, sizes: impl Iterator<Item = usize>) -> Vec<State> {
        let first = self.method.first();
        sizes.map(|size| vec![vec![first; size]; self.method.slots()]).collect()
    }

    /// Changes one tensor's `weights` by one step.
    pub(crate) fn update(
        &self,
        point: Point,
        weights: &mut [f32],
        gradient: &[f32],
        state: &mut State,
    ) {
        self.method.update(point, weights, gradient, state);
    }
}

impl fmt::Debug for Optimizer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Optimizer")
            .field("learning_rate", &self.learning_rate)
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for Optimizer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = Map::deserialize(deserializer)?;
        Self::try_from(entry).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Map<String, Value>> for Optimizer {
    type Error = Error;

    fn try_from(settings: Map<String, Value>) -> Result<Self, Error> {
        let (kind, settings) = split_kind("optimizer", settings)?;
        Self::parse(&kind, &settings)
    }
}

/// One tensor's state: so many buffers of its size as the method asks for.
pub(crate) type State = Vec<Vec<f32>>;

/// Where in the run a step is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Point {
    /// Steps since the state was made, this one included: 1 for the first.
    pub(crate) count: u64,
    /// The learning rate of this step.
    pub(crate) rate: f64,
}

/// What one optimizer does.
trait Method: fmt::Debug + Send + Sync {
    /// State buffers for each tensor.
    fn slots(&self) -> usize;

    /// What the state buffers are filled with at first.
    fn first(&self) -> f32 {
        0.0
    }

    /// Takes one step on one tensor.
    fn update(&self, point: Point, weights: &mut [f32], gradient: &[f32], state: &mut State);
}

/// One line of the table.
struct Kind {
    name: &'static str,
    learning_rate: f64,
    parse: fn(&mut Fields<'_>) -> Result<Box<dyn Method>, Error>,
}

/// Constants are computed in f64 and rounded once; PyTorch's kernels do the same.
#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
fn single(number: f64) -> f32 {
    number as f32
}

/// `base` to the power `count`.
fn power(base: f64, count: u64) -> f64 {
    base.powi(i32::try_from(count).unwrap_or(i32::MAX))
}
