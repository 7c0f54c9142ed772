//! The owner's policy: `policy.toml`, which says for each dataset who may do what with it, and what may leave.
//!
//! The file is read when the node starts and when its owner says so; rounds only look up what was read. What it does
//! not say is as `node.toml` and the program have it, so that a folder without the file works as it did before there
//! was one.

mod admission;
pub(crate) mod argument;
mod form;
mod key;
mod metrics;
mod reader;
mod statistics;
mod template;
mod terms;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use protocol::{DatasetName, Digest};
use serde::{Deserialize, Serialize};

use crate::config::Config;

pub(crate) use admission::{Asked, Denial};
pub use argument::{Bound, Presence, Range};
pub(crate) use form::GrantForm;
pub(crate) use metrics::Altered;
pub(crate) use template::TEMPLATE;
pub(crate) use terms::Terms;
pub use terms::{Origin, Setting};

pub(crate) use reader::Groups;
use reader::{Flaw, Rules};

/// What a node's owner allows, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    defaults: Rules,
    datasets: BTreeMap<DatasetName, Rules>,
    groups: Groups,
    digest: Option<Digest>,
    general: Arc<Terms>,
    special: HashMap<DatasetName, Arc<Terms>>,
}

/// What a policy says, with the digest of the text that says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PolicyShown {
    /// The digest of the file in effect; none where there was no file.
    pub digest: Option<Digest>,
    /// Whether the file is another by now than the one in effect.
    pub is_changed: bool,
    /// The dataset that is asked about; none for those that the file does not name.
    pub dataset: Option<DatasetName>,
    /// Every key with its value and where that comes from.
    pub settings: Vec<Setting>,
    /// Datasets that the file names and that are not registered.
    pub unregistered: Vec<DatasetName>,
}

/// What is wrong with a policy file, in one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("policy {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A line breaks a rule.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key and the rule.
        problem: String,
    },
    /// The file that was in effect is not there any more.
    #[error("policy {} is gone, and was in effect before", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
}

impl Policy {
    /// Reads a policy file; a folder that never had one has none.
    ///
    /// # Errors
    ///
    /// Names the file, the line, the key and the rule that it breaks.
    ///
    /// # Examples
    ///
    /// ```
    /// use node::{Config, Folder, Policy};
    ///
    /// let home = tempfile::tempdir()?;
    /// let folder = Folder::new(home.path());
    /// node::init(&folder, &"north".parse()?, &"127.0.0.1:7400".parse()?)?;
    /// let config = Config::load(&folder, [])?;
    /// std::fs::write(folder.policy(), "[defaults]\nrounds_per_day = \"many\"\n")?;
    /// let error = Policy::load(&folder.policy(), &config).unwrap_err().to_string();
    /// assert!(error.ends_with("line 2: key \"defaults.rounds_per_day\" must be a whole number of at least 1"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn load(path: &Path, config: &Config) -> Result<Self, Error> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(Error::Unreadable { path: path.to_owned(), source }),
        };
        let parsed = reader::read(text.as_deref().unwrap_or_default());
        let (defaults, datasets, groups) = parsed.map_err(|Flaw { line, problem }| {
            let path = path.to_owned();
            Error::Line { path, line, problem }
        })?;
        let general = Arc::new(Terms::resolve(config, &defaults, None));
        let special = datasets.iter().map(|(name, rules)| {
            (name.clone(), Arc::new(Terms::resolve(config, &defaults, Some((name, rules)))))
        });
        let special = special.collect();
        let digest = text.map(|text| Digest::of(text.as_bytes()));
        Ok(Self { groups, digest, general, special, defaults, datasets })
    }

    /// The digest of the file; none where there is none.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// The datasets that the file names.
    pub fn datasets(&self) -> impl Iterator<Item = &DatasetName> {
        self.datasets.keys()
    }

    /// What is in effect for a dataset, or for those that the file does not name: each key, with where it comes from.
    pub fn settings(&self, config: &Config, dataset: Option<&DatasetName>) -> Vec<Setting> {
        let rules = dataset.and_then(|name| self.datasets.get_key_value(name));
        terms::settings(config, &self.defaults, rules)
    }

    /// Researchers by the name of their group.
    pub(crate) fn groups(&self) -> &Groups {
        &self.groups
    }

    /// Whether a grant for these datasets, for all where none is named, needs a second person.
    pub(crate) fn wants_second_person(&self, datasets: &[DatasetName]) -> bool {
        match datasets {
            [] => self.special.values().chain([&self.general]).any(|terms| terms.second_person),
            named => named.iter().any(|dataset| self.of(dataset).second_person),
        }
    }

    /// Whether all datasets are treated alike, so that it does not matter which one is asked about.
    pub(crate) fn is_uniform(&self) -> bool {
        self.special.is_empty()
    }

    /// Whether the rounds of a day are bounded anywhere.
    pub(crate) fn counts_rounds(&self) -> bool {
        let mut all = self.special.values().chain([&self.general]);
        all.any(|terms| terms.rounds_per_day.is_some())
    }

    /// What is in effect for the datasets that the file does not name.
    pub(crate) fn general(&self) -> &Arc<Terms> {
        &self.general
    }

    /// What is in effect for a dataset.
    pub(crate) fn of(&self, dataset: &DatasetName) -> &Arc<Terms> {
        self.special.get(dataset).unwrap_or(&self.general)
    }
}
