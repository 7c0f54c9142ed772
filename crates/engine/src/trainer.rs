//! Training: one optimizer step for each batch.

use crate::allocator;
use crate::backend::{self, Buffer, Tensor, Tracking};
use crate::description;
use crate::fields::Range;
use crate::layer::Pass;
use crate::loss::{self, Loss};
use crate::model::{self, Model, all_finite};
use crate::optimizer::{Optimizer, Point, State};
use crate::schedule::Schedule;
use crate::vector::widest;

/// Trains a model step by step.
///
/// The same model, settings and batches give the same bits on the same machine.
#[derive(Debug)]
pub struct Trainer {
    model: Model,
    settings: TrainerSettings,
    reference: Option<Model>,
    states: Vec<State>,
    taken: u64,
}

/// How to train.
#[derive(Debug, Clone)]
pub struct TrainerSettings {
    /// What to minimise.
    pub loss: Loss,
    /// How to step.
    pub optimizer: Optimizer,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// The schedule's number of this trainer's first step: rounds continue one schedule, though each
    /// starts with a fresh optimizer.
    pub first_step: u64,
    /// Adds `mu/2 · ‖w − w₀‖²` to what is minimised, with `w₀` the parameters that the trainer was
    /// given (FedProx: Li and others, 2020).
    pub fedprox_mu: Option<f64>,
    /// Scales the gradient of all parameters together down to at most this Euclidean norm.
    pub gradient_clip_norm: Option<f64>,
}

/// Rows to learn from in one step.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// Features, row after row.
    pub features: &'a [f32],
    /// Targets; see [`Loss::evaluate`] for their form.
    pub targets: &'a [f32],
    /// Seed of this batch's dropout masks; without effect on a model that has no dropout.
    pub dropout_seed: [u8; 32],
}

/// Says why a step was not taken; the parameters are as before it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Features that do not fit the model.
    #[error(transparent)]
    Features(#[from] model::Error),
    /// Targets that do not fit the loss.
    #[error(transparent)]
    Targets(#[from] loss::Error),
    /// Training has diverged, or a feature is not finite.
    #[error("the loss is {loss} after {steps} steps")]
    NonFiniteLoss {
        /// The loss.
        loss: f64,
        /// Steps taken before.
        steps: u64,
    },
    /// The loss is finite and its gradient is not.
    #[error("the gradient of \"{parameter}\" is not finite after {steps} steps")]
    NonFiniteGradient {
        /// The first such parameter.
        parameter: String,
        /// Steps taken before.
        steps: u64,
    },
}

impl TrainerSettings {
    /// A constant learning rate, no proximal term, no clipping.
    pub fn new(loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            loss,
            optimizer,
            schedule: Schedule::default(),
            first_step: 0,
            fedprox_mu: None,
            gradient_clip_norm: None,
        }
    }
}

impl Trainer {
    /// Takes over a model whose parameters are set, with fresh optimizer state.
    ///
    /// # Errors
    ///
    /// [`description::Error`] if the model's outputs do not suit the loss, or `fedprox_mu` or
    /// `gradient_clip_norm` is out of range.
    pub fn new(model: Model, settings: TrainerSettings) -> Result<Self, description::Error> {
        settings.loss.check_outputs(model.outputs())?;
        Range::NotNegative.check("training", "fedprox_mu", settings.fedprox_mu)?;
        Range::Positive.check("training", "gradient_clip_norm", settings.gradient_clip_norm)?;
        let sizes = model.parameters().map(|parameter| parameter.values.len());
        let states = settings.optimizer.start(sizes);
        let reference = settings.fedprox_mu.filter(|mu| *mu > 0.0).map(|_| model.clone());
        Ok(Self { model, settings, reference, states, taken: 0 })
    }

