//! What is recorded of a round that ends without success.

use round::Verdict;

use super::RoundDriver;
use crate::audit::{Action, Actor, Entry, Object};

impl RoundDriver {
    /// What is recorded before a reply says that the round was refused or failed.
    pub(super) fn refusal(&self, verdict: &Verdict) -> Option<Entry> {
        if verdict.code.is_ok() {
            return None;
        }
        let request = &self.request;
        let actor = Actor::Researcher(request.researcher_id.clone());
        let entry = Entry::new(self.site.clock.now(), actor, Action::RoundRefuse)
            .result(verdict.code)
            .round(request.round_id)
            .experiment(request.experiment_id)
            .number(Object::RoundNumber, u64::from(request.round))
            .number(Object::Attempt, u64::from(self.round.attempt()))
            .plan(&request.plan.digest)
            .dataset_id(request.dataset_id);
        Some(entry)
    }
}
