//! A model: the layers of a description, fitted to each other, and their parameters.

use std::fmt;
use std::sync::Arc;

use crate::backend::{Buffer, Tensor, Tracking};
use crate::description::{self, Initialisation, ModelDescription};
use crate::generator::Generator;
use crate::layer::{Layer, ParameterDescription, Pass, Start, volume};
use crate::vector::widest;

/// A model that can be trained and asked.
///
/// Its parameters are named `layers.<position in the list>.<weight, bias or scale>`, in that order.
/// A clone shares the numbers until one side changes them.
///
/// # Examples
///
/// ```
/// use engine::{Model, ModelDescription};
///
/// let description: ModelDescription = serde_json::from_str(
///     r#"{ "inputs": 3, "init": "he", "layers": [{ "dense": { "units": 2 } }, { "relu": {} }] }"#,
/// )?;
/// let mut model = Model::new(&description)?;
/// model.initialise(&|name| [name.len() as u8; 32]);
/// let names: Vec<_> = model.parameters().map(|parameter| parameter.name).collect();
/// assert_eq!(names, ["layers.0.weight", "layers.0.bias"]);
/// assert_eq!(model.predict(&[0.0; 6])?, [0.0; 4]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Model {
    inputs: usize,
    outputs: usize,
    initialisation: Initialisation,
    layers: Vec<FittedLayer>,
    parameters: Vec<Stored>,
    footprint: usize,
}

/// One named tensor of a model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter<'a> {
    /// Its name, unique in the model.
    pub name: &'a str,
    /// Its extents, row-major.
    pub shape: &'a [usize],
    /// Its numbers.
    pub values: &'a [f32],
}

/// Says why numbers do not fit a model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No such parameter.
    #[error("the model has no parameter \"{name}\"")]
    UnknownParameter {
        /// The name asked for.
        name: String,
    },
    /// Numbers of another size than the parameter.
    #[error("parameter \"{name}\" has {expected} numbers, found {found}")]
    Length {
        /// The parameter.
        name: String,
        /// Its size.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
    /// Features that are not whole rows.
    #[error("a row has {inputs} features, found {found} numbers in all")]
    Features {
        /// Features of one row.
        inputs: usize,
        /// Numbers given.
        found: usize,
    },
}

#[derive(Clone)]
struct FittedLayer {
    layer: Arc<dyn Layer>,
    parameters: std::ops::Range<usize>,
}

#[derive(Clone)]
struct Stored {
    name: String,
    shape: Vec<usize>,
    start: Start,
    buffer: Buffer,
}

impl Model {
    /// Fits the layers of `description` to each other. Parameters are zero (scales one) until
    /// [`Model::initialise`] or [`Model::set`]; nothing is drawn without a seed.
    ///
    /// # Errors
    ///
    /// [`description::Error::Shape`] names the layer and the rule that its input breaks,
    /// [`description::Error::Model`] a rule of the whole.
    pub fn new(description: &ModelDescription) -> Result<Self, description::Error> {
        let fitting = Fitting::new(description)?;
        let store = |(index, described): (usize, _)| Stored::new(index, described);
        Ok(Self {
            inputs: description.inputs,
            outputs: fitting.outputs,
            initialisation: description.initialisation,
            layers: fitting.layers,
            parameters: fitting.parameters.into_iter().map(store).collect(),
            footprint: fitting.footprint,
        })
    }

    /// Estimates what [`Model::estimate_memory`] would say of the model, without making it: a
    /// description from elsewhere can be refused before it takes the memory.
    ///
    /// # Errors
    ///
    /// As [`Model::new`].
    pub fn estimate_memory_of(
        description: &ModelDescription,
        rows: usize,
    ) -> Result<u64, description::Error> {
        let fitting = Fitting::new(description)?;
        let sizes = fitting.parameters.iter().map(|(_, described)| volume(&described.shape) as u64);
        Ok(step_bytes(sizes.fold(0, u64::saturating_add), fitting.footprint, rows))
    }

