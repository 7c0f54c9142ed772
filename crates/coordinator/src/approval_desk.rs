//! Takes researchers' requests for approvals, brings them to nodes that are connected, and tells what they answered.

use std::sync::Arc;

use protocol::wire::v1::coordinator_message::Message as ToNode;
use protocol::wire::{parse, v1};
use protocol::{ArtifactReference, Code, ExperimentId, NodeId, ResearcherId, RuntimeKind};
use tonic::Status;
use transport::Caller;

use crate::approval_requests::{self, ApprovalRequest};
use crate::door::{internal, malformed, status, status_with};
use crate::listing;
use crate::possession;
use crate::record;
use crate::shared::Shared;

/// Takes a request: one for each dataset that it names, on the disk before any node hears of it.
pub(crate) async fn request(
    shared: &Arc<Shared>,
    researcher: ResearcherId,
    wire: v1::RequestApprovalRequest,
) -> Result<Vec<v1::Approval>, Status> {
    let plan = plan(shared, &researcher, &wire).await?;
    let requests = matching(shared, &researcher, &plan, wire).await?;
    let asking = researcher.clone();
    let count =
        move |transaction: &store::Transaction<'_>| approval_requests::count(transaction, &asking);
    let known = shared.database.read(count).await;
    let known = known.map_err(|error: record::Error| internal(&error))?;
    if known.saturating_add(requests.len() as u64) > MOST_OF_RESEARCHER {
        return Err(status_with(Code::CoordinatorBusy, "too many requests for approvals"));
    }
    let (kept, digest) = (requests.clone(), plan.digest);
    let own = researcher.clone();
    let taken = shared.database.write(move |transaction| -> Result<_, record::Error> {
        for request in &kept {
            approval_requests::keep(transaction, request)?;
        }
        approval_requests::of_researcher(transaction, &own, Some(&digest))
    });
    let taken = taken.await.map_err(|error| internal(&error))?;
    let is_asked = |one: &&approval_requests::Answered| {
        requests.iter().any(|asked| {
            (&asked.node, asked.dataset_id) == (&one.request.node, one.request.dataset_id)
        })
    };
    for one in taken.iter().filter(is_asked) {
        shared.registry.send(&one.request.node, ToNode::AskApproval(one.request.question()));
    }
    Ok(shown(shared, taken))
}

/// What was asked and answered so far.
pub(crate) async fn list(
    shared: &Arc<Shared>,
    researcher: ResearcherId,
    wire: &v1::ApprovalsRequest,
) -> Result<Vec<v1::Approval>, Status> {
    let plan = match wire.plan_digest.as_str() {
        "" => None,
        text => Some(
            parse("plan_digest", text).map_err(|error| malformed(Code::RequestInvalid, &error))?,
        ),
    };
    let read = move |transaction: &store::Transaction<'_>| {
        approval_requests::of_researcher(transaction, &researcher, plan.as_ref())
    };
    let found =
        shared.database.read(read).await.map_err(|error: record::Error| internal(&error))?;
    Ok(shown(shared, found))
}

fn shown(shared: &Shared, found: Vec<approval_requests::Answered>) -> Vec<v1::Approval> {
    let shown = found.into_iter().map(|one| {
        let connected = shared.registry.is_connected(&one.request.node);
        v1::Approval { connected, ..one.shown() }
    });
    shown.collect()
}

/// The plan, which its researcher must have brought.
async fn plan(
    shared: &Shared,
    researcher: &ResearcherId,
    wire: &v1::RequestApprovalRequest,
) -> Result<ArtifactReference, Status> {
    let invalid = |error: &protocol::wire::Error| malformed(Code::RequestInvalid, error);
    let plan = wire.plan.clone().ok_or_else(|| status(Code::RequestInvalid))?;
    let plan: ArtifactReference = plan.try_into().map_err(|error| invalid(&error))?;
    let _runtime: RuntimeKind = parse("runtime", &wire.runtime).map_err(|error| invalid(&error))?;
    if wire.message.len() > LONGEST_MESSAGE || wire.name.len() > LONGEST_MESSAGE {
        let rule = format!("a message has at most {LONGEST_MESSAGE} bytes");
        return Err(status_with(Code::RequestInvalid, &rule));
    }
    let (caller, digest) = (Caller::Researcher(researcher.clone()), plan.digest);
    let has =
        move |transaction: &store::Transaction<'_>| possession::has(transaction, &caller, &digest);
    let has = shared.database.read(has).await.map_err(|error: record::Error| internal(&error))?;
    match has && shared.artifacts.size(&plan.digest) == Some(plan.size) {
        true => Ok(plan),
        false => Err(status(Code::ArtifactUnknown)),
    }
}

/// One request for each dataset that is meant, of the nodes that are known.
async fn matching(
    shared: &Shared,
    researcher: &ResearcherId,
    plan: &ArtifactReference,
    wire: v1::RequestApprovalRequest,
) -> Result<Vec<ApprovalRequest>, Status> {
    let nodes = wire.nodes.iter().map(|node| parse("nodes", node));
    let nodes: Vec<NodeId> =
        nodes.collect::<Result<_, _>>().map_err(|error| malformed(Code::RequestInvalid, &error))?;
    let rows = shared.database.read(listing::nodes).await;
    let rows = rows.map_err(|error: record::Error| internal(&error))?;
    let now = shared.clock.now();
    let mut requests = Vec::new();
    for row in rows {
        if !nodes.is_empty() && !nodes.contains(&row.node) {
            continue;
        }
        for dataset in row.datasets {
            let is_meant = wire.datasets.is_empty()
                || wire.datasets.iter().any(|name| name == dataset.name.as_str());
            if is_meant {
                requests.push(ApprovalRequest {
                    id: ExperimentId::from_uuid(uuid::Uuid::now_v7()),
                    researcher: researcher.clone(),
                    node: row.node.clone(),
                    dataset_id: dataset.dataset_id,
                    dataset: dataset.name.to_string(),
                    plan: plan.clone(),
                    runtime: wire.runtime.clone(),
                    name: wire.name.clone(),
                    message: wire.message.clone(),
                    requested_at: now,
                });
            }
        }
    }
    if requests.is_empty() {
        return Err(status_with(Code::DataUnknown, "no node offers such a dataset"));
    }
    Ok(requests)
}

/// Requests of one researcher.
const MOST_OF_RESEARCHER: u64 = 10_000;
/// Bytes of a message.
const LONGEST_MESSAGE: usize = 2_000;
