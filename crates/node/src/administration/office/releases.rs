//! The owner's commands about updates that wait.

use parameters::Reader;
use protocol::RoundId;
use round::{Event, Outcome};
use serde_json::Value;

use super::{Office, answer};
use crate::administration::answer::HeldUpdate;
use crate::administration::{Error, ReleaseRequest};
use crate::audit::{Action, Actor};
use crate::carrier::blocking;
use crate::registry;
use crate::registry::releases::{self, Decision};
use crate::registry::rounds::{self, RoundRow};

impl Office {
    pub(super) async fn release(
        &self,
        request: ReleaseRequest,
        actor: &Actor,
    ) -> Result<Value, Error> {
        match request {
            ReleaseRequest::List => answer(self.read(releases::waiting).await?),
            ReleaseRequest::Show { round } => answer(self.release_show(round).await?),
            ReleaseRequest::Decide { round, decision, note } => {
                answer(self.release_decide(round, decision, note, actor).await?)
            }
        }
    }

    async fn release_show(&self, round: RoundId) -> Result<HeldUpdate, Error> {
        let found = self.read(move |transaction| {
            let unknown = || registry::Error::UnknownRound { round: round.to_string() };
            let row = rounds::by_id(transaction, round)?.ok_or_else(unknown)?;
            let not_held = || registry::Error::NotHeld { round: round.to_string() };
            let digest = row.held.as_ref().ok_or_else(not_held)?.update.digest;
            let (mut asked, mut samples) = (None, 0);
            for (event, _) in rounds::records(transaction, round)? {
                match event {
                    Event::Accepted { request } => {
                        asked = Some((request.plan.digest, request.parameters.digest));
                    }
                    Event::Answered { outcome: Outcome::Exported { export }, .. } => {
                        samples = export.sample_count;
                    }
                    _ => {}
                }
            }
            Ok((row, digest, asked.ok_or_else(unknown)?, samples))
        });
        let (row, digest, (plan, parameters), sample_count) = found.await?;
        let store = self.site.carrier.store().clone();
        let looked = blocking(move || {
            let file = store.open_verified(&digest).ok()?.path.clone();
            let reader = Reader::open(&file).ok()?;
            let tensors = reader.schema().tensors();
            let tensors = tensors.iter().map(|one| (one.name.clone(), one.shape.clone())).collect();
            let received = store.open_verified(&parameters).ok();
            let received = received.and_then(|received| Reader::open(&received.path).ok());
            let norm = received.and_then(|received| reader.l2_distance(&received).ok());
            Some((file, tensors, norm))
        });
        let (file, tensors, norm) = match looked.await {
            Some((file, tensors, norm)) => (Some(file), tensors, norm),
            None => Default::default(),
        };
        Ok(HeldUpdate { row, file, plan, sample_count, tensors, norm })
    }

    async fn release_decide(
        &self,
        round: RoundId,
        decision: Decision,
        note: String,
        actor: &Actor,
    ) -> Result<RoundRow, Error> {
        let now = self.site.clock.now();
        let action = match decision {
            Decision::Approved => Action::ReleaseApprove,
            Decision::Rejected | Decision::Pending => Action::ReleaseReject,
        };
        let decided = self.act(actor, action, move |transaction, entry| {
            let row = releases::decide(transaction, round, decision, &note, now)?;
            let update = row.held.as_ref().map(|held| &held.update);
            let entry = entry.round(round).dataset_id(row.dataset_id).update(update);
            Ok((row, entry))
        });
        let row = decided.await?;
        self.site.decided.notify_waiters();
        Ok(row)
    }
}
