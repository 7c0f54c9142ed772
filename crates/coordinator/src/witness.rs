//! Bearing witness: what nodes' audit logs were at which time, signed and kept.
//!
//! A node that cuts the end of its log off, or makes the log anew, cannot make what was signed before fit.

use std::sync::Arc;

use identity::receipt::Head;
use identity::{Authority, Certified, Member, Receipt};
use protocol::wire::v1::witness_service_server::WitnessService;
use protocol::wire::{Error, parse, v1};
use protocol::{Code, NodeId};
use store::Transaction;
use store::rusqlite::{OptionalExtension as _, params};
use tonic::{Request, Response, Status};

use crate::door::{internal, malformed, status_with};
use crate::record;
use crate::shared::Shared;

/// Answers nodes.
#[derive(Debug)]
pub(crate) struct Witness {
    shared: Arc<Shared>,
    authority: Arc<Authority>,
}

impl Witness {
    pub(crate) fn new(shared: Arc<Shared>, authority: Arc<Authority>) -> Self {
        Self { shared, authority }
    }
}

#[tonic::async_trait]
impl WitnessService for Witness {
    async fn countersign(
        &self,
        request: Request<v1::CountersignRequest>,
    ) -> Result<Response<v1::CountersignResponse>, Status> {
        let certified = request.extensions().get::<Arc<Certified>>();
        let Some(Member::Node(node)) = certified.map(|certified| certified.member.clone()) else {
            let sentence = "an audit log is signed for a node with a certificate";
            return Err(status_with(Code::IdentityRefused, sentence));
        };
        let head = head(node.clone(), &request.into_inner());
        let head = head.map_err(|error| malformed(Code::RequestInvalid, &error))?;
        let receipt = self.authority.countersign(head);
        let kept = receipt.clone();
        let keeping = self.shared.database.write(move |transaction| keep(transaction, &kept)).await;
        if !keeping.map_err(|error: record::Error| internal(&error))? {
            tracing::warn!(%node, "its audit log is not the one that was signed before");
            let sentence = "the log has fewer records than were signed before, or others";
            return Err(status_with(Code::RequestInvalid, sentence));
        }
        Ok(Response::new(v1::CountersignResponse { receipt: receipt.to_string() }))
    }
}

fn head(node: NodeId, request: &v1::CountersignRequest) -> Result<Head, Error> {
    let log_key = parse("log_key", &request.log_key)?;
    Ok(Head { node, log_key, records: request.records, head: parse("head", &request.head)? })
}

/// Keeps a receipt; says no where one for more records, or for another hash, is there. What was signed once is signed
/// again without a second row.
fn keep(transaction: &Transaction<'_>, receipt: &Receipt) -> Result<bool, record::Error> {
    let Head { node, records, head, .. } = &receipt.head;
    let records = i64::try_from(*records).unwrap_or(i64::MAX);
    let last = transaction
        .query_row(
            "SELECT records, head FROM receipts WHERE node = ?1 ORDER BY records DESC LIMIT 1",
            [node.as_str()],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)),
        )
        .optional()?;
    if let Some((known, known_head)) = last {
        if known > records || (known == records && known_head != head.to_string()) {
            return Ok(false);
        }
        if known == records {
            return Ok(true);
        }
    }
    let at = i64::try_from(receipt.at.milliseconds()).unwrap_or(i64::MAX);
    let row = params![node.as_str(), records, head.to_string(), at, receipt.to_string()];
    transaction.execute(
        "INSERT INTO receipts (node, records, head, at, receipt) VALUES (?1, ?2, ?3, ?4, ?5)",
        row,
    )?;
    transaction.execute(
        "DELETE FROM receipts WHERE node = ?1 AND records NOT IN
             (SELECT records FROM receipts WHERE node = ?1 ORDER BY records DESC LIMIT ?2)",
        params![node.as_str(), MOST_RECEIPTS],
    )?;
    Ok(true)
}

/// What was signed of a node's log, oldest first.
pub(crate) fn receipts(
    transaction: &Transaction<'_>,
    node: &NodeId,
) -> Result<Vec<String>, record::Error> {
    let mut statement =
        transaction.prepare("SELECT receipt FROM receipts WHERE node = ?1 ORDER BY records")?;
    let rows = statement.query_map([node.as_str()], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Receipts that are kept of one node: with one every half minute of work, some months of them.
const MOST_RECEIPTS: i64 = 100_000;
