//! The training loop.

use std::num::NonZeroUsize;

use dataset::{Batches, LastBatch, Order};
use engine::{Batch, Loss, Model, Trainer, TrainerSettings};
use protocol::Code;
use serde_json::Value;
use training_plan::Plan;
use training_plan::arguments::{TrainingArguments, TrainingLength};
use training_plan::seed::{Place, Seed};

use super::fit::{self, Steps};
use super::instance::Built;
use super::preparation::Prepared;
use crate::{Assignment, Failure, Measurement, Monitor, Stage, TrainingSummary};

/// One round's training of one model.
#[derive(Clone, Copy)]
pub(super) struct Course<'a> {
    pub(super) plan: &'a Plan,
    pub(super) loss: &'a Loss,
    pub(super) built: &'a Built,
    pub(super) assignment: &'a Assignment,
    pub(super) data: &'a Prepared,
}

impl Course<'_> {
    /// Takes the model over, so that it is in memory once, and gives it back trained.
    pub(super) fn run(
        self,
        model: Model,
        monitor: &mut dyn Monitor,
    ) -> Result<(Model, TrainingSummary), Failure> {
        let mut optimizer_args = self.built.settings.clone();
        optimizer_args.insert("kind".to_owned(), Value::from(self.built.optimizer.name()));
        optimizer_args.insert("lr".to_owned(), self.built.optimizer.learning_rate().into());
        let summary = TrainingSummary {
            sample_count: self.data.split.train.len() as u64,
            optimizer_args,
            ..TrainingSummary::default()
        };
        let length = self.built.arguments.training().length;
        if matches!(length, TrainingLength::Epochs { epochs: 0, .. }) {
            return Ok((model, summary));
        }
        let batches = self.batches(0).count() as u64;
        if batches == 0 {
            let local = "no batch is full and the last one is dropped";
            return Err(Failure::new(Code::DataNoTrainingSamples, local));
        }
        let settings = self.settings(batches)?;
        let trainer = Trainer::new(model, settings)
            .map_err(|error| Failure::new(Code::TrainingFailed, error.to_string()))?;
        let mut pass =
            Loop { course: self, trainer, monitor, summary, batch: BatchBuffer::default() };
        pass.run(batches)?;
        let Loop { trainer, summary, .. } = pass;
        let model = trainer.into_model();
        if let Some(name) = model.first_non_finite() {
            let local = format!("parameter {name:?} is not finite after training");
            return Err(Failure::new(Code::TrainingDiverged, local));
        }
        Ok((model, summary))
    }

    /// The batches of an epoch, counted from 0.
    fn batches(self, epoch: u64) -> Batches {
        let loader = self.built.arguments.loader();
        let size = usize::try_from(loader.batch_size.get()).unwrap_or(usize::MAX);
        let order = if loader.shuffle {
            Order::Shuffled(Seed::batches(self.seed(), self.place(epoch)).into_bytes())
        } else {
            Order::Dataset
        };
        let last = if loader.drop_last { LastBatch::Drop } else { LastBatch::Keep };
        let size = NonZeroUsize::new(size).expect("a batch size that is not zero stays so");
        Batches::new(&self.data.split.train, size, order, last)
    }

    fn settings(self, batches: u64) -> Result<TrainerSettings, Failure> {
        let training = self.built.arguments.training();
        let steps = match training.length {
            TrainingLength::Epochs { epochs, batch_maximum } => {
                let epoch = batch_maximum.map_or(batches, |most| batches.min(most.get()));
                Steps { epoch, round: epochs.saturating_mul(epoch) }
            }
            TrainingLength::Updates(updates) => Steps { epoch: batches, round: updates.get() },
        };
        let schedule = fit::schedule(self.plan, steps)
            .map_err(|error| Failure::new(Code::TrainingFailed, error.to_string()))?;
        let before = u64::from(self.assignment.round.saturating_sub(1));
        Ok(TrainerSettings {
            schedule,
            first_step: before.saturating_mul(steps.round),
            fedprox_mu: training.fedprox_mu,
            gradient_clip_norm: training.gradient_clip_norm,
            ..TrainerSettings::new(self.loss.clone(), self.built.optimizer.clone())
        })
    }

    fn place(&self, epoch: u64) -> Place<'_> {
        Place {
            round: u64::from(self.assignment.round),
            node: &self.assignment.node,
            dataset: &self.assignment.dataset,
            epoch,
        }
    }

    fn seed(self) -> u64 {
        seed(&self.built.arguments, self.assignment)
    }
}