    /// Features of one row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Outputs of one row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The parameters, in the order of the layers.
    pub fn parameters(&self) -> impl ExactSizeIterator<Item = Parameter<'_>> {
        self.parameters.iter().map(Stored::view)
    }

    /// Replaces the numbers of the parameter `name`.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownParameter`], or [`Error::Length`] for another count of numbers.
    pub fn set(&mut self, name: &str, values: &[f32]) -> Result<(), Error> {
        let Some(parameter) = self.parameters.iter_mut().find(|stored| stored.name == name) else {
            return Err(Error::UnknownParameter { name: name.to_owned() });
        };
        let current = parameter.buffer.values_mut();
        if current.len() != values.len() {
            let (name, expected) = (name.to_owned(), current.len());
            return Err(Error::Length { name, expected, found: values.len() });
        }
        current.copy_from_slice(values);
        Ok(())
    }

    /// The numbers of the parameter `name`, to be filled in place: a large one need not be in memory
    /// twice.
    pub fn values_mut(&mut self, name: &str) -> Option<&mut [f32]> {
        let parameter = self.parameters.iter_mut().find(|stored| stored.name == name)?;
        Some(parameter.buffer.values_mut())
    }

    /// Gives every parameter its first numbers, as the description's initialisation says.
    ///
    /// `seed_of` is asked once for each tensor that is drawn, with the tensor's name: a tensor's
    /// numbers depend on nothing but its own seed and shape.
    pub fn initialise(&mut self, seed_of: &dyn Fn(&str) -> [u8; 32]) {
        for stored in &mut self.parameters {
            let values = stored.buffer.values_mut();
            match stored.start {
                Start::Filled(number) => values.fill(number),
                Start::Drawn { fan_in, fan_out } => {
                    let seed = || seed_of(&stored.name);
                    draw(self.initialisation, (fan_in, fan_out), &seed, values);
                }
            }
        }
    }

    /// Computes the raw outputs (logits) of rows of features, row after row; dropout is off.
    ///
    /// # Errors
    ///
    /// [`Error::Features`] if the numbers are not whole rows.
    pub fn predict(&self, features: &[f32]) -> Result<Vec<f32>, Error> {
        let rows = self.rows(features)?;
        if rows == 0 {
            return Ok(Vec::new());
        }
        let leaves = self.leaves(Tracking::Off);
        let input = Tensor::constant(features.to_vec(), &[rows, self.inputs]);
        Ok(self.forward(input, &leaves, &mut Pass::prediction()).to_values())
    }

    /// The name of the first parameter with a number that is infinite or no number, if any.
    pub fn first_non_finite(&self) -> Option<&str> {
        let broken = |stored: &&Stored| !all_finite(stored.buffer.values());
        self.parameters.iter().find(broken).map(|stored| stored.name.as_str())
    }

    /// Estimates the bytes that a training step on `rows` rows needs at its peak: parameters, their
    /// gradients, and what the backward pass keeps of each row.
    ///
    /// [`Optimizer::state_bytes`](crate::Optimizer::state_bytes) comes on top.
    pub fn estimate_memory(&self, rows: usize) -> u64 {
        step_bytes(self.size() as u64, self.footprint, rows)
    }

    /// Count of all numbers in all parameters.
    pub fn size(&self) -> usize {
        self.parameters.iter().map(|stored| volume(&stored.shape)).sum()
    }

    /// Rows in `features`.
    pub(crate) fn rows(&self, features: &[f32]) -> Result<usize, Error> {
        if features.len().is_multiple_of(self.inputs) {
            return Ok(features.len() / self.inputs);
        }
        Err(Error::Features { inputs: self.inputs, found: features.len() })
    }

    pub(crate) fn leaves(&self, tracking: Tracking) -> Vec<Tensor> {
        self.parameters.iter().map(|stored| stored.buffer.leaf(tracking)).collect()
    }

    pub(crate) fn forward(&self, input: Tensor, leaves: &[Tensor], pass: &mut Pass) -> Tensor {
        self.layers.iter().enumerate().fold(input, |value, (position, fitted)| {
            pass.enter(position);
            fitted.layer.forward(value, &leaves[fitted.parameters.clone()], pass)
        })
    }

    pub(crate) fn buffers_mut(&mut self) -> impl Iterator<Item = &mut Buffer> {
        self.parameters.iter_mut().map(|stored| &mut stored.buffer)
    }

    pub(crate) fn parameter_name(&self, position: usize) -> &str {
        &self.parameters[position].name
    }
}

impl fmt::Debug for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let layers = self.layers.iter().map(|fitted| &fitted.layer);
        formatter.debug_list().entries(layers).finish()
    }
}

/// A model without its numbers.
struct Fitting {
    outputs: usize,
    layers: Vec<FittedLayer>,
    parameters: Vec<(usize, ParameterDescription)>,
    footprint: usize,
}

