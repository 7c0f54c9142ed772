//! The table of layers, and what each layer must say of itself.
//!
//! A new layer is one file below `layer/` and one line in [`KINDS`].

mod dense;
mod dropout;
mod elu;
mod gelu;
#[cfg(test)]
mod gradient;
mod identity;
mod layer_norm;
mod leaky_relu;
mod relu;
mod sigmoid;
mod silu;
mod softplus;
mod tanh;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::backend::Tensor;
use crate::description::Error;
use crate::fields::Fields;
use crate::generator::Generator;

const KINDS: &[Kind] = &[
    dense::KIND,
    dropout::KIND,
    elu::KIND,
    gelu::KIND,
    identity::KIND,
    layer_norm::KIND,
    leaky_relu::KIND,
    relu::KIND,
    sigmoid::KIND,
    silu::KIND,
    softplus::KIND,
    tanh::KIND,
];

/// One layer as a plan states it: a name and its settings.
///
/// In data it is a map with one entry, `{ "dense": { "units": 1 } }`.
#[derive(Clone)]
pub struct LayerDescription {
    name: &'static str,
    layer: Arc<dyn Layer>,
}

impl LayerDescription {
    /// Reads the settings of the layer called `name`.
    ///
    /// # Errors
    ///
    /// [`Error`] names the layer or key, and the rule that is broken.
    ///
    /// # Examples
    ///
    /// ```
    /// use engine::LayerDescription;
    ///
    /// let settings = serde_json::json!({ "units": 0 });
    /// let error = LayerDescription::parse("dense", settings.as_object().unwrap()).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "layer dense: \"units\" must be an integer of at least 1, found 0",
    /// );
    /// ```
    pub fn parse(name: &str, settings: &Map<String, Value>) -> Result<Self, Error> {
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            return Err(Error::UnknownName {
                subject: "layer",
                name: name.to_owned(),
                known: Self::names().map(str::to_owned).collect(),
            });
        };
        let mut fields = Fields::new(&format!("layer {name}"), settings);
        let layer = (kind.parse)(&mut fields)?;
        fields.finish()?;
        Ok(Self { name: kind.name, layer: layer.into() })
    }

    /// The names of all layers, in alphabetical order.
    pub fn names() -> impl Iterator<Item = &'static str> {
        KINDS.iter().map(|kind| kind.name)
    }

    /// The layer's name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn layer(&self) -> &Arc<dyn Layer> {
        &self.layer
    }
}

impl fmt::Debug for LayerDescription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.layer.fmt(formatter)
    }
}

impl<'de> Deserialize<'de> for LayerDescription {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entry = Map::deserialize(deserializer)?;
        Self::try_from(entry).map_err(serde::de::Error::custom)
    }
}

impl TryFrom<Map<String, Value>> for LayerDescription {
    type Error = Error;

    fn try_from(entry: Map<String, Value>) -> Result<Self, Error> {
        let mut entries = entry.iter();
        match (entries.next(), entries.next()) {
            (Some((name, Value::Object(settings))), None) => Self::parse(name, settings),
            (Some((_, found)), None) => Err(Error::Invalid {
                subject: "layer".to_owned(),
                key: "settings",
                rule: "must be a map".to_owned(),
                found: found.to_string(),
            }),
            _ => Err(Error::LayerEntry { found: entry.len() }),
        }
    }
}

/// What one layer of the list is and does.
///
/// Shapes are those of one sample: the batch's rows come before and are no layer's business.
pub(crate) trait Layer: fmt::Debug + Send + Sync {
    /// The shape that comes out, or the rule that `input` breaks.
    fn output(&self, input: &[usize]) -> Result<Vec<usize>, String> {
        Ok(input.to_vec())
    }

    /// The tensors that training changes, in the order [`Layer::forward`] gets them.
    fn parameters(&self, _input: &[usize]) -> Vec<ParameterDescription> {
        Vec::new()
    }

    /// Computes the output, on the tape.
    fn forward(&self, input: Tensor, parameters: &[Tensor], pass: &mut Pass) -> Tensor;

    /// About how many numbers of one sample live until the backward pass is done, its own output
    /// and the gradients on the way back included.
    fn footprint(&self, input: &[usize]) -> usize;
}

/// One line of the table.
pub(crate) struct Kind {
    /// As a plan writes it.
    pub(crate) name: &'static str,
    /// Reads the settings; the caller refuses the keys that were not asked for.
    pub(crate) parse: fn(&mut Fields<'_>) -> Result<Box<dyn Layer>, Error>,
}

/// A tensor that training changes.
#[derive(Debug, Clone)]
pub(crate) struct ParameterDescription {
    /// Last part of its name.
    pub(crate) name: &'static str,
    /// Extents, row-major.
    pub(crate) shape: Vec<usize>,
    /// Where it starts.
    pub(crate) start: Start,
}

/// Where a parameter starts.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Start {
    /// As the plan's initialisation says, for units with so many inputs and outputs.
    Drawn {
        /// Inputs of one unit.
        fan_in: usize,
        /// Units that read one input.
        fan_out: usize,
    },
    /// At one number.
    Filled(f32),
}

/// One pass through the model: training, with a seed for what is random in it, or prediction.
#[derive(Debug)]
pub(crate) struct Pass {
    seed: Option<[u8; 32]>,
    position: u64,
}

impl Pass {
    /// A pass that trains; `seed` belongs to this batch alone.
    pub(crate) fn training(seed: [u8; 32]) -> Self {
        Self { seed: Some(seed), position: 0 }
    }

    /// A pass that predicts: nothing in it is random.
    pub(crate) fn prediction() -> Self {
        Self { seed: None, position: 0 }
    }

    /// Tells the pass which layer runs next.
    pub(crate) fn enter(&mut self, position: usize) {
        self.position = position as u64;
    }

    /// The running layer's own generator, or none when predicting.
    ///
    /// The stream number is the layer's position, so that the layers' numbers are independent.
    pub(crate) fn generator(&self) -> Option<Generator> {
        self.seed.map(|seed| Generator::new(seed, self.position))
    }
}

/// Numbers in one sample of this shape.
pub(crate) fn volume(shape: &[usize]) -> usize {
    shape.iter().product()
}
