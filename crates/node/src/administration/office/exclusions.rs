//! The owner's commands about patients who withdrew.

use dataset::{ExclusionCount, Exclusions, Interrupt, Kind, Watch};

use super::super::answer::ExclusionReport;
use super::super::request::ExclusionChange;
use super::super::{Error, Onlooker};
use super::Office;
use super::datasets::{refused_dataset, watched};
use crate::audit::{Action, Change, Object};
use crate::registry::{self, datasets, datasets::Dataset};

impl Office {
    /// Changes whom a dataset leaves out, from the next round that starts its plan on.
    ///
    /// A withdrawal holds whether or not the dataset can be read now: what it means for the dataset is told where it can.
    pub(super) async fn dataset_exclude(
        &self,
        name: String,
        change: ExclusionChange,
        onlooker: &Onlooker,
    ) -> Result<ExclusionReport, Error> {
        let before = self.dataset(name.clone()).await?;
        check(&before, &change)?;
        let (exclusions, changed) = self
            .act(onlooker.actor(), Action::DatasetUpdate, move |transaction, entry| {
                let known = datasets::by_name(transaction, &name)?;
                let known = known.ok_or(registry::Error::UnknownDataset { name: name.clone() })?;
                let mut exclusions = known.exclusions.clone();
                let changed =
                    apply(&mut exclusions, &change).map_err(registry::Error::Exclusions)?;
                datasets::exclude(transaction, &known, &exclusions)?;
                let entry = entry
                    .dataset(&known.name, known.dataset_id, &known.registration.digest())
                    .change(Change::Exclusions)
                    .number(Object::ExcludedPatients, exclusions.len() as u64);
                Ok(((exclusions, changed), entry))
            })
            .await?;
        let mut report = ExclusionReport::new(&before, &exclusions, changed);
        match self.count(&before, exclusions, onlooker).await {
            Ok(count) => report.count = Some(count),
            Err(error) => report.uncounted = Some(error.to_string()),
        }
        Ok(report)
    }

    async fn count(
        &self,
        dataset: &Dataset,
        exclusions: Exclusions,
        onlooker: &Onlooker,
    ) -> Result<ExclusionCount, Error> {
        let known = dataset.clone();
        let counted = watched(onlooker, move |watch: &mut Watch<'_>| {
            let interrupt: &mut Interrupt<'_> = watch.interrupt();
            exclusions.count(&known.path, &known.registration, interrupt)
        });
        counted.await.map_err(|error| refused_dataset(&dataset.path, &error))
    }
}

/// Refuses, before anything is written, what can be said to be wrong.
fn check(dataset: &Dataset, change: &ExclusionChange) -> Result<(), Error> {
    let ExclusionChange::Exclude { .. } = change else { return Ok(()) };
    let kind = dataset.registration.kind();
    let names_patients = match kind {
        Kind::Table => {
            dataset.registration.any_table().is_some_and(|table| table.options.patient_id.is_some())
        }
        Kind::ImageFolder => false,
        Kind::MedicalFolder => true,
    };
    let outcome = if names_patients {
        apply(&mut dataset.exclusions.clone(), change).map(drop)
    } else {
        Err(dataset::Error::NoPatients(kind))
    };
    outcome.map_err(|error| Error::Refused {
        message: format!("dataset {}: {error}", dataset.name),
        hint: error.hint().map(str::to_owned),
    })
}

/// Changes the list; gives how many patients came to it or went from it.
fn apply(exclusions: &mut Exclusions, change: &ExclusionChange) -> Result<u64, dataset::Error> {
    let mut changed = 0;
    match change {
        // What came through a socket is checked again, one by one.
        ExclusionChange::Exclude { patients } => {
            for patient in patients.patients() {
                changed += u64::from(exclusions.add(patient)?);
            }
        }
        ExclusionChange::Include { patients } => {
            for patient in patients.patients() {
                changed += u64::from(exclusions.remove(patient));
            }
        }
        ExclusionChange::IncludeAll => {
            changed = exclusions.len() as u64;
            exclusions.clear();
        }
    }
    Ok(changed)
}
