//! An experiment as a researcher defines it: its file, its plan, and what they become.

use std::collections::BTreeSet;
use std::path::Path;

use protocol::RuntimeKind;
use protocol::artifact::ArtifactReference;
use training_plan::experiment::Experiment;
use training_plan::plan::{FEDERATED_SCALE, ResolveError, Scale, Site, Standardize};
use training_plan::statistics::Query;
use training_plan::{Bundle, Plan};

use crate::Error;

/// An experiment file, the plan it names, and the plan's own files, all found correct.
///
/// # Examples
///
/// ```no_run
/// use std::path::Path;
///
/// let definition = researcher::Definition::read(Path::new("experiment.toml"))?;
/// println!("{} needs the approval of {}", definition.experiment().name, definition.bundle().digest());
/// # Ok::<(), researcher::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    experiment: Experiment,
    text: String,
    bundle: Bundle,
    /// The plan as data; a Python plan is read by nobody but its worker.
    plan: Option<Plan>,
}

/// A definition that fits the schemas of its sites.
///
/// A Python plan says nothing of its columns, so it is not known here whether it fits: a plan's rehearsal, and its
/// first round, say so.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    definition: Definition,
    /// The columns that the model sees, sorted.
    pub columns: Vec<String>,
    /// The seed of all random choices: the file's, else one that was drawn.
    pub seed: u64,
    /// How many datasets were selected.
    pub sites: u64,
}

impl Definition {
    /// Reads an experiment file; the plan and its files are looked for beside it.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or breaks a rule, which the error names with line and key.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = read_text(path)?;
        let name = path.file_name().unwrap_or(path.as_os_str());
        let experiment = Experiment::parse(&name.to_string_lossy(), &text)?;
        if let Some(query) = &experiment.statistics {
            let bundle = Bundle::statistics(query)?;
            return Ok(Self { experiment, text, bundle, plan: None });
        }
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let plan_path = folder.join(&experiment.plan);
        let plan_folder = plan_path.parent().unwrap_or(folder).to_owned();
        let plan_text = read_text(&plan_path)?;
        let bundle = if plan_path.extension().is_some_and(|extension| extension == "py") {
            Bundle::python(&plan_text)?
        } else {
            Bundle::native(&plan_text, |name| std::fs::read_to_string(plan_folder.join(name)))?
        };
        let plan = match bundle.runtime() {
            RuntimeKind::Native => Some(Plan::parse(&bundle)?),
            RuntimeKind::Python | RuntimeKind::Statistics => None,
        };
        Ok(Self { experiment, text, bundle, plan })
    }

    /// The experiment.
    #[must_use]
    pub fn experiment(&self) -> &Experiment {
        &self.experiment
    }

    /// The experiment file's exact text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The plan as it travels and is approved.
    #[must_use]
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// The plan as an artifact.
    #[must_use]
    pub fn plan_reference(&self) -> ArtifactReference {
        ArtifactReference::new(self.bundle.digest(), length(self.bundle.bytes()))
    }

    /// The plan, where it is data: a native one.
    #[must_use]
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    /// What is asked in place of training.
    #[must_use]
    pub fn query(&self) -> Option<&Query> {
        self.experiment.statistics.as_ref()
    }

    /// Whether the plan's scale is to come from statistics, and is not there yet.
    #[must_use]
    pub fn lacks_scale(&self) -> bool {
        let data = self.plan.as_ref().map(Plan::data);
        data.is_some_and(|data| *data.standardize() == Standardize::Federated)
    }

    /// The experiment that asks the same datasets for the scale of this one's numeric columns.
    ///
    /// # Errors
    ///
    /// The query is larger than a plan may be.
    pub fn asking_scale(&self, columns: &[String]) -> Result<Self, Error> {
        let categories = self.plan.as_ref().map(|plan| plan.data().categories());
        let is_numeric = |column: &&String| {
            categories.is_none_or(|categories| !categories.contains_key(*column))
        };
        let query = Query::scale_of(columns.iter().filter(is_numeric).cloned().collect());
        let bundle = Bundle::statistics(&query)?;
        let (experiment, text) = (self.experiment.asking(query), self.text.clone());
        Ok(Self { experiment, text, bundle, plan: None })
    }

    /// The same with the scale that statistics have found: a part of the plan from now on.
    ///
    /// # Errors
    ///
    /// The plan is larger than a plan may be, or takes no such scale.
    pub fn with_scale(&self, scale: &Scale) -> Result<Self, Error> {
        let bundle = self.bundle.with_file(FEDERATED_SCALE, &scale.to_toml())?;
        let plan = Some(Plan::parse(&bundle)?);
        let (experiment, text) = (self.experiment.clone(), self.text.clone());
        Ok(Self { experiment, text, bundle, plan })
    }

    /// Fits the definition to the selected datasets. A seed is drawn where the file has none.
    ///
    /// # Errors
    ///
    /// The datasets differ, or lack what the plan needs; the error says where.
    pub fn resolve(self, sites: &[Site]) -> Result<Resolved, Error> {
        let columns = match (&self.plan, self.query()) {
            (Some(plan), _) => plan.resolve(sites)?,
            (None, Some(query)) => query.resolve(sites)?,
            (None, None) => common_columns(sites)?,
        };
        let seed = self.experiment.seed.unwrap_or_else(crate::chance::seed);
        Ok(Resolved { definition: self, columns, seed, sites: sites.len() as u64 })
    }
}

impl Resolved {
    /// The same columns and seed for a definition of the same datasets.
    #[must_use]
    pub fn of(self, definition: Definition) -> Self {
        Self { definition, ..self }
    }

    /// What was resolved.
    #[must_use]
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// The same with another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}

/// The columns that a Python plan sees: without a name all that a site shows, where the sites show the same ones;
/// else those that all of them show.
fn common_columns(sites: &[Site]) -> Result<Vec<String>, Error> {
    let shown = sites.iter().map(|site| -> BTreeSet<&str> {
        site.dataset.columns.iter().map(|column| column.name.as_str()).collect()
    });
    let shown: Vec<BTreeSet<&str>> = shown.collect();
    let Some((first, others)) = shown.split_first() else {
        return Err(ResolveError::NoSite.into());
    };
    if others.iter().all(|other| other == first) {
        return Ok(Vec::new());
    }
    let is_common = |name: &&&str| others.iter().all(|other| other.contains(**name));
    let common: Vec<String> =
        first.iter().filter(is_common).map(|name| (*name).to_owned()).collect();
    if common.is_empty() { Err(ResolveError::NoFeature.into()) } else { Ok(common) }
}

pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits")
}

fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file(path))
}
