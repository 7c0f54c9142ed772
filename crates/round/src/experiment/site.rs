//! The places where an experiment is executed: one dataset of one node.

use std::collections::BTreeMap;
use std::fmt;

use protocol::{DatasetId, DatasetName, NodeId};
use serde::{Deserialize, Serialize};

/// One dataset of one node.
///
/// Sites are ordered by node name, then dataset name, bytewise: the order of aggregation.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The node.
    pub node: NodeId,
    /// The dataset, by the name that is unique at the node.
    pub dataset: DatasetName,
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.node, self.dataset)
    }
}

/// A site that is connected and offers a matching dataset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Candidate {
    /// Where the dataset is.
    pub site: Site,
    /// The identifier that the node gave the dataset.
    pub dataset_id: DatasetId,
}

/// A site that was selected, with what its owner says about the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// The identifier that the node gave the dataset.
    pub dataset_id: DatasetId,
    /// What the owner says about the plan.
    pub approval: Approval,
}

/// What is known about a site's approval of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// The site was not asked since the experiment was submitted or resumed.
    Unasked,
    /// The site was asked and has not answered.
    Asked,
    /// The site lists the plan as pending; its owner has not decided.
    Pending,
    /// The site runs the plan.
    Approved,
    /// The site will not run the plan.
    Refused,
}

/// Counts the different nodes among some sites.
pub(super) fn count_nodes<'a>(sites: impl IntoIterator<Item = &'a Site>) -> usize {
    // Sites come in order, so equal nodes stand together.
    let mut nodes: Vec<&NodeId> = sites.into_iter().map(|site| &site.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes.len()
}

/// Writes a map keyed by site as a list of pairs, because JSON's keys are texts.
pub(super) mod as_pairs {
    use serde::{Deserializer, Serializer};

    use super::{BTreeMap, Deserialize, Serialize, Site};

    pub(in crate::experiment) fn serialize<S: Serializer, V: Serialize>(
        map: &BTreeMap<Site, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(in crate::experiment) fn deserialize<'de, D: Deserializer<'de>, V: Deserialize<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<Site, V>, D::Error> {
        Ok(Vec::<(Site, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
