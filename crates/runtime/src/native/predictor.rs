//! Using a model file without its plan.

use std::path::Path;

use dataset::{Interrupt, Registration, Table, TabularSource};
use engine::{LayerDescription, Loss, Model, ModelDescription};
use parameters::Reader;
use protocol::MetricsReport;
use serde_json::Map;
use training_plan::metric::{Metric, MetricOptions};
use training_plan::plan::{Input, Missing, Task};

use super::description::{Description, Feature};
use super::preparation::{self, POISSON, Scaling, Target, Targets};
use super::tensors;
use super::training::BatchBuffer;
use super::validation::{Options, Rated, most_rows};
use crate::Failure;
use crate::failure::with_causes;

/// A trained model that predicts rows of a table.
///
/// Everything it needs stands in the model's file. A model whose plan scaled by each site's own
/// statistics is given the statistics of the table that it predicts.
///
/// # Examples
///
/// ```
/// use dataset::{Options, register};
/// use runtime::{Predictor, initial_parameters};
/// use training_plan::Bundle;
///
/// let plan = r#"
/// [plan]
/// name = "risk"
/// runtime = "native"
/// [data]
/// task = "binary"
/// target = "outcome"
/// classes = ["no", "yes"]
/// [model]
/// init = "zeros"
/// layers = [{ dense = { units = 1 } }]
/// [loss]
/// kind = "binary_cross_entropy"
/// [optimizer]
/// kind = "sgd"
/// "#;
/// let folder = tempfile::tempdir()?;
/// let model = folder.path().join("model.safetensors");
/// let bundle = Bundle::native(plan, |_| unreachable!("the plan names no other file"))?;
/// initial_parameters(&bundle, &["age".to_owned()], 42, &model)?;
///
/// let table = folder.path().join("patients.csv");
/// std::fs::write(&table, "age,name\n61,x\n48,y\n")?;
/// let registration = register(&table, &Options::default())?;
/// let predictions = Predictor::open(&model)?.predict(&table, &registration)?;
/// assert_eq!(predictions, [[0.5], [0.5]]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Predictor {
    description: Description,
    task: Task,
    inputs: Vec<Input>,
    loss: Loss,
    model: Model,
}

impl Predictor {
    /// Opens a model's file.
    ///
    /// # Errors
    ///
    /// The file is no model file, does not describe itself, or does not fit its description.
    pub fn open(path: &Path) -> Result<Self, PredictorError> {
        let reader = Reader::open(path)?;
        let text = reader.description().ok_or(PredictorError::NoDescription)?;
        let description = Description::parse(text).map_err(PredictorError::Description)?;
        let task = description.task().ok_or(PredictorError::UnknownTask)?;
        let layers = description.layers.iter().cloned().map(LayerDescription::try_from);
        let inputs: Vec<Input> = description.features.iter().map(Feature::input).collect();
        let mut model = Model::new(&ModelDescription {
            inputs: inputs.iter().map(Input::width).sum(),
            initialisation: engine::Initialisation::Zeros,
            layers: layers.collect::<Result<_, _>>()?,
        })?;
        let loss = Loss::parse(&description.loss, &Map::new())?;
        loss.check_outputs(model.outputs())?;
        tensors::read(path, &mut model, &mut Interrupt::never())?;
        Ok(Self { description, task, inputs, loss, model })
    }

    /// What the file says of the model.
    #[must_use]
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// Predicts every row of a table: the probability of the last class, one for each class, or the
    /// value.
    ///
    /// # Errors
    ///
    /// The table cannot be read, lacks a column, or has missing values that the plan refused.
    pub fn predict(
        &self,
        path: &Path,
        registration: &Registration,
    ) -> Result<Vec<Vec<f32>>, PredictorError> {
        let requests = preparation::requests(&self.inputs, None);
        let table = TabularSource::open(path, registration)
            .and_then(|mut source| source.read(&requests))
            .map_err(Failure::from)?;
        let all: Vec<usize> = (0..table.rows()).collect();
        if self.missing() == Missing::Error {
            preparation::kept_rows(Missing::Error, &table, &mut Interrupt::never())?;
        } else if self.missing() == Missing::Drop && table.complete_rows().len() < all.len() {
            return Err(PredictorError::MissingValues);
        }
        let features = self.encode(&table, &all)?;
        let mut rows = Vec::with_capacity(all.len());
        for part in features.chunks(self.model.inputs() * most_rows(&self.model)) {
            let outputs = self.model.predict(part).expect("the rows have the model's inputs");
            let predictions = self.loss.predictions(&outputs, self.model.outputs());
            rows.extend(predictions.chunks(self.model.outputs()).map(<[f32]>::to_vec));
        }
        Ok(rows)
    }

