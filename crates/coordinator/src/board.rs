//! The experiments that are under way, for everyone to look at. Only the director changes them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use protocol::{ArtifactReference, Digest, ExperimentId, Mode, NodeId, RoundId, Timestamp};
use round::Experiment;
use round::experiment::{Site, Ticket};

use crate::owners_word::OwnersWord;
use crate::submission::Submission;

/// An experiment that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    pub(crate) submission: Arc<Submission>,
    pub(crate) experiment: Experiment,
    /// What their nodes say of the open executions.
    pub(crate) executions: BTreeMap<RoundId, Told>,
    /// What the owners of sites tell the researcher; told again whenever their nodes connect.
    pub(crate) words: BTreeMap<Site, OwnersWord>,
}

/// What a node has said of an open execution.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Told {
    pub(crate) stage: Option<Stage>,
    /// How often the stage has changed.
    changes: u32,
    /// The last training loss.
    pub(crate) loss: Option<f64>,
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
            live.executions.retain(|round_id, _| open.contains(round_id));
            live.experiment = experiment;
        }
    }

    /// Keeps what a site's owner tells the researcher; says whether that is news.
    pub(crate) fn set_word(&self, id: ExperimentId, site: &Site, word: OwnersWord) -> bool {
        let mut experiments = self.write();
        let Some(live) = experiments.get_mut(&id) else { return false };
        let before = live.words.insert(site.clone(), word.clone());
        let before = before.as_ref();
        let is_noted = !word.note.is_empty() && before.map(|word| &word.note) != Some(&word.note);
        is_noted || (word.has_lapsed() && before.and_then(|word| word.status) != word.status)
    }

    /// Notes how far an execution is; says whether that is news. After [`MOST_STAGES`] changes nothing is.
    pub(crate) fn set_stage(&self, id: ExperimentId, round_id: RoundId, stage: Stage) -> bool {
        self.tell(id, round_id, |told| {
            let is_news = told.stage != Some(stage) && told.changes < MOST_STAGES;
            if is_news {
                told.stage = Some(stage);
                told.changes += 1;
            }
            is_news
        })
    }

    /// Notes the last training loss of an open execution.
    pub(crate) fn note_loss(&self, id: ExperimentId, round_id: RoundId, loss: f64) {
        self.tell(id, round_id, |told| told.loss = Some(loss));
    }

    /// The last training loss that an open execution has told of.
    pub(crate) fn loss(&self, id: ExperimentId, round_id: RoundId) -> Option<f64> {
        self.read().get(&id)?.executions.get(&round_id)?.loss
    }

    fn tell<T: Default>(
        &self,
        id: ExperimentId,
        round_id: RoundId,
        change: impl FnOnce(&mut Told) -> T,
    ) -> T {
        let mut experiments = self.write();
        let live = experiments.get_mut(&id).filter(|live| live.experiment.wants(round_id));
        live.map(|live| change(live.executions.entry(round_id).or_default())).unwrap_or_default()
    }

    /// The nearest deadline of all experiments.
    pub(crate) fn next_deadline(&self) -> Option<Timestamp> {
        let experiments = self.read();
        let deadlines = experiments.values().flat_map(|live| live.experiment.deadlines());
        deadlines.map(|(_, at)| at).min()
    }

    /// The deadlines that have passed.
    pub(crate) fn passed_deadlines(&self, now: Timestamp) -> Vec<(ExperimentId, Ticket)> {
        let experiments = self.read();
        let deadlines = experiments.iter().flat_map(|(id, live)| {
            live.experiment.deadlines().into_iter().map(move |(ticket, at)| (*id, ticket, at))
        });
        deadlines.filter(|(_, _, at)| *at <= now).map(|(id, ticket, _)| (id, ticket)).collect()
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
            Some((live.experiment.id(), site, live.experiment.running_round()))
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

/// Changes of stage that are told of one execution; a node that holds an update and releases it makes four.
const MOST_STAGES: u32 = 32;
