//! An experiment as a researcher defines it: its file, its plan, and what they become.

use std::path::Path;

use protocol::RuntimeKind;
use protocol::artifact::ArtifactReference;
use training_plan::experiment::Experiment;
use training_plan::plan::Site;
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
    plan: Plan,
}

/// A definition that fits the schemas of its sites.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    definition: Definition,
    /// The columns that the model sees, sorted.
    pub columns: Vec<String>,
    /// The seed of all random choices: the file's, else one that was drawn.
    pub seed: u64,
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
        let folder = path.parent().unwrap_or_else(|| Path::new("."));
        let plan_path = folder.join(&experiment.plan);
        let plan_folder = plan_path.parent().unwrap_or(folder).to_owned();
        let bundle = Bundle::native(&read_text(&plan_path)?, |name| {
            std::fs::read_to_string(plan_folder.join(name))
        })?;
        match bundle.runtime() {
            RuntimeKind::Native => {}
            RuntimeKind::Python => {
                return Err(Error::Runtime { runtime: RuntimeKind::Python.as_str() });
            }
        }
        let plan = Plan::parse(&bundle)?;
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

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Fits the definition to the selected datasets. A seed is drawn where the file has none.
    ///
    /// # Errors
    ///
    /// The datasets differ, or lack what the plan needs; the error says where.
    pub fn resolve(self, sites: &[Site]) -> Result<Resolved, Error> {
        let columns = self.plan.resolve(sites)?;
        let seed = self.experiment.seed.unwrap_or_else(crate::chance::seed);
        Ok(Resolved { definition: self, columns, seed })
    }
}

impl Resolved {
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

pub(crate) fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).expect("a length in memory fits")
}

fn read_text(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file(path))
}