    /// Computes metrics over the rows of a table that has the target.
    ///
    /// # Errors
    ///
    /// As [`Predictor::predict`], or the target is not what the description says.
    pub fn evaluate(
        &self,
        path: &Path,
        registration: &Registration,
        metrics: &[Metric],
    ) -> Result<MetricsReport, PredictorError> {
        let target = Target {
            task: self.task,
            column: &self.description.target,
            classes: &self.description.classes,
            counts: self.description.loss == POISSON,
        };
        let requests = preparation::requests(&self.inputs, Some(target));
        let table = TabularSource::open(path, registration)
            .and_then(|mut source| source.read(&requests))
            .map_err(Failure::from)?;
        let mut never = Interrupt::never();
        let kept = preparation::kept_rows(self.missing(), &table, &mut never)?;
        let table = table.into_rows(&kept, &mut never).map_err(Failure::from)?;
        if table.rows() == 0 {
            return Err(PredictorError::NoRow);
        }
        let all: Vec<usize> = (0..table.rows()).collect();
        let features = self.encode(&table, &all)?;
        let targets = Targets::read(target, &table)?.numbers();
        let mut rated = Rated::new(self.task, self.model.outputs());
        let parts = features.chunks(self.model.inputs() * most_rows(&self.model));
        for (features, targets) in parts.zip(targets.chunks(most_rows(&self.model))) {
            let batch = BatchBuffer { features: features.to_vec(), targets: targets.to_vec() };
            rated.add(&self.model, &self.loss, &batch);
        }
        let usual = Options {
            metric: metrics.first().copied().unwrap_or(Metric::Accuracy),
            options: MetricOptions::default(),
        };
        let outcome = rated.report(metrics, usual, &mut Interrupt::never())?;
        Ok(outcome.report.unwrap_or_default())
    }

    fn encode(&self, table: &Table, rows: &[usize]) -> Result<Vec<f32>, PredictorError> {
        let scaling = match self.description.standardize.as_str() {
            "local" => Scaling::Local,
            _ => Scaling::Declared,
        };
        let mut never = Interrupt::never();
        Ok(preparation::encode(scaling, &self.inputs, table, rows, &mut never)?.features)
    }

    fn missing(&self) -> Missing {
        match self.description.missing.as_str() {
            "drop" => Missing::Drop,
            "mean" => Missing::Mean,
            _ => Missing::Error,
        }
    }
}

/// Why a model file cannot be used, or a table not predicted.
#[derive(Debug, thiserror::Error)]
pub enum PredictorError {
    /// The file is not a file of parameters.
    #[error(transparent)]
    File(#[from] parameters::Error),
    /// The file does not say what the model is.
    #[error("the model file carries no description")]
    NoDescription,
    /// The description is not one of ours.
    #[error("the model file's description is not readable")]
    Description(#[source] serde_json::Error),
    /// The description names a task that this version does not know.
    #[error("the model file's description names an unknown task")]
    UnknownTask,
    /// The described layers or loss are unknown or do not fit.
    #[error(transparent)]
    Model(#[from] engine::description::Error),
    /// A row lacks a value that the model needs.
    #[error("the table has rows with missing values, which the model cannot predict")]
    MissingValues,
    /// Nothing is left to measure.
    #[error("the table has no row with everything that the model needs")]
    NoRow,
    /// The parameters do not fit the layers, or the table cannot be read.
    #[error("{0}")]
    Failure(String),
}

impl From<Failure> for PredictorError {
    fn from(failure: Failure) -> Self {
        Self::Failure(with_causes(&failure))
    }
}
