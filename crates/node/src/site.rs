//! What the parts of one node share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use protocol::wire::v1;
use protocol::wire::v1::node_message::Message;
use protocol::{DatasetId, DatasetSummary, Digest, RoundId};
use store::artifact::Pin;
use store::{Clock, Database};
use tokio::sync::{Notify, broadcast};

use crate::approval::{Asked, Asker, Question, Standing};
use crate::audit::Audit;
use crate::carrier::Carrier;
use crate::config::Config;
use crate::folder::Folder;
use crate::grant::Seal;
use crate::notice::Notice;
use crate::outbox::Outbox;
use crate::policy::{Policy, Terms};
use crate::pythons::Pythons;
use crate::registry::{self, datasets, grants, plans};
use crate::self_test::SelfTest;
use crate::slots::Slots;

/// One node's configuration, storage and line.
pub(crate) struct Site {
    pub(crate) config: Config,
    /// The owner's policy as it was read last.
    pub(crate) policy: RwLock<Arc<Policy>>,
    pub(crate) folder: Folder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) database: Database,
    pub(crate) audit: Audit,
    pub(crate) carrier: Carrier,
    pub(crate) slots: Slots,
    pub(crate) pythons: Pythons,
    pub(crate) self_test: SelfTest,
    /// Told when an owner has decided about a held update.
    pub(crate) decided: Notify,
    pub(crate) outbox: Outbox,
    pub(crate) notices: broadcast::Sender<Notice>,
    pub(crate) plan_pins: Mutex<HashMap<Digest, Pin>>,
    /// Held by whoever replaces the node's key, or copies it.
    pub(crate) key_work: Mutex<()>,
    /// The node's signature under grants.
    pub(crate) seal: Seal,
    /// The grants under which rounds run.
    pub(crate) admitted: Mutex<HashMap<RoundId, u64>>,
    /// What experiments have asked over the line, to be answered again when the owner decides.
    pub(crate) questions: Mutex<HashMap<Asker, Asked>>,
    /// Told when a grant was given, or may be used up.
    pub(crate) reconsider: Notify,
}

impl Site {
    /// Tells whoever listens.
    pub(crate) fn notify(&self, notice: Notice) {
        // Nobody needs to listen.
        drop(self.notices.send(notice));
    }

    /// The owner's policy.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        // Every change is one assignment that cannot panic half-way.
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the owner's policy says of a dataset.
    pub(crate) fn terms(&self, id: DatasetId) -> Result<Arc<Terms>, registry::Error> {
        let policy = self.policy();
        if policy.is_uniform() {
            return Ok(Arc::clone(policy.general()));
        }
        let look = |transaction: &store::Transaction<'_>| datasets::by_id(transaction, id);
        let dataset = self.database.read_blocking(look)?;
        Ok(Arc::clone(match &dataset {
            Some(dataset) => policy.of(&dataset.name),
            None => policy.general(),
        }))
    }

    /// How long replies are kept: a day at least where the policy counts the rounds of a day.
    pub(crate) fn keep_replies(&self) -> Duration {
        let kept = self.config.keep_replies();
        if self.policy().counts_rounds() { kept.max(DAY) } else { kept }
    }

    /// Notes under which grant a round runs, so that it ends when that is withdrawn.
    pub(crate) fn admit(&self, round: RoundId, grant: u64) {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner).insert(round, grant);
    }

    /// Keeps what an experiment has asked, to answer again when the owner decides.
    pub(crate) fn remember_question(&self, asker: Asker, question: Question) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        // The coordinator asks again with every line, so nothing is lost for good.
        if questions.len() >= MOST_QUESTIONS {
            questions.clear();
        }
        questions.insert(asker, Asked { question, told: None });
    }

    /// Notes what a question was answered.
    pub(crate) fn answered(&self, asker: Asker, standing: Standing) {
        let mut questions = self.questions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(asked) = questions.get_mut(&asker) {
            asked.told = Some(standing);
        }
    }

    /// What the owner tells whoever asks for a plan.
    pub(crate) fn note_about(&self, plan: &Digest) -> String {
        let look = |transaction: &store::Transaction<'_>| plans::by_digest(transaction, plan);
        let known: Result<_, registry::Error> = self.database.read_blocking(look);
        known.ok().flatten().map(|known| known.answer).unwrap_or_default()
    }

    /// Forgets a round that has ended.
    pub(crate) fn dismiss(&self, round: RoundId) {
        self.admitted.lock().unwrap_or_else(PoisonError::into_inner).remove(&round);
    }

    /// The rounds that run under one of these grants.
    pub(crate) fn admitted_under(&self, grants: &[u64]) -> Vec<RoundId> {
        let admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        let under = admitted.iter().filter(|(_, grant)| grants.contains(grant));
        under.map(|(round, _)| *round).collect()
    }

    /// What the coordinator may see of the datasets.
    pub(crate) async fn summaries(&self) -> Result<Vec<DatasetSummary>, registry::Error> {
        let policy = self.policy();
        self.database
            .read(move |transaction| {
                let datasets = datasets::all(transaction)?;
                let minimum =
                    |dataset: &datasets::Dataset| policy.of(&dataset.name).minimum_samples;
                Ok(datasets.iter().map(|dataset| dataset.summary(minimum(dataset))).collect())
            })
            .await
    }

    /// Tells the coordinator that the datasets are others than before.
    pub(crate) async fn announce_datasets(&self) -> Result<(), registry::Error> {
        let datasets = self.summaries().await?.into_iter().map(Into::into).collect();
        self.outbox.send(Message::DatasetsChanged(v1::DatasetsChanged { datasets }));
        Ok(())
    }

    /// Signs the approvals that were given before there were grants.
    pub(crate) async fn adopt_approvals(&self) -> Result<(), registry::Error> {
        if self.database.read(grants::is_adopted).await? {
            return Ok(());
        }
        let (seal, now) = (self.seal.clone(), self.clock.now());
        self.database.write(move |transaction| grants::adopt(transaction, &seal, now)).await
    }

    /// Keeps the files of all known plans, so that the owner can read what waits for a decision.
    pub(crate) async fn pin_plans(&self) -> Result<(), registry::Error> {
        let plans = self.database.read(plans::all).await?;
        for plan in plans {
            self.pin_plan(&plan.plan.digest);
        }
        Ok(())
    }

    /// Keeps a plan's file for as long as the node runs.
    pub(crate) fn pin_plan(&self, digest: &Digest) {
        let mut pins = self.plan_pins.lock().unwrap_or_else(PoisonError::into_inner);
        pins.entry(*digest).or_insert_with(|| self.carrier.store().pin(digest));
    }
}

/// Questions of experiments that are remembered.
const MOST_QUESTIONS: usize = 10_000;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
