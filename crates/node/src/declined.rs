//! Replies to requests that were not accepted: nothing ran, and no journal has them.

use protocol::{Code, CorrelationId, Timing, TrainReply, TrainRequest};

use crate::audit::{Action, Actor, Entry};
use crate::site::Site;

/// The reply to a request that is not accepted.
pub(crate) fn reply(site: &Site, request: &TrainRequest, code: Code) -> TrainReply {
    TrainReply {
        round_id: request.round_id,
        experiment_id: request.experiment_id,
        round: request.round,
        node_id: site.config.name.clone(),
        researcher_id: request.researcher_id.clone(),
        dataset_id: request.dataset_id,
        code,
        correlation_id: CorrelationId::from_uuid(request.round_id.uuid()),
        detail: None,
        warnings: Vec::new(),
        timing: Timing::default(),
        update: None,
        sample_count: 0,
        metrics_before: None,
        metrics_after: None,
        optimizer_args: serde_json::Map::new(),
        auxiliary_state: None,
        state_id: None,
    }
}

/// Refuses a request that an earlier life of the node may have run, and records that.
pub(crate) async fn refuse_spent(site: &Site, request: &TrainRequest) -> TrainReply {
    let actor = Actor::Researcher(request.researcher_id.clone());
    let entry = Entry::new(site.clock.now(), actor, Action::RoundRefuse)
        .result(Code::RoundSpent)
        .round(request.round_id)
        .experiment(request.experiment_id)
        .plan(&request.plan.digest)
        .dataset_id(request.dataset_id);
    site.audit.account(entry).await;
    reply(site, request, Code::RoundSpent)
}
