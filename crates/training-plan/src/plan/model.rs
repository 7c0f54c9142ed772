//! The `[model]` and `[loss]` sections.

use crate::document::{Error, Item, Section, Value};

use super::component::Component;
use super::data::{Data, Task};

/// How weights begin; biases always begin at zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initialisation {
    /// All zero.
    Zeros,
    /// Uniform.
    Uniform,
    /// Normal.
    Normal,
    /// Xavier's (Glorot's) uniform.
    Xavier,
    /// He's (Kaiming's) normal.
    He,
}

impl Initialisation {
    /// The word that plans use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Zeros => "zeros",
            Self::Uniform => "uniform",
            Self::Normal => "normal",
            Self::Xavier => "xavier",
            Self::He => "he",
        }
    }
}

/// The layers, in the order in which values pass them, and how they begin.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    init: Initialisation,
    layers: Vec<Component>,
}

impl Model {
    pub(super) fn read(section: Section<'_>) -> Result<Self, Error> {
        let init = section.choice("init", &INITIALISATIONS.map(|init| (init.as_str(), init)))?;
        let items = section.list("layers")?.ok_or_else(|| section.missing("layers"))?;
        if items.is_empty() || items.len() > MOST_LAYERS {
            let rule = format!("must hold 1 to {MOST_LAYERS} layers, found {}", items.len());
            return Err(section.rule("layers", rule));
        }
        let layers = items.iter().map(|item| read_layer(section.file(), item));
        Ok(Self {
            init: init.unwrap_or(Initialisation::Xavier),
            layers: layers.collect::<Result<_, _>>()?,
        })
    }

    /// How weights begin.
    #[must_use]
    pub fn init(&self) -> Initialisation {
        self.init
    }

    /// The layers.
    #[must_use]
    pub fn layers(&self) -> &[Component] {
        &self.layers
    }
}

/// What training makes small.
#[derive(Clone, Debug, PartialEq)]
pub struct Loss {
    component: Component,
    class_weights: Option<Vec<f64>>,
}

impl Loss {
    pub(super) fn read(section: Section<'_>, data: &Data) -> Result<Self, Error> {
        let component = Component::of_kind(section, &["kind", "class_weights"])?;
        let allowed = losses(data.task());
        if !allowed.contains(&component.name.as_str()) {
            let known: Vec<&str> = TASKS.iter().flat_map(|task| losses(*task)).copied().collect();
            if !known.contains(&component.name.as_str()) {
                return Err(component.unknown("loss", &known));
            }
            let rule = format!(
                "must be one of {} when the task is {}, found {:?}",
                allowed.join(", "),
                data.task().as_str(),
                component.name
            );
            return Err(component.refused(rule));
        }
        let class_weights = section.numbers("class_weights")?;
        if let Some(weights) = &class_weights {
            check_weights(section, weights, data)?;
        }
        Ok(Self { component, class_weights })
    }

    /// The loss's name and fields.
    #[must_use]
    pub fn component(&self) -> &Component {
        &self.component
    }

    /// What each class's rows count, in the order of the classes.
    #[must_use]
    pub fn class_weights(&self) -> Option<&[f64]> {
        self.class_weights.as_deref()
    }
}

fn check_weights(section: Section<'_>, weights: &[f64], data: &Data) -> Result<(), Error> {
    let classes = data.classes().len();
    if data.task() == Task::Regression {
        return Err(section.rule("class_weights", "must be absent when the task is regression"));
    }
    if weights.len() != classes {
        let rule = format!("must have {classes} numbers, one a class, found {}", weights.len());
        return Err(section.rule("class_weights", rule));
    }
    if weights.iter().any(|weight| *weight <= 0.0) {
        return Err(section.rule("class_weights", "must all be greater than 0"));
    }
    Ok(())
}

/// Reads `{ dense = { units = 1 } }`, or `"relu"` for a layer without fields.
fn read_layer(file: &str, item: &Item) -> Result<Component, Error> {
    if let Value::Text(name) = &item.value {
        let fields = serde_json::Map::new();
        return Ok(Component {
            name: name.clone(),
            fields,
            line: item.line,
            key: item.path.clone(),
        });
    }
    let section = Section::open_any(file, item)?;
    let [(name, fields)] = section.entries() else {
        let rule = "must be a table with one key, the kind of the layer";
        return Err(Error::rule(file, item.line, &item.path, rule));
    };
    let section = Section::open_any(file, fields)?;
    Ok(Component {
        name: name.clone(),
        fields: section.json_except(&[])?,
        line: fields.line,
        key: fields.path.clone(),
    })
}

/// The losses that a task can have.
const fn losses(task: Task) -> &'static [&'static str] {
    match task {
        Task::Binary => &["binary_cross_entropy"],
        Task::Multiclass => &["categorical_cross_entropy"],
        Task::Regression => &["mean_squared_error", "mean_absolute_error", "huber", "poisson"],
    }
}

pub(super) const KEYS: &[&str] = &["init", "layers"];

const TASKS: [Task; 3] = [Task::Binary, Task::Multiclass, Task::Regression];

const INITIALISATIONS: [Initialisation; 5] = [
    Initialisation::Zeros,
    Initialisation::Uniform,
    Initialisation::Normal,
    Initialisation::Xavier,
    Initialisation::He,
];

/// The most layers of a model.
const MOST_LAYERS: usize = 1_000;
