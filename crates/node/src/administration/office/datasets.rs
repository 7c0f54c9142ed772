//! The owner's commands about datasets.

use std::path::Path;

use dataset::{
    AttachedPlan, Changed, Comparison, Exclusions, Interrupt, LoadingPlan, Registered, Watch,
    compare, describe, loading_plan,
};
use protocol::wire::v1;
use protocol::{DatasetId, DatasetSummary};
use sandbox::Level;

use super::super::answer::{DatasetCheck, DatasetDetails, Retyping, folder};
use super::super::{Acceptance, DatasetAddition, DatasetEdit, Error, Onlooker};
use super::{Office, refused};
use crate::audit::{Action, Actor, Change, Entry};
use crate::carrier::blocking;
use crate::registry::{self, datasets, datasets::Dataset};
use crate::round_log::chain;

impl Office {
    pub(super) async fn dataset_add(
        &self,
        addition: DatasetAddition,
        onlooker: &Onlooker,
    ) -> Result<DatasetDetails, Error> {
        let name = addition.name.to_string();
        // Known before gibibytes are read for nothing.
        if self.read(move |transaction| datasets::by_name(transaction, &name)).await?.is_some() {
            let taken = registry::Error::DatasetExists { name: addition.name.to_string() };
            return Err(super::refused_by_registry(&taken));
        }
        check_level(addition.minimum_level)?;
        let plan = parse_plan(addition.loading_plan.as_deref())?;
        let (path, description) = (addition.path.clone(), addition.dataset.clone());
        let read = watched(onlooker, move |watch| {
            let registration = describe(&path, &description, plan.as_ref(), watch)?;
            let attached = attach(plan, &path, &registration, watch)?;
            Ok((registration, attached))
        });
        let (registration, loading_plan) =
            read.await.map_err(|error| refused_dataset(&addition.path, &error))?;
        let dataset = Dataset {
            dataset_id: DatasetId::from_uuid(uuid::Uuid::now_v7()),
            name: addition.name,
            tags: addition.tags,
            description: addition.description,
            path: addition.path,
            registration,
            loading_plan,
            minimum_level: addition.minimum_level,
            exclusions: Exclusions::default(),
            is_doubted: false,
            added_at: self.site.clock.now(),
            updated_at: None,
        };
        self.check_card(&dataset)?;
        let kept = dataset.clone();
        self.act(onlooker.actor(), Action::DatasetAdd, move |transaction, entry| {
            datasets::add(transaction, &kept)?;
            Ok(((), named(entry, &kept)))
        })
        .await?;
        self.announce().await?;
        Ok(dataset.into())
    }

    pub(super) async fn dataset_list(&self) -> Result<Vec<DatasetDetails>, Error> {
        let datasets = self.read(datasets::all).await?;
        Ok(datasets.into_iter().map(Into::into).collect())
    }

    pub(super) async fn dataset(&self, name: String) -> Result<Dataset, Error> {
        self.read(move |transaction| {
            datasets::by_name(transaction, &name)?
                .ok_or(registry::Error::UnknownDataset { name: name.clone() })
        })
        .await
    }

    pub(super) async fn dataset_check(
        &self,
        name: String,
        acceptance: Acceptance,
        onlooker: &Onlooker,
    ) -> Result<DatasetCheck, Error> {
        let mut dataset = self.dataset(name).await?;
        let mut report = DatasetCheck::unchanged(&dataset);
        let known = dataset.clone();
        let found = watched(onlooker, move |watch| {
            let plan = known.loading_plan.map(|attached| attached.plan);
            match compare(&known.path, &known.registration, plan.as_ref(), watch)? {
                Comparison::Unchanged => Ok(Found::Same(None)),
                Comparison::Touched(now) => Ok(Found::Same(Some(now))),
                Comparison::Changed(change) => {
                    // A plan that does not fit any more is told with the change, not instead of it.
                    let attached = attach(plan, &known.path, &change.now, watch);
                    Ok(Found::Other(change, attached))
                }
            }
        });
        let found = found.await.map_err(|error| refused_dataset(&dataset.path, &error))?;
        let (change, attached) = match found {
            Found::Other(change, attached) => (change, attached),
            Found::Same(now) => {
                if let Some(now) = now.filter(|_| acceptance == Acceptance::Update) {
                    // What others see stays, so nobody is told.
                    dataset.registration = *now;
                    self.write(move |transaction| datasets::replace(transaction, &dataset)).await?;
                }
                return Ok(report);
            }
        };
        report.is_changed = true;
        report.rows = change.now.samples();
        report.added = change.added;
        report.removed = change.removed;
        report.retyped = change.retyped.into_iter().map(Retyping::from).collect();
        report.folder_before = report.folder.take();
        report.folder = folder(&change.now);
        if acceptance == Acceptance::Update {
            let attached = attached.map_err(|error| refused_dataset(&dataset.path, &error))?;
            dataset.registration = change.now;
            dataset.loading_plan = attached;
            self.check_card(&dataset)?;
            dataset.updated_at = Some(self.site.clock.now());
            self.replace(dataset, Change::Content, onlooker.actor()).await?;
            self.announce().await?;
            report.is_updated = true;
        }
        Ok(report)
    }

