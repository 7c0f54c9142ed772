//! The bundle: the one file that travels, is hashed and is approved as "the plan".
//!
//! A bundle is compact JSON: `{"format":"wardround-plan/1","runtime":"native","files":{…}}` with the
//! exact texts of the files that the researcher wrote, sorted by name. There is exactly one spelling
//! of a bundle: bytes that say the same otherwise are refused, so a plan has one digest.

use std::collections::BTreeMap;

use protocol::{Digest, RuntimeKind};
use serde::{Deserialize, Serialize};

use crate::document;
use crate::plan;
use crate::statistics::Query;

/// A training plan as it travels: its runtime and its files, in their one spelling.
///
/// # Examples
///
/// ```
/// use protocol::RuntimeKind;
/// use training_plan::Bundle;
///
/// let files = [("plan.toml".to_owned(), "[plan]\nname = \"p\"\n".to_owned())];
/// let bundle = Bundle::new(RuntimeKind::Native, files.into())?;
/// assert_eq!(Bundle::parse(bundle.bytes())?, bundle);
/// # Ok::<(), training_plan::bundle::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    runtime: RuntimeKind,
    files: BTreeMap<String, String>,
    bytes: Vec<u8>,
}

impl Bundle {
    /// Puts files together, by name.
    ///
    /// # Errors
    ///
    /// A file's name or size, the number of files, or the whole size breaks its rule.
    pub fn new(runtime: RuntimeKind, files: BTreeMap<String, String>) -> Result<Self, Error> {
        check_files(runtime, &files)?;
        let form = Form { format: FORMAT.to_owned(), runtime, files };
        let bytes = serde_json::to_vec(&form).expect("texts and names are always JSON");
        if bytes.len() > LARGEST {
            return Err(Error::TooLarge { size: bytes.len() });
        }
        Ok(Self { runtime, files: form.files, bytes })
    }

    /// Builds the bundle of a native plan: `read` gives the text of each file that the plan names.
    ///
    /// The plan itself becomes `plan.toml`, whatever it was called.
    ///
    /// # Errors
    ///
    /// The plan's text is not TOML, a named file cannot be read, or [`Bundle::new`] refuses.
    pub fn native(
        plan: &str,
        mut read: impl FnMut(&str) -> std::io::Result<String>,
    ) -> Result<Self, Error> {
        let mut files = BTreeMap::from([(PLAN_FILE.to_owned(), plan.to_owned())]);
        for name in plan::references(plan)? {
            let text =
                read(&name).map_err(|source| Error::Unreadable { name: name.clone(), source })?;
            files.insert(name, text);
        }
        Self::new(RuntimeKind::Native, files)
    }

    /// Builds the bundle of a Python plan, which is one file: it becomes `plan.py`, whatever it was called.
    ///
    /// # Errors
    ///
    /// The text is larger than a bundle may be.
    pub fn python(plan: &str) -> Result<Self, Error> {
        let files = BTreeMap::from([(PYTHON_FILE.to_owned(), plan.to_owned())]);
        Self::new(RuntimeKind::Python, files)
    }

    /// Builds the bundle of a query for statistics: the query's one spelling, so that what is asked has one digest.
    ///
    /// # Errors
    ///
    /// The text is larger than a bundle may be.
    pub fn statistics(query: &Query) -> Result<Self, Error> {
        let files = BTreeMap::from([(STATISTICS_FILE.to_owned(), query.to_toml())]);
        Self::new(RuntimeKind::Statistics, files)
    }

    /// The same with one more file, or another in place of the one of that name.
    ///
    /// # Errors
    ///
    /// As [`Bundle::new`].
    pub fn with_file(&self, name: &str, text: &str) -> Result<Self, Error> {
        let mut files = self.files.clone();
        files.insert(name.to_owned(), text.to_owned());
        Self::new(self.runtime, files)
    }

