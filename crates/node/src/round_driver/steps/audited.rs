//! What of a round is recorded before the node goes on with it.

use protocol::Code;
use round::Outcome;

use super::{Fault, Work};
use crate::audit::{Action, Actor, Entry, Object};
use crate::registry::{self, datasets, datasets::Dataset};
use crate::round_log::chain;

/// Records the start of a round before its plan is opened, and its release before anything is sent.
///
/// Where that cannot be recorded, it is not done.
pub(super) async fn record(work: &Work, outcome: Outcome) -> Result<Outcome, Fault> {
    if matches!(outcome, Outcome::PlanApproved) {
        permit(work, start(work)?).await?;
    } else if let Outcome::DataOpened { training_rows, validation_rows, .. } = &outcome {
        // It is synchronised with the release, the next that is recorded of this round.
        let entry = entry(work, Action::RoundSplit).split(*training_rows, *validation_rows);
        let entry = entry.number(Object::ExcludedSamples, work.findings.excluded);
        work.site.audit.note(with_dataset(entry, dataset(work)?.as_ref())).await;
    } else if matches!(outcome, Outcome::EgressAllowed { .. } | Outcome::Released { .. }) {
        permit(work, release(work)?).await?;
    } else if matches!(outcome, Outcome::EgressHeld) {
        let update = work.export.as_ref().map(|export| &export.update);
        let entry = entry(work, Action::RoundHold).update(update);
        permit(work, with_dataset(entry, dataset(work)?.as_ref())).await?;
    }
    Ok(outcome)
}

async fn permit(work: &Work, entry: Entry) -> Result<(), Fault> {
    let permitted = work.site.audit.permit(entry).await;
    permitted.map_err(|error| Fault::new(Code::AuditUnavailable, chain(&error)))
}

fn entry(work: &Work, action: Action) -> Entry {
    let request = &work.request;
    let actor = Actor::Researcher(request.researcher_id.clone());
    Entry::new(work.site.clock.now(), actor, action)
        .round(request.round_id)
        .experiment(request.experiment_id)
        .number(Object::RoundNumber, u64::from(request.round))
        .number(Object::Attempt, u64::from(work.ticket.attempt))
}

fn start(work: &Work) -> Result<Entry, Fault> {
    let entry = entry(work, Action::RoundStart).plan(&work.request.plan.digest);
    let entry = entry.mode(work.request.mode);
    let entry = match work.findings.grant {
        Some(grant) => entry.number(Object::Grant, grant),
        None => entry,
    };
    let entry = match &work.findings.grant_digest {
        Some(digest) => entry.grant_digest(digest),
        None => entry,
    };
    Ok(with_dataset(entry, dataset(work)?.as_ref()))
}

fn release(work: &Work) -> Result<Entry, Fault> {
    let findings = &work.findings;
    let update = work.export.as_ref().map(|export| &export.update);
    let samples = work.export.as_ref().map_or(findings.sample_count, |export| export.sample_count);
    let mut entry = entry(work, Action::RoundRelease).plan(&work.request.plan.digest);
    entry = entry.update(update).number(Object::SampleCount, samples);
    if let Some(confinement) = &findings.confinement {
        entry = entry.sandbox_level(&confinement.level);
        entry = entry.environment(confinement.environment.as_ref());
    }
    Ok(with_dataset(entry, dataset(work)?.as_ref()))
}

fn with_dataset(entry: Entry, dataset: Option<&Dataset>) -> Entry {
    match dataset {
        Some(dataset) => {
            entry.dataset(&dataset.name, dataset.dataset_id, &dataset.registration.digest())
        }
        None => entry,
    }
}

fn dataset(work: &Work) -> Result<Option<Dataset>, Fault> {
    let id = work.request.dataset_id;
    let found = work.site.database.read_blocking(|transaction| datasets::by_id(transaction, id));
    found.map_err(|error: registry::Error| Fault::new(Code::NodeInternal, chain(&error)))
}
