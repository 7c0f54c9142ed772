//! The nodes that are connected.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::wire::v1;
use protocol::{DatasetSummary, NodeId};
use round::experiment::{Candidate, Site};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::submission::Submission;

/// A line to a node, and what the node said of itself.
#[derive(Debug)]
pub(crate) struct Attendance {
    /// Tells this connection from an earlier one of the same node.
    pub(crate) connection: u64,
    pub(crate) line: mpsc::Sender<v1::CoordinatorMessage>,
    /// Ends the connection.
    pub(crate) cut: CancellationToken,
    pub(crate) software: String,
    pub(crate) paused: bool,
    pub(crate) datasets: Vec<DatasetSummary>,
}

/// The connected nodes by name.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    nodes: Mutex<BTreeMap<NodeId, Attendance>>,
}

impl Registry {
    /// Takes a node in, unless another connection has its name.
    pub(crate) fn enter(&self, node: NodeId, attendance: Attendance) -> Result<(), Attendance> {
        let mut nodes = self.nodes();
        if nodes.get(&node).is_some_and(|present| !present.line.is_closed()) {
            return Err(attendance);
        }
        nodes.insert(node, attendance);
        Ok(())
    }

    /// Forgets a connection that has ended; a later one of the same node stays.
    pub(crate) fn leave(&self, node: &NodeId, connection: u64) -> bool {
        let mut nodes = self.nodes();
        let present = nodes.get(node).is_some_and(|present| present.connection == connection);
        if present {
            nodes.remove(node);
        }
        present
    }

    /// Sends a command, if the node is connected.
    ///
    /// A line that is full belongs to a node that does not read: it is cut, and all is sent again at reconnection.
    pub(crate) fn send(&self, node: &NodeId, message: v1::coordinator_message::Message) {
        let mut nodes = self.nodes();
        let Some(attendance) = nodes.get(node) else { return };
        let message = v1::CoordinatorMessage { message: Some(message) };
        if attendance.line.try_send(message).is_err() {
            tracing::warn!(%node, "the node does not take what it is sent; its line is cut");
            attendance.cut.cancel();
            nodes.remove(node);
        }
    }

    /// Notes what a node said of itself; gives what is now known of it.
    pub(crate) fn change(
        &self,
        node: &NodeId,
        change: impl FnOnce(&mut Attendance),
    ) -> Option<(String, bool, Vec<DatasetSummary>)> {
        let mut nodes = self.nodes();
        let attendance = nodes.get_mut(node)?;
        change(attendance);
        let Attendance { software, paused, datasets, .. } = attendance;
        Some((software.clone(), *paused, datasets.clone()))
    }

    /// The sites of connected nodes that an experiment asks for; nodes that take no rounds are left out.
    pub(crate) fn candidates(&self, submission: &Submission) -> Vec<Candidate> {
        let nodes = self.nodes();
        let present = nodes.iter().filter(|(_, attendance)| !attendance.paused);
        let candidates = present.flat_map(|(node, attendance)| {
            let wanted = attendance.datasets.iter();
            wanted.filter(|dataset| submission.matches(node, dataset)).map(|dataset| Candidate {
                site: Site { node: node.clone(), dataset: dataset.name.clone() },
                dataset_id: dataset.dataset_id,
            })
        });
        candidates.collect()
    }

    /// Whether a node is connected.
    pub(crate) fn is_connected(&self, node: &NodeId) -> bool {
        self.nodes().contains_key(node)
    }

    /// How many nodes are connected.
    pub(crate) fn count(&self) -> usize {
        self.nodes().len()
    }

    /// Cuts every line.
    pub(crate) fn close(&self) {
        for attendance in std::mem::take(&mut *self.nodes()).into_values() {
            attendance.cut.cancel();
        }
    }

    fn nodes(&self) -> MutexGuard<'_, BTreeMap<NodeId, Attendance>> {
        // Every change is one call that cannot panic half-way.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
