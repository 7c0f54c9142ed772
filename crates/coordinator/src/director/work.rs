//! The work that outlives an event: aggregating, and deleting what is no longer kept.

use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;

use aggregation::{FedAvg, Output, Update, Weights};
use parameters::Reader;
use protocol::{ArtifactReference, Code, Digest, ExperimentId};
use round::experiment::{AggregationFault, Event, Input, Site, Ticket};
use store::{Durability, artifact};
use tokio::task::JoinSet;

use crate::retention;
use crate::shared::Shared;
use crate::submission::Submission;

/// Pieces of work; those that somebody waits for end with an event.
pub(super) type Work = JoinSet<Option<(ExperimentId, Event)>>;

/// Aggregates where blocking is allowed; the outcome is an event.
pub(super) fn aggregate(
    work: &mut Work,
    shared: &Arc<Shared>,
    submission: &Arc<Submission>,
    (ticket, round, inputs): (Ticket, u32, Vec<Input>),
) {
    let (shared, submission) = (Arc::clone(shared), Arc::clone(submission));
    let id = submission.experiment_id;
    let base = shared.board.get(id).map(|live| live.experiment.model().digest);
    work.spawn_blocking(move || {
        let base = base.unwrap_or(submission.specification.parameters.digest);
        let scratch = shared.config.artifacts().join(format!("aggregate-{id}-{round}"));
        let job = Aggregation { shared: &shared, weights: submission.weights, base, scratch };
        // A defect of ours ends this round's attempt, and nothing else.
        let outcome = catch_unwind(AssertUnwindSafe(|| job.run(&inputs)))
            .unwrap_or(Err(AggregationFault::Round(Code::CoordinatorInternal)));
        let event = match outcome {
            Ok(model) => Event::Aggregated { ticket, model },
            Err(fault) => Event::AggregationFailed { ticket, fault },
        };
        Some((id, event))
    });
}

struct Aggregation<'a> {
    shared: &'a Shared,
    weights: Weights,
    /// The parameters that the round started from: their tensors are those of the aggregate.
    base: Digest,
    scratch: PathBuf,
}

impl Aggregation<'_> {
    fn run(&self, inputs: &[Input]) -> Result<ArtifactReference, AggregationFault> {
        let base = self.open(&self.base).map_err(AggregationFault::Round)?;
        let updates: Vec<Update> =
            inputs.iter().map(|input| self.update(input)).collect::<Result<_, _>>()?;
        let output = Output {
            path: &self.scratch,
            description: base.description(),
            durability: parameters::Durability::Renamed,
        };
        let mut fed_avg = FedAvg::new(self.weights);
        if base.schema().data_bytes() < WORTH_A_THREAD {
            fed_avg.threads = NonZeroUsize::MIN;
        }
        let mean = fed_avg.aggregate_hashed(base.schema(), &updates, output);
        let model = mean.map_err(fault)?;
        let adopted = self.shared.artifacts.adopt(&self.scratch, &model, Durability::PowerLoss);
        adopted.map_err(|error| AggregationFault::Round(storage_code(&error)))?;
        Ok(model)
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
        aggregation::Error::Unreadable { .. } => Code::ParametersInvalid,
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

/// Bytes of a model below which a second thread would begin when the first has ended.
const WORTH_A_THREAD: u64 = 64 << 10;