/// The experiment's seed, or what the arguments put in its place.
pub(super) fn seed(arguments: &TrainingArguments, assignment: &Assignment) -> u64 {
    arguments.training().random_seed.unwrap_or(assignment.seed)
}

/// A running training.
struct Loop<'a, 'm> {
    course: Course<'a>,
    trainer: Trainer,
    monitor: &'m mut dyn Monitor,
    summary: TrainingSummary,
    batch: BatchBuffer,
}

/// Whether the loop goes on after a batch.
#[derive(PartialEq, Eq)]
enum Flow {
    GoOn,
    Stop,
}

impl Loop<'_, '_> {
    fn run(&mut self, batches: u64) -> Result<(), Failure> {
        let epochs = match self.course.built.arguments.training().length {
            TrainingLength::Epochs { epochs, .. } => epochs,
            TrainingLength::Updates(updates) => updates.get().div_ceil(batches),
        };
        for epoch in 0..epochs {
            if self.epoch(epoch)? == Flow::Stop {
                break;
            }
        }
        Ok(())
    }

    fn epoch(&mut self, epoch: u64) -> Result<Flow, Failure> {
        let batches = self.course.batches(epoch);
        let training = self.course.built.arguments.training();
        let all = batches.count() as u64;
        let (in_epoch, left) = match training.length {
            TrainingLength::Epochs { batch_maximum, .. } => {
                let most = batch_maximum.map_or(all, |most| all.min(most.get()));
                (most, most)
            }
            TrainingLength::Updates(updates) => (all, all.min(updates.get() - self.summary.steps)),
        };
        let left = if training.dry_run { 1 } else { left };
        let dropout = Seed::dropout(self.course.seed(), self.course.place(epoch)).into_bytes();
        for (rows, iteration) in batches.iter().zip(1..=left) {
            if let Some(interruption) = self.monitor.interruption() {
                let local = format!("ended in epoch {}, batch {iteration}", epoch + 1);
                return Err(Failure::new(interruption.code(), local));
            }
            let loss = self.step(rows, mask_seed(dropout, iteration))?;
            if iteration % training.log_interval.get() == 0 || iteration == left {
                self.monitor.measured(Measurement {
                    stage: Stage::Training { epoch: epoch + 1 },
                    metrics: vec![(LOSS.to_owned(), loss)],
                    iteration,
                    total_samples: self.summary.sample_count,
                    batch_samples: rows.len() as u64,
                    num_batches: in_epoch,
                    num_samples_trained: self.summary.samples_trained,
                });
            }
        }
        Ok(if training.dry_run { Flow::Stop } else { Flow::GoOn })
    }

    fn step(&mut self, rows: &[usize], dropout_seed: [u8; 32]) -> Result<f64, Failure> {
        self.batch.fill(self.course.data, rows);
        let batch =
            Batch { features: &self.batch.features, targets: &self.batch.targets, dropout_seed };
        let loss = self.trainer.step(&batch).map_err(|error| failure(&error))?;
        self.summary.steps += 1;
        self.summary.samples_trained += rows.len() as u64;
        Ok(loss)
    }
}

fn failure(error: &engine::trainer::Error) -> Failure {
    let code = match error {
        engine::trainer::Error::NonFiniteLoss { .. }
        | engine::trainer::Error::NonFiniteGradient { .. } => Code::TrainingDiverged,
        _ => Code::TrainingFailed,
    };
    Failure::new(code, error.to_string())
}

/// The rows of one batch, gathered; the memory is used again for the next.
#[derive(Default)]
pub(super) struct BatchBuffer {
    pub(super) features: Vec<f32>,
    pub(super) targets: Vec<f32>,
}

impl BatchBuffer {
    pub(super) fn fill(&mut self, data: &Prepared, rows: &[usize]) {
        self.features.clear();
        self.targets.clear();
        for row in rows {
            let start = row * data.width;
            self.features.extend_from_slice(&data.features[start..start + data.width]);
            self.targets.push(data.targets[*row]);
        }
    }
}

/// Each batch of an epoch has its own dropout masks: its number is mixed into the epoch's seed.
fn mask_seed(mut epoch: [u8; 32], iteration: u64) -> [u8; 32] {
    for (byte, number) in epoch.iter_mut().zip(iteration.to_le_bytes()) {
        *byte ^= number;
    }
    epoch
}

/// The name of what training makes small.
const LOSS: &str = "Loss";