    /// A folder is read again, for its classes or modalities are others under another plan.
    pub(super) async fn dataset_attach_plan(
        &self,
        name: String,
        plan: Option<String>,
        onlooker: &Onlooker,
    ) -> Result<DatasetDetails, Error> {
        let mut dataset = self.dataset(name).await?;
        let plan = parse_plan(plan.as_deref())?;
        let known = dataset.clone();
        let read = watched(onlooker, move |watch| {
            let now = match known.registration {
                table @ Registered::Table(_) => table,
                folder => {
                    let now = folder.again(&known.path, plan.as_ref(), watch)?;
                    if now.digest() != folder.digest() {
                        return Err(dataset::Error::Changed);
                    }
                    now
                }
            };
            let attached = attach(plan, &known.path, &now, watch)?;
            Ok((now, attached))
        });
        let (registration, attached) =
            read.await.map_err(|error| refused_dataset(&dataset.path, &error))?;
        dataset.registration = registration;
        dataset.loading_plan = attached;
        self.check_card(&dataset)?;
        self.replace(dataset.clone(), Change::LoadingPlan, onlooker.actor()).await?;
        self.announce().await?;
        Ok(dataset.into())
    }

    pub(super) async fn dataset_edit(
        &self,
        name: String,
        edit: DatasetEdit,
        actor: &Actor,
    ) -> Result<DatasetDetails, Error> {
        let mut dataset = self.dataset(name).await?;
        dataset.tags = edit.tags.unwrap_or(dataset.tags);
        dataset.description = edit.description.unwrap_or(dataset.description);
        check_level(edit.minimum_level)?;
        dataset.minimum_level = edit.minimum_level.or(dataset.minimum_level);
        self.check_card(&dataset)?;
        self.replace(dataset.clone(), Change::Card, actor).await?;
        self.announce().await?;
        Ok(dataset.into())
    }

    pub(super) async fn dataset_remove(&self, name: String, actor: &Actor) -> Result<(), Error> {
        self.act(actor, Action::DatasetRemove, move |transaction, entry| {
            let known = datasets::by_name(transaction, &name)?;
            datasets::remove(transaction, &name)?;
            Ok(((), known.iter().fold(entry, named)))
        })
        .await?;
        self.announce().await
    }

    async fn replace(&self, dataset: Dataset, change: Change, actor: &Actor) -> Result<(), Error> {
        self.act(actor, Action::DatasetUpdate, move |transaction, entry| {
            datasets::replace(transaction, &dataset)?;
            Ok(((), named(entry, &dataset).change(change)))
        })
        .await
    }

    /// Refuses a dataset that no coordinator would take: it would keep the whole node from connecting.
    fn check_card(&self, dataset: &Dataset) -> Result<(), Error> {
        let card = v1::DatasetSummary::from(dataset.summary(self.site.config.minimum_samples));
        DatasetSummary::try_from(card).map(drop).map_err(|error| refused(&error, None))
    }
}

fn named(entry: Entry, dataset: &Dataset) -> Entry {
    entry.dataset(&dataset.name, dataset.dataset_id, &dataset.registration.digest())
}

/// What a dataset is now.
enum Found {
    /// The same, and what to keep where its files were written again.
    Same(Option<Box<Registered>>),
    /// Another, and its loading plan where that still fits.
    Other(Box<Changed>, Result<Option<AttachedPlan>, dataset::Error>),
}

impl From<dataset::registration::Retyped> for Retyping {
    fn from(retyped: dataset::registration::Retyped) -> Self {
        Self { column: retyped.column, before: retyped.before, now: retyped.now }
    }
}

/// Works on a thread where it may block, for as long as somebody waits for it.
pub(super) async fn watched<T: Send + 'static>(
    onlooker: &Onlooker,
    work: impl FnOnce(&mut Watch<'_>) -> Result<T, dataset::Error> + Send + 'static,
) -> Result<T, dataset::Error> {
    let onlooker = onlooker.clone();
    blocking(move || {
        let mut goes_on = || onlooker.goes_on();
        let mut tell = |progress| onlooker.tell(progress);
        let mut watch = Watch::new(Interrupt::by(&mut goes_on)).telling(&mut tell);
        work(&mut watch)
    })
    .await
}

/// At level D no Python plan runs, so nobody can mean it.
fn check_level(level: Option<Level>) -> Result<(), Error> {
    if level != Some(Level::D) {
        return Ok(());
    }
    let message = "a dataset's minimum level must be A, B or C".to_owned();
    Err(Error::Refused { message, hint: None })
}

fn attach(
    plan: Option<LoadingPlan>,
    path: &Path,
    dataset: &Registered,
    watch: &mut Watch<'_>,
) -> Result<Option<AttachedPlan>, dataset::Error> {
    plan.map(|plan| loading_plan::attach(plan, path, dataset, watch.interrupt())).transpose()
}

fn parse_plan(text: Option<&str>) -> Result<Option<LoadingPlan>, Error> {
    let plan = text.map(LoadingPlan::parse).transpose();
    plan.map_err(|error| refused(&error, Some("`wardround node dataset add --help` shows a plan")))
}

pub(super) fn refused_dataset(path: &Path, error: &dataset::Error) -> Error {
    Error::Refused {
        message: format!("{}: {}", path.display(), chain(error)),
        hint: error.hint().map(str::to_owned),
    }
}
