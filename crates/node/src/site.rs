//! What the parts of one node share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use protocol::wire::v1;
use protocol::wire::v1::node_message::Message;
use protocol::{DatasetId, DatasetSummary, Digest};
use store::artifact::Pin;
use store::{Clock, Database};
use tokio::sync::{Notify, broadcast};

use crate::audit::Audit;
use crate::carrier::Carrier;
use crate::config::Config;
use crate::folder::Folder;
use crate::notice::Notice;
use crate::outbox::Outbox;
use crate::policy::{Policy, Terms};
use crate::pythons::Pythons;
use crate::registry::{self, datasets, plans};
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

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
