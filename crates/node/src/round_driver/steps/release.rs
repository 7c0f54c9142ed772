//! Still phase 14: an update that the policy holds, and its owner's decision.

use protocol::wire::v1;
use protocol::wire::v1::node_message::Message;
use protocol::{ArtifactReference, Code, Warning};
use round::Outcome;

use super::{Fault, Work};
use crate::registry;
use crate::registry::releases::{self, Decision};
use crate::round_log::chain;

/// Whether an update may leave, waits for its owner, or stays; that it waits is noted before anybody is told.
pub(super) async fn judge(
    work: &mut Work,
    update: ArtifactReference,
    warnings: Vec<Warning>,
) -> Result<Outcome, Fault> {
    if let Some(outcome) = standing(work, warnings.clone())? {
        return match outcome {
            Outcome::Released { warnings } => Ok(Outcome::EgressAllowed { warnings }),
            outcome => Ok(outcome),
        };
    }
    if work.site.carrier.is_local() {
        let text =
            "the policy holds updates, and nobody can decide while this round holds the folder";
        return Err(Fault::new(Code::EgressHeld, text));
    }
    let (id, now) = (work.request.round_id, work.site.clock.now());
    let noted =
        work.site.database.write(move |transaction| releases::hold(transaction, id, &update, now));
    noted.await.map_err(|error: registry::Error| Fault::new(Code::NodeInternal, chain(&error)))?;
    work.findings.withheld = warnings;
    Ok(Outcome::EgressHeld)
}

/// Waits until the owner has decided; the decision outlives this process, and so does the wait.
pub(super) async fn await_owner(work: &Work) -> Result<Outcome, Fault> {
    loop {
        let decided = work.site.decided.notified();
        tokio::pin!(decided);
        // From here on no decision is missed, even before the first poll of the wait.
        decided.as_mut().enable();
        if let Some(outcome) = standing(work, work.findings.withheld.clone())? {
            let stage = "released".to_owned();
            let round_id = work.request.round_id.to_string();
            let progress = v1::RoundProgress { round_id, stage, queued_before: 0 };
            work.site.outbox.send(Message::RoundProgress(progress));
            return Ok(outcome);
        }
        decided.await;
    }
}

/// What the owner has said of the update; nothing where nothing is said yet.
fn standing(work: &Work, warnings: Vec<Warning>) -> Result<Option<Outcome>, Fault> {
    let Some(update) = work.export.as_ref().map(|export| export.update.digest) else {
        return Err(Fault::defect("an update should be there"));
    };
    let id = work.request.round_id;
    let look = |transaction: &store::Transaction<'_>| releases::decision(transaction, id, &update);
    let decision = work.site.database.read_blocking(look);
    match decision.map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))? {
        Some(Decision::Approved) => Ok(Some(Outcome::Released { warnings })),
        Some(Decision::Rejected) => {
            Err(Fault::new(Code::EgressDenied, "the owner keeps the update"))
        }
        Some(Decision::Pending) | None => Ok(None),
    }
}
