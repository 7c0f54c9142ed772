//! Why a round's updates give no model.

use parameters::schema::Difference;
use protocol::{DatasetName, NodeId};

/// Says why updates could not be aggregated, and whose update is to blame where one is.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is nothing to aggregate.
    #[error("there is no update to aggregate")]
    NoUpdates,
    /// A mean weighted by sample counts has no weight at all.
    #[error("no update counts a sample, so there is no mean")]
    NoSamples,
    /// The sample counts add up beyond what `f64` holds exactly, 2⁵³.
    #[error("the sample counts add up to more than 2^53")]
    TooManySamples,
    /// Two updates are from the same dataset of the same node.
    #[error("there are two updates from dataset {dataset} of node {node}")]
    Duplicate {
        /// The node.
        node: NodeId,
        /// The dataset.
        dataset: DatasetName,
    },
    /// An update holds other tensors than the global model.
    #[error(
        "the update from dataset {dataset} of node {node} does not fit the model: {}",
        described(differences)
    )]
    Mismatch {
        /// The node.
        node: NodeId,
        /// The dataset.
        dataset: DatasetName,
        /// Every tensor that is not as expected.
        differences: Vec<Difference>,
    },
    /// An update holds a value that is infinite, not a number, or neither true nor false.
    #[error(
        "element {element} of tensor {tensor:?} is not a finite value in the update from dataset {dataset} of node {node}"
    )]
    NotFiniteUpdate {
        /// The node.
        node: NodeId,
        /// The dataset.
        dataset: DatasetName,
        /// The tensor's name.
        tensor: String,
        /// The first such element.
        element: usize,
    },
    /// A mean is not finite, though every update is: one of them changed between two reads.
    #[error("the mean of element {element} of tensor {tensor:?} is not a finite value")]
    NotFiniteMean {
        /// The tensor's name.
        tensor: String,
        /// The first such element.
        element: usize,
    },
    /// An update tells a number that its tensor's rule does not know.
    #[error(
        "element {element} of tensor {tensor:?} is {rule} in the update from dataset {dataset} of node {node}"
    )]
    OutOfRange {
        /// The node.
        node: NodeId,
        /// The dataset.
        dataset: DatasetName,
        /// The tensor's name.
        tensor: String,
        /// The first such element.
        element: usize,
        /// What it is not.
        rule: &'static str,
    },
    /// A tensor is combined by no rule: its name has none, or its type is not F64.
    #[error("tensor {tensor:?} has no rule by which it is combined")]
    NoRule {
        /// The tensor's name.
        tensor: String,
    },
    /// An update cannot be read.
    #[error("the update from dataset {dataset} of node {node} cannot be read")]
    Unreadable {
        /// The node.
        node: NodeId,
        /// The dataset.
        dataset: DatasetName,
        /// What happened.
        source: parameters::Error,
    },
    /// The aggregate cannot be written.
    #[error("the aggregate cannot be written")]
    Unwritable(#[source] parameters::Error),
}

impl Error {
    /// Returns the node and dataset whose update is to blame, where leaving it out would help.
    #[must_use]
    pub fn culprit(&self) -> Option<(&NodeId, &DatasetName)> {
        match self {
            Self::Mismatch { node, dataset, .. }
            | Self::NotFiniteUpdate { node, dataset, .. }
            | Self::OutOfRange { node, dataset, .. }
            | Self::Unreadable { node, dataset, .. } => Some((node, dataset)),
            Self::NoUpdates
            | Self::NoSamples
            | Self::TooManySamples
            | Self::Duplicate { .. }
            | Self::NotFiniteMean { .. }
            | Self::NoRule { .. }
            | Self::Unwritable(_) => None,
        }
    }
}

/// Describes the first difference and counts the others, which a stranger could make many.
fn described(differences: &[Difference]) -> String {
    match differences {
        [] => "no difference".to_owned(),
        [only] => only.to_string(),
        [first, others @ ..] => format!("{first}, and {} more", others.len()),
    }
}
