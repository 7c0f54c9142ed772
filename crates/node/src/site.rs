//! What the parts of one node share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::wire::v1;
use protocol::wire::v1::node_message::Message;
use protocol::{DatasetSummary, Digest};
use store::artifact::Pin;
use store::{Clock, Database};
use tokio::sync::broadcast;

use crate::audit::Audit;
use crate::carrier::Carrier;
use crate::config::Config;
use crate::egress;
use crate::folder::Folder;
use crate::notice::Notice;
use crate::outbox::Outbox;
use crate::pythons::Pythons;
use crate::registry::{self, datasets, plans};
use crate::self_test::SelfTest;
use crate::slots::Slots;

/// One node's configuration, storage and line.
pub(crate) struct Site {
    pub(crate) config: Config,
    pub(crate) folder: Folder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) database: Database,
    pub(crate) audit: Audit,
    pub(crate) carrier: Carrier,
    pub(crate) slots: Slots,
    pub(crate) pythons: Pythons,
    pub(crate) self_test: SelfTest,
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

    /// The owner's bounds on what leaves.
    pub(crate) fn egress_policy(&self) -> egress::Policy {
        egress::Policy {
            minimum_validation_samples: self.config.minimum_validation_samples,
            maximum_update_norm: self.config.maximum_update_norm,
        }
    }

    /// What the coordinator may see of the datasets.
    pub(crate) async fn summaries(&self) -> Result<Vec<DatasetSummary>, registry::Error> {
        let minimum = self.config.minimum_samples;
        self.database
            .read(move |transaction| {
                let datasets = datasets::all(transaction)?;
                Ok(datasets.iter().map(|dataset| dataset.summary(minimum)).collect())
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
