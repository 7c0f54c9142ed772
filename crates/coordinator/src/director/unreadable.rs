//! The reply that stands for one that cannot be read.

use protocol::{Code, NodeId, Timing, TrainReply};
use serde_json::Map;

use crate::listing;
use crate::message::Unreadable;
use crate::record::{Error, find_execution};

/// Makes the failure that an unreadable reply counts as; none where its execution is unknown.
pub(super) fn find_reply(
    node: NodeId,
    reply: Unreadable,
) -> impl FnOnce(&store::Transaction<'_>) -> Result<Option<TrainReply>, Error> {
    move |transaction| {
        let Some(place) = find_execution(transaction, reply.round_id)? else { return Ok(None) };
        let id = place.experiment_id;
        let Some(submission) = listing::submission(transaction, id)? else { return Ok(None) };
        Ok(Some(TrainReply {
            round_id: reply.round_id,
            experiment_id: id,
            round: place.round,
            node_id: node,
            researcher_id: submission.researcher_id,
            dataset_id: reply.dataset_id,
            code: Code::NodeInternal,
            correlation_id: reply.correlation_id,
            detail: None,
            warnings: Vec::new(),
            timing: Timing::default(),
            update: None,
            sample_count: 0,
            metrics_before: None,
            metrics_after: None,
            optimizer_args: Map::new(),
            auxiliary_state: None,
            state_id: None,
        }))
    }
}
