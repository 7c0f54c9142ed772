//! Writes the one reply of a round.

use protocol::{CorrelationId, Detail, NodeId, TrainReply, TrainRequest};
use round::{Export, Verdict};
use serde_json::Map;

use super::bench::Findings;

/// Puts together what a reply says: of a failed round its code and time, of a good one all that passed the egress rules.
pub(crate) fn write(
    request: &TrainRequest,
    node: &NodeId,
    verdict: &Verdict,
    export: Option<&Export>,
    findings: &Findings,
) -> TrainReply {
    let mut reply = TrainReply {
        round_id: request.round_id,
        experiment_id: request.experiment_id,
        round: request.round,
        node_id: node.clone(),
        researcher_id: request.researcher_id.clone(),
        dataset_id: request.dataset_id,
        code: verdict.code,
        correlation_id: CorrelationId::from_uuid(request.round_id.uuid()),
        detail: verdict.detail.clone().filter(is_short),
        warnings: verdict.warnings.clone(),
        timing: findings.timing.clone(),
        update: verdict.update.clone(),
        sample_count: 0,
        metrics_before: None,
        metrics_after: None,
        optimizer_args: Map::new(),
        auxiliary_state: None,
        state_id: None,
    };
    if !verdict.code.is_ok() {
        return reply;
    }
    reply.sample_count = findings.sample_count;
    reply.metrics_before.clone_from(&findings.metrics_before);
    reply.metrics_after.clone_from(&findings.metrics_after);
    reply.optimizer_args.clone_from(&findings.optimizer_args);
    if let Some(export) = export {
        reply.sample_count = export.sample_count;
        reply.optimizer_args.clone_from(&export.optimizer_args);
        if findings.timing.rtime_training == 0.0 {
            // After a restart the times up to the export come from its record.
            let later = std::mem::take(&mut reply.timing.phases);
            reply.timing = export.timing.clone();
            reply.timing.phases.extend(later);
        }
    }
    reply
}

/// A detail repeats what the request said, and a request may say a lot: more than this helps nobody, and a coordinator
/// that cannot read a reply asks for it for ever.
fn is_short(detail: &Detail) -> bool {
    serde_json::to_string(detail).is_ok_and(|text| text.len() <= LONGEST_DETAIL)
}

/// Bytes of a detail.
const LONGEST_DETAIL: usize = 64 << 10;
