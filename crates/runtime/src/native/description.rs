//! What a model file says of itself: enough to use the model without its plan.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use training_plan::Plan;
use training_plan::plan::{ColumnScale, Encoding, Input, Missing, Standardize, Task};

/// The description that a native model's file carries, as compact JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    format: String,
    /// The plan's name.
    pub plan: String,
    /// `binary`, `multiclass` or `regression`.
    pub task: String,
    /// The column that is predicted.
    pub target: String,
    /// The target's values, in the order of their labels; empty for a regression.
    pub classes: Vec<String>,
    /// The columns, in the order of the model's inputs.
    pub features: Vec<Feature>,
    /// `declared`, `local` or `none`.
    pub standardize: String,
    /// `error`, `drop` or `mean`.
    pub missing: String,
    /// The layers, as the plan has them.
    pub layers: Vec<Map<String, Value>>,
    /// The loss, which says what the model's outputs mean.
    pub loss: String,
}

/// A column and how its cells become numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// The column's name.
    pub column: String,
    /// The mean that is taken off, where the scale is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<f64>,
    /// The deviation that the rest is divided by, where the scale is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deviation: Option<f64>,
    /// The categories, one input each, where the column has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<Vec<String>>,
}

impl Description {
    /// Describes the models of a plan.
    pub(super) fn of(plan: &Plan, inputs: &[Input]) -> Self {
        let layers = plan.model().layers().iter().map(|layer| {
            Map::from_iter([(layer.name.clone(), Value::Object(layer.fields.clone()))])
        });
        Self {
            format: FORMAT.to_owned(),
            plan: plan.name().to_owned(),
            task: plan.data().task().as_str().to_owned(),
            target: plan.data().target().to_owned(),
            classes: plan.data().classes().to_vec(),
            features: inputs.iter().map(Feature::of).collect(),
            standardize: match plan.data().standardize() {
                Standardize::Declared(_) => "declared",
                Standardize::Federated => "federated",
                Standardize::Local => "local",
                Standardize::None => "none",
            }
            .to_owned(),
            missing: match plan.data().missing() {
                Missing::Error => "error",
                Missing::Drop => "drop",
                Missing::Mean => "mean",
            }
            .to_owned(),
            layers: layers.collect(),
            loss: plan.loss().component().name.clone(),
        }
    }

    /// Reads a description out of a file's metadata.
    pub(super) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let description: Self = serde_json::from_str(text)?;
        if description.format != FORMAT {
            return Err(serde::de::Error::custom("the description has another format"));
        }
        Ok(description)
    }

    pub(super) fn to_json(&self) -> String {
        serde_json::to_string(self).expect("texts and finite numbers are always JSON")
    }

    /// What the model predicts.
    #[must_use]
    pub fn task(&self) -> Option<Task> {
        [Task::Binary, Task::Multiclass, Task::Regression]
            .into_iter()
            .find(|task| task.as_str() == self.task)
    }
}

impl Feature {
    fn of(input: &Input) -> Self {
        let (scale, categories) = match &input.encoding {
            Encoding::Number(scale) => (*scale, None),
            Encoding::OneHot(categories) => (None, Some(categories.clone())),
        };
        Self {
            column: input.column.clone(),
            mean: scale.map(|scale| scale.mean),
            deviation: scale.map(|scale| scale.deviation),
            categories,
        }
    }

    /// The input that the feature describes.
    pub(super) fn input(&self) -> Input {
        let encoding = match (&self.categories, self.mean, self.deviation) {
            (Some(categories), _, _) => Encoding::OneHot(categories.clone()),
            (None, Some(mean), Some(deviation)) => {
                Encoding::Number(Some(ColumnScale { mean, deviation }))
            }
            (None, _, _) => Encoding::Number(None),
        };
        Input { column: self.column.clone(), encoding }
    }
}

/// The name and version of the description.
const FORMAT: &str = "wardround-model/1";
