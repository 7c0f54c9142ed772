//! The work that outlives an event: aggregating, and deleting what is no longer kept.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use aggregation::{Combine, FedAvg, Output, Update};
use parameters::Reader;
use protocol::wire::CARRIED_BYTES;
use protocol::{ArtifactReference, Code, Digest, ExperimentId};
use round::experiment::{AggregationFault, Event, Input, Site, Ticket};
use store::{Durability, artifact};
use tokio::task::JoinSet;

use crate::bodies;
use crate::retention;
use crate::shared::Shared;
use crate::submission::{Strategy, Submission};

/// Pieces of work; those that somebody waits for end with an event.
pub(super) type Work = JoinSet<Option<Outcome>>;

/// What a piece of work came to.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) experiment_id: ExperimentId,
    pub(super) event: Event,
    /// The bytes of a model that is kept in the database.
    pub(super) short_model: Option<(Digest, Vec<u8>)>,
}

/// Aggregates where blocking is allowed; the outcome is an event.
pub(super) fn aggregate(
    work: &mut Work,
    shared: &Arc<Shared>,
    submission: &Arc<Submission>,
    (ticket, round, inputs): (Ticket, u32, Vec<Input>),
) {
    let base = base(shared, submission);
    let (shared, submission) = (Arc::clone(shared), Arc::clone(submission));
    work.spawn_blocking(move || {
        Some(aggregate_now(&shared, &submission, base.digest, (ticket, round, &inputs)))
    });
}

/// Aggregates on the calling thread where that takes no longer than to wake another one; nothing where it does.
pub(super) fn aggregate_at_once(
    shared: &Arc<Shared>,
    submission: &Arc<Submission>,
    (ticket, round, inputs): (Ticket, u32, &[Input]),
) -> Option<Outcome> {
    let base = base(shared, submission);
    let bytes = base.size.saturating_mul(inputs.len() as u64 + 1);
    let is_short = bytes <= AT_ONCE && inputs.len() <= MOST_AT_ONCE;
    is_short.then(|| aggregate_now(shared, submission, base.digest, (ticket, round, inputs)))
}

/// The parameters that the round started from.
fn base(shared: &Shared, submission: &Submission) -> ArtifactReference {
    let live = shared.board.get(submission.experiment_id);
    let model = live.map(|live| live.experiment.model().clone());
    model.unwrap_or_else(|| submission.specification.parameters.clone())
}

fn aggregate_now(
    shared: &Shared,
    submission: &Submission,
    base: Digest,
    (ticket, round, inputs): (Ticket, u32, &[Input]),
) -> Outcome {
    let id = submission.experiment_id;
    let scratch = shared.config.artifacts().join(format!("aggregate-{id}-{round}"));
    let job = Aggregation { shared, strategy: submission.strategy(), base, scratch };
    // A defect of ours ends this round's attempt, and nothing else.
    let outcome = catch_unwind(AssertUnwindSafe(|| job.run(inputs)))
        .unwrap_or(Err(AggregationFault::Round(Code::CoordinatorInternal)));
    let (event, short_model) = match outcome {
        Ok((model, short)) => (Event::Aggregated { ticket, model }, short),
        Err(fault) => (Event::AggregationFailed { ticket, fault }, None),
    };
    Outcome { experiment_id: id, event, short_model }
}

struct Aggregation<'a> {
    shared: &'a Shared,
    strategy: Strategy,
    /// The parameters that the round started from: their tensors are those of the aggregate.
    base: Digest,
    scratch: PathBuf,
}

