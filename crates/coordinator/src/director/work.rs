//! The work that outlives an event: aggregating, checkpointing, dropping what is no longer kept.

use std::path::PathBuf;
use std::sync::Arc;

use aggregation::{FedAvg, Output, Update, Weights};
use parameters::Reader;
use protocol::{ArtifactReference, Code, Digest, ExperimentId, RoundId};
use round::experiment::{AggregationFault, Event, Input, Site, Ticket};
use store::{Durability, artifact};
use tokio::task::JoinSet;

use crate::history;
use crate::record::Error;
use crate::retention;
use crate::scalars;
use crate::shared::Shared;
use crate::submission::Submission;

/// What a checkpoint writes.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoint {
    pub(crate) ticket: Ticket,
    pub(crate) round: u32,
    pub(crate) model: ArtifactReference,
    pub(crate) used: Vec<RoundId>,
}

/// Aggregates where blocking is allowed; the outcome is an event.
pub(super) fn aggregate(
    work: &mut JoinSet<(ExperimentId, Event)>,
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
        let event = match job.run(&inputs) {
            Ok(model) => Event::Aggregated { ticket, model },
            Err(fault) => Event::AggregationFailed { ticket, fault },
        };
        (id, event)
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
        let mean = FedAvg::new(self.weights).aggregate_hashed(base.schema(), &updates, output);
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
        aggregation::Error::NoUpdates
        | aggregation::Error::TooManySamples
        | aggregation::Error::Duplicate { .. }
        | aggregation::Error::NotFiniteMean { .. } => Code::AggregationInvalid,
        aggregation::Error::Unwritable(parameters::Error::Io { source, .. })
            if source.kind() == std::io::ErrorKind::StorageFull =>
        {
            Code::StorageFull
        }
        aggregation::Error::Unwritable(_) => Code::CoordinatorInternal,
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
        artifact::Error::DiskFull { .. } | artifact::Error::NoRoom { .. } => Code::StorageFull,
        _ => Code::CoordinatorInternal,
    }
}

/// Writes a round's history and drops what is no longer kept; the outcome is an event.
pub(super) fn checkpoint(
    work: &mut JoinSet<(ExperimentId, Event)>,
    shared: &Arc<Shared>,
    submission: &Arc<Submission>,
    checkpoint: Checkpoint,
) {
    let (shared, submission) = (Arc::clone(shared), Arc::clone(submission));
    work.spawn(async move {
        let id = submission.experiment_id;
        let ticket = checkpoint.ticket;
        match write_checkpoint(&shared, &submission, checkpoint).await {
            Ok(dropped) => {
                shared.feeds.notify(id);
                retention::delete(&shared, dropped).await;
                (id, Event::Checkpointed { ticket })
            }
            Err(error) => {
                tracing::error!(experiment = %id, %error, "a checkpoint cannot be written");
                let code = match error {
                    Error::Database(store::database::Error::DiskFull) => Code::StorageFull,
                    _ => Code::CoordinatorInternal,
                };
                (id, Event::CheckpointFailed { ticket, code })
            }
        }
    });
}

async fn write_checkpoint(
    shared: &Shared,
    submission: &Arc<Submission>,
    checkpoint: Checkpoint,
) -> Result<Vec<Digest>, Error> {
    // What sites told while the round ran comes before its end.
    scalars::flush(shared).await;
    let now = shared.clock.now();
    let submission = Arc::clone(submission);
    shared
        .database
        .write(move |transaction| {
            history::close_round(transaction, &submission, &checkpoint, now)?;
            retention::release(transaction, &submission)
        })
        .await
}

/// Drops an update that nobody will use.
pub(super) fn discard(
    work: &mut JoinSet<(ExperimentId, Event)>,
    shared: &Arc<Shared>,
    digest: Digest,
) {
    let shared = Arc::clone(shared);
    // It answers with an event like all work: one that every experiment ignores.
    work.spawn(async move {
        retention::delete(&shared, vec![digest]).await;
        let nobody = ExperimentId::from_uuid(uuid::Uuid::nil());
        (nobody, Event::Restarted)
    });
}
