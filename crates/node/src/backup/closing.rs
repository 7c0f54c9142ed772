//! What an owner has closed since a backup was made: a restored node must not open it again.
//!
//! The audit log says what was withdrawn, rejected, removed or left out, but holds no patient and no text. Where it says
//! that something was closed and not how, or where the log itself is lost, the node keeps closed what it can, and says so.

use std::collections::BTreeSet;

use dataset::Kind;
use protocol::{DatasetId, DatasetName, Digest, Timestamp};
use store::Transaction;

use crate::audit::{Action, Record};
use crate::grant::{Grant, Person, Seal, Signature};
use crate::registry::plans::{self, Decision};
use crate::registry::{self, datasets, datasets::Dataset, grants};

/// What is to be closed in a restored database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closing {
    /// What the log says.
    Known(Vec<Closed>),
    /// Whatever may have been closed, for nobody can say.
    Everything,
}

/// One thing that an owner has closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// A grant, or all that was granted of a plan.
    Withdrawn { plan: Digest, grant: Option<u64> },
    /// A plan, with all that was granted of it.
    Rejected { plan: Digest },
    /// A dataset is not offered any more.
    Removed { dataset: DatasetId },
    /// Other patients are left out of a dataset, and the log does not say who.
    LeftOut { dataset: DatasetId },
}

/// What was closed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) grants: u64,
    pub(super) datasets: BTreeSet<DatasetName>,
}

impl Closing {
    /// What the records since a backup say was closed.
    pub(super) fn told(records: &[Record]) -> Self {
        Self::Known(records.iter().filter_map(closed).collect())
    }

    /// Closes it, in the name of whoever restores.
    pub(super) fn apply(
        &self,
        transaction: &Transaction<'_>,
        (seal, by): (&Seal, &Person),
        at: Timestamp,
    ) -> Result<Shut, registry::Error> {
        // Approvals of a time before grants are withdrawn like them.
        grants::adopt(transaction, seal, at)?;
        let mut shut = Shut::default();
        let signature = Signature { by: by.clone(), at };
        let mut withdraw = |is_meant: &dyn Fn(&Grant) -> bool| -> Result<(), registry::Error> {
            let live = grants::all(transaction, seal)?.into_iter().filter_map(|one| one.grant);
            for grant in live.filter(|grant| grant.revoked.is_none() && is_meant(grant)) {
                let revoked = Some(signature.clone());
                grants::keep(transaction, seal, &Grant { revoked, ..grant })?;
                shut.grants += 1;
            }
            Ok(())
        };
        let mut doubted: Vec<Dataset> = Vec::new();
        match self {
            Self::Everything => {
                withdraw(&|_| true)?;
                doubted.extend(datasets::all(transaction)?.into_iter().filter(names_patients));
            }
            Self::Known(all) => {
                for one in all {
                    match one {
                        Closed::Withdrawn { plan, grant } => withdraw(&|known| {
                            known.plan == *plan && grant.is_none_or(|grant| grant == known.number)
                        })?,
                        Closed::Rejected { plan } => {
                            withdraw(&|known| known.plan == *plan)?;
                            if let Some(known) = plans::by_digest(transaction, plan)? {
                                let (decision, decided_at) = (Decision::Rejected, Some(at));
                                let rejected = plans::KnownPlan { decision, decided_at, ..known };
                                plans::keep(transaction, &rejected)?;
                            }
                        }
                        Closed::Removed { dataset } => {
                            if let Some(known) = datasets::by_id(transaction, *dataset)? {
                                datasets::remove(transaction, known.name.as_str())?;
                            }
                        }
                        Closed::LeftOut { dataset } => {
                            doubted.extend(datasets::by_id(transaction, *dataset)?);
                        }
                    }
                }
            }
        }
        for dataset in doubted {
            // One that was removed after its list had changed is not there any more.
            if datasets::by_id(transaction, dataset.dataset_id)?.is_some() {
                datasets::doubt(transaction, &dataset)?;
                shut.datasets.insert(dataset.name);
            }
        }
        Ok(shut)
    }
}

fn closed(record: &Record) -> Option<Closed> {
    let object = |name: &str| record.objects.get(name);
    let plan = || object("plan")?.parse().ok();
    let dataset = || object("dataset_id")?.parse().ok();
    let is = |action: Action| record.action == action.as_str();
    if is(Action::PlanRevoke) {
        let grant = object("grant").and_then(|number| number.parse().ok());
        return Some(Closed::Withdrawn { plan: plan()?, grant });
    }
    if is(Action::PlanReject) {
        return Some(Closed::Rejected { plan: plan()? });
    }
    if is(Action::DatasetRemove) {
        return Some(Closed::Removed { dataset: dataset()? });
    }
    let is_list = object("change").is_some_and(|change| change == "exclusions");
    if is(Action::DatasetUpdate) && is_list {
        return Some(Closed::LeftOut { dataset: dataset()? });
    }
    None
}

/// Whether patients can be left out of a dataset at all.
fn names_patients(dataset: &Dataset) -> bool {
    match dataset.registration.kind() {
        Kind::Table => {
            dataset.registration.any_table().is_some_and(|table| table.options.patient_id.is_some())
        }
        Kind::ImageFolder => false,
        Kind::MedicalFolder => true,
    }
}
