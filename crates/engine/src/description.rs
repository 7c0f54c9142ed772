//! What a model is, as data, and what is wrong with a description that cannot be one.

use serde::{Deserialize, Serialize};

pub use crate::layer::LayerDescription;

use crate::fields;

/// A model described as data: its input, its layers in order, and how its parameters start.
///
/// # Examples
///
/// ```
/// let model: engine::ModelDescription = serde_json::from_str(
///     r#"{ "inputs": 30, "init": "zeros", "layers": [{ "dense": { "units": 1 } }] }"#,
/// )?;
/// assert_eq!(model.layers[0].name(), "dense");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDescription {
    /// Number of features of one sample.
    pub inputs: usize,
    /// How parameters start; `init` in data.
    #[serde(rename = "init", default)]
    pub initialisation: Initialisation,
    /// The layers, first to last.
    pub layers: Vec<LayerDescription>,
}

/// How weights are drawn before the first round.
///
/// Biases start at zero and the scales of normalisations at one in all of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initialisation {
    /// All zero. Right for a single dense layer; two or more would never break their symmetry.
    Zeros,
    /// Uniform within ±1/√(inputs of a unit).
    Uniform,
    /// Normal with variance 1/(inputs of a unit) (LeCun and others, *Efficient BackProp*, 1998).
    Normal,
    /// Uniform within ±√(6/(inputs + outputs)) (Glorot and Bengio, 2010).
    #[default]
    Xavier,
    /// Normal with variance 2/(inputs of a unit), for rectifiers (He and others, 2015).
    He,
}

/// Says why a description is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such layer, loss, optimizer or schedule.
    #[error("{subject} \"{name}\" is unknown; known are {}", known.join(", "))]
    UnknownName {
        /// What was looked up: `layer`, `loss`, ….
        subject: &'static str,
        /// The name found.
        name: String,
        /// All known names.
        known: Vec<String>,
    },
    /// A setting that this layer, loss, optimizer or schedule does not have.
    #[error("{subject} has no key \"{key}\"; it takes {}", list(known))]
    UnknownKey {
        /// Whose settings.
        subject: String,
        /// The key found.
        key: String,
        /// All known keys.
        known: Vec<String>,
    },
    /// A setting that must be given and is not.
    #[error("{subject} lacks the key \"{key}\", which {rule}")]
    Missing {
        /// Whose settings.
        subject: String,
        /// The key that is absent.
        key: &'static str,
        /// What its value must be.
        rule: String,
    },
    /// A setting with a value it may not have.
    #[error("{subject}: \"{key}\" {rule}, found {found}")]
    Invalid {
        /// Whose settings.
        subject: String,
        /// The key.
        key: &'static str,
        /// What its value must be.
        rule: String,
        /// The value found, as JSON.
        found: String,
    },
    /// A layer entry that is not one name with its settings.
    #[error("a layer must be one name with its settings, found {found} names")]
    LayerEntry {
        /// How many names the entry has.
        found: usize,
    },
    /// Two layers, or a layer and the input, that do not fit.
    #[error("layer {index} ({layer}): {rule}")]
    Shape {
        /// Position in the layer list, from zero.
        index: usize,
        /// The layer's name.
        layer: &'static str,
        /// The rule that is broken.
        rule: String,
    },
    /// The input or the whole model is outside the limits.
    #[error("model: {rule}")]
    Model {
        /// The rule that is broken.
        rule: String,
    },
    /// The model's outputs do not suit the loss.
    #[error("loss {loss}: {rule}, the model has {outputs} outputs")]
    Outputs {
        /// The loss's name.
        loss: &'static str,
        /// The rule that is broken.
        rule: String,
        /// Outputs of one sample.
        outputs: usize,
    },
}

impl Error {
    /// Advice that goes beside the error: the known name that was probably meant.
    pub fn hint(&self) -> Option<String> {
        let (name, known) = match self {
            Self::UnknownName { name, known, .. } => (name, known),
            Self::UnknownKey { key, known, .. } => (key, known),
            Self::Missing { .. }
            | Self::Invalid { .. }
            | Self::LayerEntry { .. }
            | Self::Shape { .. }
            | Self::Model { .. }
            | Self::Outputs { .. } => return None,
        };
        fields::nearest(name, known).map(|near| format!("did you mean \"{near}\"?"))
    }
}

fn list(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}