    /// Takes one optimizer step on `batch` and returns its loss before the step, without the
    /// proximal term.
    ///
    /// # Errors
    ///
    /// [`Error`] when the batch does not fit, or the loss or a gradient is infinite or not a number;
    /// the parameters are then as before.
    pub fn step(&mut self, batch: &Batch<'_>) -> Result<f64, Error> {
        let (loss, mut gradients) = self.gradients(batch)?;
        self.add_proximal(&mut gradients);
        self.clip(&mut gradients);
        let point = self.next_point();
        let tensors = self.model.buffers_mut().zip(&gradients).zip(&mut self.states);
        for ((weights, gradient), state) in tensors {
            let (weights, gradient) = (weights.values_mut(), gradient.values());
            self.settings.optimizer.update(point, weights, gradient, state);
        }
        Ok(loss)
    }

    /// The model as trained so far.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Gives the model back.
    pub fn into_model(self) -> Model {
        self.model
    }

    /// What is minimised.
    pub fn loss(&self) -> &Loss {
        &self.settings.loss
    }

    /// Steps taken by this trainer.
    pub fn steps(&self) -> u64 {
        self.taken
    }

    /// The learning rate of the next step.
    pub fn learning_rate(&self) -> f64 {
        let step = self.settings.first_step.saturating_add(self.taken);
        self.settings.schedule.rate(self.settings.optimizer.learning_rate(), step)
    }

    fn gradients(&self, batch: &Batch<'_>) -> Result<(f64, Vec<Buffer>), Error> {
        let rows = self.model.rows(batch.features)?;
        if rows == 0 {
            return Err(loss::Error::Empty.into());
        }
        if self.taken == 0 {
            allocator::expect_blocks(self.model.estimate_memory(rows));
        }
        let leaves = self.model.leaves(Tracking::On);
        let input = Tensor::constant(batch.features.to_vec(), &[rows, self.model.inputs()]);
        let mut pass = Pass::training(batch.dropout_seed);
        let outputs = self.model.forward(input, &leaves, &mut pass);
        let width = self.model.outputs();
        let graded = self.settings.loss.evaluate(&outputs.to_values(), batch.targets, width)?;
        let steps = self.taken;
        if !graded.value.is_finite() {
            return Err(Error::NonFiniteLoss { loss: graded.value, steps });
        }
        let gradients = backend::gradients(outputs, graded.gradient, leaves);
        match gradients.iter().position(|gradient| !all_finite(gradient.values())) {
            None => Ok((graded.value, gradients)),
            Some(position) => {
                let parameter = self.model.parameter_name(position).to_owned();
                Err(Error::NonFiniteGradient { parameter, steps })
            }
        }
    }

    /// Adds `mu · (w − w₀)`.
    fn add_proximal(&self, gradients: &mut [Buffer]) {
        let (Some(reference), Some(mu)) = (&self.reference, self.settings.fedprox_mu) else {
            return;
        };
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let mu = mu as f32;
        let pairs = self.model.parameters().zip(reference.parameters());
        for ((now, before), gradient) in pairs.zip(gradients) {
            let values = now.values.iter().zip(before.values);
            let steps = gradient.values_mut().iter_mut().zip(values);
            widest(|| steps.for_each(|(slope, (now, before))| *slope += mu * (now - before)));
        }
    }

    /// Scales by `limit / norm` if the norm is above the limit.
    fn clip(&self, gradients: &mut [Buffer]) {
        let Some(limit) = self.settings.gradient_clip_norm else { return };
        let squares = |gradient: &Buffer| -> f64 {
            gradient.values().iter().map(|slope| f64::from(*slope).powi(2)).sum()
        };
        let norm = gradients.iter().map(squares).sum::<f64>().sqrt();
        if norm <= limit {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
        let factor = (limit / norm) as f32;
        for gradient in gradients {
            gradient.values_mut().iter_mut().for_each(|slope| *slope *= factor);
        }
    }

    fn next_point(&mut self) -> Point {
        let rate = self.learning_rate();
        self.taken += 1;
        Point { count: self.taken, rate }
    }
}