impl Aggregation<'_> {
    fn run(&self, inputs: &[Input]) -> Result<Made, AggregationFault> {
        let base = self.open(&self.base).map_err(AggregationFault::Round)?;
        let updates: Vec<Update> =
            inputs.iter().map(|input| self.update(input)).collect::<Result<_, _>>()?;
        let output = Output {
            path: &self.scratch,
            description: base.description(),
            durability: parameters::Durability::Renamed,
        };
        let made = match self.strategy {
            Strategy::FedAvg(weights) => {
                let mut fed_avg = FedAvg::new(weights);
                if base.schema().data_bytes() < WORTH_A_THREAD {
                    fed_avg.threads = NonZeroUsize::MIN;
                }
                fed_avg.aggregate_hashed(base.schema(), &updates, output)
            }
            Strategy::Combine => Combine.combine(base.schema(), &updates, output),
        };
        let model = made.map_err(fault)?;
        let unkept = |error| AggregationFault::Round(storage_code(&error));
        let artifacts = &self.shared.artifacts;
        if model.size > CARRIED_BYTES {
            artifacts.adopt(&self.scratch, &model, Durability::PowerLoss).map_err(unkept)?;
            return Ok((model, None));
        }
        // What makes it durable is its row, which is written with the event that tells of it.
        artifacts.adopt(&self.scratch, &model, Durability::Process).map_err(unkept)?;
        let bytes = bodies::read(artifacts, &model.digest).map_err(unkept)?;
        let digest = model.digest;
        Ok((model, Some((digest, bytes))))
    }

    fn update(&self, input: &Input) -> Result<Update, AggregationFault> {
        let Site { node, dataset } = input.site.clone();
        let bad = |code| AggregationFault::Input { site: input.site.clone(), code };
        let reader = self.open(&input.update.digest).map_err(bad)?;
        Ok(Update { node, dataset, sample_count: input.sample_count, reader })
    }

    fn open(&self, digest: &Digest) -> Result<Reader, Code> {
        let artifact = self.shared.artifacts.open_verified(digest).map_err(|error| {
            tracing::error!(%digest, %error, "an artifact is not there");
            // Whoever made it may make it again.
            Code::ResultsUploadFailed
        })?;
        Reader::open(&artifact.path).map_err(|error| {
            tracing::warn!(%digest, %error, "an artifact is no file of parameters");
            Code::ParametersInvalid
        })
    }
}

fn fault(error: aggregation::Error) -> AggregationFault {
    tracing::warn!(%error, "updates cannot be aggregated");
    let code = match &error {
        aggregation::Error::NoSamples => Code::AggregationNoSamples,
        aggregation::Error::Mismatch { .. } => Code::ParametersMismatch,
        aggregation::Error::NotFiniteUpdate { .. } => Code::TrainingDiverged,
        aggregation::Error::Unreadable { .. }
        | aggregation::Error::OutOfRange { .. }
        | aggregation::Error::NoRule { .. } => Code::ParametersInvalid,
        aggregation::Error::Unwritable(parameters::Error::Io { source, .. })
            if source.kind() == std::io::ErrorKind::StorageFull =>
        {
            Code::StorageFull
        }
        // What reaches the aggregation has been counted and told apart, so these are defects, of ours or of the disk.
        aggregation::Error::NoUpdates
        | aggregation::Error::TooManySamples
        | aggregation::Error::Duplicate { .. }
        | aggregation::Error::NotFiniteMean { .. }
        | aggregation::Error::Unwritable(_) => Code::CoordinatorInternal,
    };
    match error.culprit() {
        Some((node, dataset)) => {
            let site = Site { node: node.clone(), dataset: dataset.clone() };
            AggregationFault::Input { site, code }
        }
        None => AggregationFault::Round(code),
    }
}

fn storage_code(error: &artifact::Error) -> Code {
    tracing::error!(%error, "the aggregate cannot be kept");
    match error {
        error if retention::is_full(error) => Code::StorageFull,
        _ => Code::CoordinatorInternal,
    }
}

/// A model, and its bytes where they are few.
type Made = (ArtifactReference, Option<(Digest, Vec<u8>)>);

/// Deletes files that nobody keeps any more.
pub(super) fn delete(work: &mut Work, shared: &Arc<Shared>, digests: Vec<Digest>) {
    if digests.is_empty() {
        return;
    }
    let shared = Arc::clone(shared);
    work.spawn(async move {
        retention::delete(&shared, digests).await;
        None
    });
}

/// Bytes of updates and model that are averaged within a moment.
const AT_ONCE: u64 = 64 << 10;
/// Updates that are opened within a moment.
const MOST_AT_ONCE: usize = 8;
/// Bytes of a model below which a second thread would begin when the first has ended.
const WORTH_A_THREAD: u64 = 64 << 10;
