//! The experiments that are under way, for everyone to look at. Only the director changes them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use protocol::{ArtifactReference, Digest, ExperimentId, Mode, NodeId, RoundId};
use round::Experiment;
use round::experiment::Site;

use crate::submission::Submission;

/// An experiment that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) submission: Arc<Submission>,
    pub(crate) experiment: Experiment,
    /// How far the open executions are, as their nodes say.
    pub(crate) stages: BTreeMap<RoundId, Stage>,
}

/// How far an execution is at its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Queued,
    Running,
    Held,
}

impl Stage {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Held => "held",
        }
    }
}

/// The experiments that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Board {
    experiments: RwLock<BTreeMap<ExperimentId, Live>>,
}

impl Board {
    pub(crate) fn put(&self, live: Live) {
        self.write().insert(live.experiment.id(), live);
    }

    pub(crate) fn remove(&self, id: ExperimentId) {
        self.write().remove(&id);
    }

    pub(crate) fn get(&self, id: ExperimentId) -> Option<Live> {
        self.read().get(&id).cloned()
    }

    pub(crate) fn set_experiment(&self, experiment: Experiment) {
        if let Some(live) = self.write().get_mut(&experiment.id()) {
            let open: Vec<RoundId> = experiment.open_executions().into_values().collect();
            live.stages.retain(|round_id, _| open.contains(round_id));
            live.experiment = experiment;
        }
    }

    pub(crate) fn set_stage(&self, id: ExperimentId, round_id: RoundId, stage: Stage) {
        if let Some(live) = self.write().get_mut(&id) {
            live.stages.insert(round_id, stage);
        }
    }

    /// Every experiment, in the order of their ids, which is that of their making.
    pub(crate) fn all(&self) -> Vec<Live> {
        self.read().values().cloned().collect()
    }

    pub(crate) fn count(&self) -> usize {
        self.read().len()
    }

    /// Whether the result of an execution is still awaited.
    pub(crate) fn wants(&self, round_id: RoundId) -> bool {
        self.read().values().any(|live| live.experiment.wants(round_id))
    }

    /// The experiment and site of an open execution.
    pub(crate) fn open_execution(&self, round_id: RoundId) -> Option<(ExperimentId, Site, u32)> {
        self.read().values().find_map(|live| {
            let open = live.experiment.open_executions();
            let (site, _) = open.into_iter().find(|(_, id)| *id == round_id)?;
            Some((live.experiment.id(), site, live.experiment.round()))
        })
    }

    /// Whether a node may fetch an artifact: the plan of an experiment that it is selected for, or the parameters of
    /// a round that it has an open execution in.
    pub(crate) fn may_read(&self, node: &NodeId, digest: &Digest) -> bool {
        self.read().values().any(|live| {
            let takes_part =
                || live.experiment.participants().keys().any(|site| site.node == *node);
            let plan = live.submission.plan.digest == *digest && takes_part();
            plan || (live.experiment.model().digest == *digest && live.works(node))
        })
    }

    /// Whether a node may bring an update of this size: it has an open execution that trains.
    pub(crate) fn may_write(&self, node: &NodeId, reference: &ArtifactReference) -> bool {
        self.read().values().any(|live| {
            let trains = live.submission.mode(live.experiment.running_round()) == Mode::Train;
            trains && reference.size <= live.submission.largest_update() && live.works(node)
        })
    }

    fn read(&self) -> RwLockReadGuard<'_, BTreeMap<ExperimentId, Live>> {
        // Every change is one call that cannot panic half-way.
        self.experiments.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<ExperimentId, Live>> {
        self.experiments.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn works(&self, node: &NodeId) -> bool {
        self.experiment.open_executions().keys().any(|site| site.node == *node)
    }
}