impl Fitting {
    fn new(description: &ModelDescription) -> Result<Self, description::Error> {
        check_size(description.inputs)?;
        let mut shape = vec![description.inputs];
        let (layers, parameters) = (Vec::new(), Vec::new());
        let mut fitting = Self { outputs: 0, layers, parameters, footprint: description.inputs };
        for (index, described) in description.layers.iter().enumerate() {
            let refuse = |rule| description::Error::Shape { index, layer: described.name(), rule };
            let output = described.layer().output(&shape).map_err(refuse)?;
            fitting.place(index, described.layer(), &shape)?;
            shape = output;
        }
        fitting.outputs = volume(&shape);
        if fitting.parameters.is_empty() {
            return Err(refused("has no layer with parameters"));
        }
        Ok(fitting)
    }

    fn place(
        &mut self,
        index: usize,
        layer: &Arc<dyn Layer>,
        input: &[usize],
    ) -> Result<(), description::Error> {
        let first = self.parameters.len();
        for described in layer.parameters(input) {
            check_size(described.shape.iter().fold(1, |all, one| all.saturating_mul(*one)))?;
            self.parameters.push((index, described));
        }
        self.footprint = self.footprint.saturating_add(layer.footprint(input));
        self.layers.push(FittedLayer {
            layer: Arc::clone(layer),
            parameters: first..self.parameters.len(),
        });
        Ok(())
    }
}

impl Stored {
    fn new(index: usize, described: ParameterDescription) -> Self {
        let filled = match described.start {
            Start::Filled(number) => number,
            Start::Drawn { .. } => 0.0,
        };
        Self {
            name: format!("layers.{index}.{}", described.name),
            buffer: Buffer::new(vec![filled; volume(&described.shape)], &described.shape),
            shape: described.shape,
            start: described.start,
        }
    }

    fn view(&self) -> Parameter<'_> {
        Parameter { name: &self.name, shape: &self.shape, values: self.buffer.values() }
    }
}

/// Whether no number is infinite or not a number.
///
/// Zero times such a number is not a number, and sums keep that: one pass without a branch.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    let mut lanes = [0.0_f32; 16];
    let mut chunks = values.chunks_exact(16);
    widest(|| {
        for chunk in &mut chunks {
            for (lane, value) in lanes.iter_mut().zip(chunk) {
                *lane += value * 0.0;
            }
        }
    });
    lanes.iter().chain(chunks.remainder()).all(|value| value.is_finite())
}

fn draw(
    initialisation: Initialisation,
    (fan_in, fan_out): (usize, usize),
    seed: &dyn Fn() -> [u8; 32],
    values: &mut [f32],
) {
    #[expect(clippy::cast_precision_loss, reason = "sizes are below 2^31")]
    let (inputs, all) = (fan_in as f64, (fan_in + fan_out) as f64);
    let mut uniform = |bound: f64| {
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        Generator::new(seed(), 0).fill_uniform(values, bound as f32);
    };
    match initialisation {
        Initialisation::Zeros => values.fill(0.0),
        Initialisation::Uniform => uniform(1.0 / inputs.sqrt()),
        Initialisation::Xavier => uniform((6.0 / all).sqrt()),
        Initialisation::Normal => {
            Generator::new(seed(), 0).fill_normal(values, 1.0 / inputs.sqrt());
        }
        Initialisation::He => {
            Generator::new(seed(), 0).fill_normal(values, (2.0 / inputs).sqrt());
        }
    }
}

/// Parameters and their gradients, and what lives of each row.
fn step_bytes(size: u64, footprint: usize, rows: usize) -> u64 {
    let tape = (footprint as u64).saturating_mul(rows as u64);
    size.saturating_mul(2).saturating_add(tape).saturating_mul(size_of::<f32>() as u64)
}

fn check_size(size: usize) -> Result<(), description::Error> {
    match size {
        0 => Err(refused("needs at least one input")),
        _ if size > LARGEST => Err(refused("has a tensor of more than 2^31 − 1 numbers")),
        _ => Ok(()),
    }
}

fn refused(rule: &str) -> description::Error {
    description::Error::Model { rule: rule.to_owned() }
}

/// Numbers in one tensor: 8 GiB of single precision, far above what a CPU can train.
const LARGEST: usize = i32::MAX as usize;
