//! The training loop as the node sees it: it gives each epoch's order, and counts by itself.

use dataset::Generator;
use protocol::Code;
use training_plan::arguments::{TrainingArguments, TrainingLength};
use training_plan::seed::{Place, Seed};

use super::dialogue::{Dialogue, Enclosed, Step};
use super::frame::Patience;
use super::indices::Indices;
use super::message::{Epoch, Request, Said, ScalarBody, Trained};
use crate::{Assignment, Failure, Measurement, Stage, TrainingSummary};

/// One round's training.
pub(super) struct Course<'a> {
    pub(super) arguments: &'a TrainingArguments,
    pub(super) assignment: &'a Assignment,
    /// Rows of the training subset.
    pub(super) rows: u64,
}

impl Course<'_> {
    /// Trains, and gives what the node itself can say of it.
    pub(super) fn run(
        &self,
        dialogue: &mut Dialogue,
        patience: &mut Patience<'_>,
    ) -> Result<TrainingSummary, Failure> {
        let length = self.arguments.training().length;
        let summary = TrainingSummary { sample_count: self.rows, ..TrainingSummary::default() };
        if matches!(length, TrainingLength::Epochs { epochs: 0, .. }) {
            return Ok(summary);
        }
        if self.batches() == 0 {
            let local = "no batch is full and the last one is dropped";
            return Err(Failure::new(Code::DataNoTrainingSamples, local));
        }
        dialogue.begin(Step::Train, &Request::Train {}, Enclosed::default(), patience)?;
        let mut place = Position::default();
        loop {
            let (said, payload) = dialogue.next(patience)?;
            if !payload.is_empty() {
                return Err(dialogue.broken("a payload that nobody asked for"));
            }
            match said {
                Said::Done(done) => {
                    let trained: Trained = dialogue.done(done)?;
                    let (steps, samples_trained) = (trained.steps, trained.samples_trained);
                    return Ok(TrainingSummary { steps, samples_trained, ..summary });
                }
                Said::Order(epoch)
                    if epoch.epoch == place.epochs && epoch.epoch < self.epochs() =>
                {
                    place = Position { epochs: place.epochs + 1, iteration: 0 };
                    self.answer(dialogue, epoch, patience)?;
                }
                Said::Scalar(scalar) => match self.measurement(&mut place, &scalar) {
                    Some(measurement) => patience.monitor().measured(measurement),
                    None => return Err(dialogue.broken("a scalar of no batch that is due")),
                },
                Said::Order(_) | Said::Part(_) | Said::Labels(_) | Said::Failed(_) => {
                    return Err(dialogue.broken("a message that is out of place in training"));
                }
            }
        }
    }

    fn answer(
        &self,
        dialogue: &mut Dialogue,
        epoch: Epoch,
        patience: &mut Patience<'_>,
    ) -> Result<(), Failure> {
        let place = Place {
            round: u64::from(self.assignment.round),
            node: &self.assignment.node,
            dataset: &self.assignment.dataset,
            epoch: epoch.epoch,
        };
        let seed = seed(self.arguments, self.assignment);
        let rows = usize::try_from(self.rows).unwrap_or(usize::MAX);
        let mut positions: Vec<usize> = (0..rows).collect();
        if self.arguments.loader().shuffle {
            Generator::new(Seed::batches(seed, place).into_bytes()).shuffle(&mut positions);
        }
        let dropout = number(Seed::dropout(seed, place)).to_string();
        dialogue.answer_order(epoch, dropout, &Indices::new(&positions)?, patience)
    }

    /// A measurement in which only the values and the place are the worker's; the place must be one at which a
    /// measurement is due.
    fn measurement(&self, place: &mut Position, scalar: &ScalarBody) -> Option<Measurement> {
        let in_epoch = self.batches_taken();
        let last = self.last_batch(place.epochs);
        let interval = self.arguments.training().log_interval.get();
        let is_due = scalar.iteration.is_multiple_of(interval) || scalar.iteration == last;
        let is_later = scalar.iteration > place.iteration && scalar.iteration <= last;
        if !is_due || !is_later || scalar.epoch != place.epochs {
            return None;
        }
        place.iteration = scalar.iteration;
        let metrics = scalar.metrics.iter().take(MOST_METRICS);
        let metrics = metrics.map(|(name, value)| Some((name.clone(), value.as_f64()?)));
        let before = self.samples(in_epoch).saturating_mul(place.epochs - 1);
        Some(Measurement {
            stage: Stage::Training { epoch: place.epochs },
            metrics: metrics.collect::<Option<_>>()?,
            iteration: scalar.iteration,
            total_samples: self.rows,
            batch_samples: self.samples(scalar.iteration) - self.samples(scalar.iteration - 1),
            num_batches: in_epoch,
            num_samples_trained: before.saturating_add(self.samples(scalar.iteration)),
        })
    }

    /// Batches in an epoch.
    fn batches(&self) -> u64 {
        let size = self.arguments.loader().batch_size.get();
        if self.arguments.loader().drop_last { self.rows / size } else { self.rows.div_ceil(size) }
    }

    /// Batches of an epoch that are trained on.
    fn batches_taken(&self) -> u64 {
        match self.arguments.training().length {
            TrainingLength::Epochs { batch_maximum: Some(most), .. } => {
                self.batches().min(most.get())
            }
            TrainingLength::Epochs { batch_maximum: None, .. } | TrainingLength::Updates(_) => {
                self.batches()
            }
        }
    }

    /// Epochs that the training may begin.
    fn epochs(&self) -> u64 {
        let training = self.arguments.training();
        match training.length {
            _ if training.dry_run => 1,
            TrainingLength::Epochs { epochs, .. } => epochs,
            TrainingLength::Updates(updates) => updates.get().div_ceil(self.batches_taken()),
        }
    }

    /// The last batch that an epoch, counted from 1, is trained on; 0 where there is none.
    fn last_batch(&self, epoch: u64) -> u64 {
        let batches = self.batches_taken();
        let training = self.arguments.training();
        let Some(before) = epoch.checked_sub(1) else { return 0 };
        let last = match training.length {
            TrainingLength::Epochs { .. } => batches,
            TrainingLength::Updates(updates) => {
                batches.min(updates.get().saturating_sub(before.saturating_mul(batches)))
            }
        };
        if training.dry_run { last.min(1) } else { last }
    }

    /// Rows in the first batches of an epoch.
    fn samples(&self, batches: u64) -> u64 {
        batches.saturating_mul(self.arguments.loader().batch_size.get()).min(self.rows)
    }
}

/// How far a training is.
#[derive(Clone, Copy, Default)]
struct Position {
    /// Epochs whose order was asked for.
    epochs: u64,
    /// The batch of the last measurement in this epoch.
    iteration: u64,
}

/// The experiment's seed, or what the arguments put in its place.
pub(super) fn seed(arguments: &TrainingArguments, assignment: &Assignment) -> u64 {
    arguments.training().random_seed.unwrap_or(assignment.seed)
}

/// A seed as the frameworks take it: its first eight bytes.
pub(super) fn number(seed: Seed) -> u64 {
    let (first, _) = seed.as_bytes().split_at(8);
    u64::from_le_bytes(first.try_into().expect("eight bytes were split off"))
}

/// Values of one measurement.
const MOST_METRICS: usize = 32;