    /// Reads a bundle out of bytes that may be hostile.
    ///
    /// # Errors
    ///
    /// The bytes are too many, are no bundle, break a rule, or are not the bundle's one spelling.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > LARGEST {
            return Err(Error::TooLarge { size: bytes.len() });
        }
        let form: Form = serde_json::from_slice(bytes).map_err(Error::NotBundle)?;
        if form.format != FORMAT {
            return Err(Error::Format { found: form.format.chars().take(64).collect() });
        }
        let bundle = Self::new(form.runtime, form.files)?;
        if bundle.bytes != bytes {
            return Err(Error::Spelling);
        }
        Ok(bundle)
    }

    /// Who runs the plan.
    #[must_use]
    pub fn runtime(&self) -> RuntimeKind {
        self.runtime
    }

    /// The text of a file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&str> {
        self.files.get(name).map(String::as_str)
    }

    /// The files, sorted by name.
    pub fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The exact bytes that travel and are hashed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The digest that approvals name.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }
}

/// Why something is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are more than a bundle may have.
    #[error("plan bundle has {size} bytes, at most {LARGEST} are allowed")]
    TooLarge {
        /// How many bytes there are.
        size: usize,
    },
    /// The bytes are not the JSON of a bundle.
    #[error("plan bundle is not readable")]
    NotBundle(#[source] serde_json::Error),
    /// The bundle is of another format or version.
    #[error("plan bundle has format {found:?}, expected {FORMAT:?}")]
    Format {
        /// What the bundle says, cut to 64 characters.
        found: String,
    },
    /// The bytes say what a bundle says, in other words.
    #[error("plan bundle is not in its one spelling: compact, keys in order, nothing twice")]
    Spelling,
    /// There are too many files.
    #[error("plan bundle has {count} files, at most {MOST_FILES} are allowed")]
    TooManyFiles {
        /// How many files there are.
        count: usize,
    },
    /// The file that every plan of the runtime has is not there.
    #[error("plan bundle has no file {name:?}")]
    NoPlan {
        /// The file's name.
        name: &'static str,
    },
    /// A file's name is not a plain name.
    #[error(
        "plan file {name:?} has no plain name: 1 to 64 letters, digits, '.', '_' and '-', \
         beginning with a letter or digit"
    )]
    FileName {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// A file that the plan names cannot be read.
    #[error("plan file {name:?} cannot be read")]
    Unreadable {
        /// The file's name.
        name: String,
        /// Why.
        source: std::io::Error,
    },
    /// The plan does not say which files it needs.
    #[error(transparent)]
    Plan(#[from] document::Error),
}

/// How a bundle is written; serde keeps the order of the fields.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form {
    format: String,
    runtime: RuntimeKind,
    files: BTreeMap<String, String>,
}

fn check_files(runtime: RuntimeKind, files: &BTreeMap<String, String>) -> Result<(), Error> {
    if files.len() > MOST_FILES {
        return Err(Error::TooManyFiles { count: files.len() });
    }
    if let Some(name) = files.keys().find(|name| !is_plain_name(name)) {
        return Err(Error::FileName { name: name.chars().take(64).collect() });
    }
    let name = match runtime {
        RuntimeKind::Native => PLAN_FILE,
        RuntimeKind::Python => PYTHON_FILE,
        RuntimeKind::Statistics => STATISTICS_FILE,
    };
    if files.contains_key(name) { Ok(()) } else { Err(Error::NoPlan { name }) }
}

/// Tells whether a name is a plain file name, the same on every system.
pub(crate) fn is_plain_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

/// The name and version of the format.
const FORMAT: &str = "wardround-plan/1";

/// The file that a native plan is.
pub const PLAN_FILE: &str = "plan.toml";

/// The file that a Python plan is.
pub const PYTHON_FILE: &str = "plan.py";

/// The file that a query for statistics is.
pub const STATISTICS_FILE: &str = "statistics.toml";

/// The most bytes of a bundle: 1 MiB.
pub const LARGEST: usize = 1 << 20;

/// The most files of a bundle.
pub const MOST_FILES: usize = 32;
