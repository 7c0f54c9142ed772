//! What a node keeps of a dataset of any kind.

use std::path::Path;

use protocol::Digest;
use serde::{Deserialize, Serialize};

use crate::folder::Root;
use crate::image_folder::{self, ImageFolder};
use crate::medical_folder::{self, MedicalFolder, MedicalOptions};
use crate::registration::{self, Change, Registration, Retyped};
use crate::{Error, Interrupt, Kind, LoadingPlan, Options, Watch};

/// A dataset as it was when its owner added it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Registered {
    /// A table in one file.
    Table(Registration),
    /// A folder of images.
    ImageFolder(ImageFolder),
    /// A folder of subjects with volumes.
    MedicalFolder(Box<MedicalFolder>),
}

/// What the owner states about a dataset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Description {
    /// Its kind; detected where nothing is stated.
    pub kind: Option<Kind>,
    /// How the table is read: the dataset itself, or the demographics of a medical folder.
    pub table: Options,
    /// What of a medical folder is used.
    pub medical: MedicalOptions,
}

/// Whether a dataset is still what was registered.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// The content is the same.
    Unchanged,
    /// The content is the same, and its files were written again: what to keep, so that rounds need not read all
    /// bytes to see it.
    Touched(Box<Registered>),
    /// The content is another.
    Changed(Box<Changed>),
}

/// What a dataset looks like from outside, compared with what was registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance {
    /// Nothing was written since.
    Untouched,
    /// Something was written, and the size is the same: the bytes may be.
    Touched,
    /// There are more or fewer bytes or files.
    Resized,
}

/// What a changed dataset is now.
#[derive(Debug, Clone, PartialEq)]
pub struct Changed {
    /// What to keep in place of the old registration if the owner accepts the change.
    pub now: Registered,
    /// Columns of a table that were not there before.
    pub added: Vec<String>,
    /// Columns of a table that are there no more.
    pub removed: Vec<String>,
    /// Columns of a table whose type is another.
    pub retyped: Vec<Retyped>,
}

/// Reads a dataset once and describes it.
///
/// A folder is registered under its loading plan: which folder is which class or modality is the plan's to say.
///
/// # Errors
///
/// The path leads to no dataset of the stated kind, or one of its files cannot be used.
pub fn describe(
    path: &Path,
    description: &Description,
    plan: Option<&LoadingPlan>,
    watch: &mut Watch<'_>,
) -> Result<Registered, Error> {
    let kind = match description.kind {
        Some(kind) => kind,
        None => detect(path)?,
    };
    Ok(match kind {
        Kind::Table => Registered::Table(registration::register_interruptibly(
            path,
            &description.table,
            watch.interrupt(),
        )?),
        Kind::ImageFolder => Registered::ImageFolder(image_folder::register(path, plan, watch)?),
        Kind::MedicalFolder => {
            let (medical, table) = (&description.medical, &description.table);
            let folder = medical_folder::register(path, medical, table, plan, watch)?;
            Registered::MedicalFolder(Box::new(folder))
        }
    })
}

/// Compares a dataset's content with what was registered.
///
/// # Errors
///
/// As [`describe`].
pub fn compare(
    path: &Path,
    registered: &Registered,
    plan: Option<&LoadingPlan>,
    watch: &mut Watch<'_>,
) -> Result<Comparison, Error> {
    if let Registered::Table(table) = registered {
        return Ok(match registration::check_interruptibly(path, table, watch.interrupt())? {
            registration::Check::Unchanged => Comparison::Unchanged,
            registration::Check::Changed(change) => {
                let Change { registration, added, removed, retyped, .. } = *change;
                let now = Registered::Table(registration);
                Comparison::Changed(Box::new(Changed { now, added, removed, retyped }))
            }
        });
    }
    let now = registered.again(path, plan, watch)?;
    if now.digest() == registered.digest() {
        return Ok(if now == *registered {
            Comparison::Unchanged
        } else {
            Comparison::Touched(Box::new(now))
        });
    }
    let (added, removed, retyped) = (Vec::new(), Vec::new(), Vec::new());
    Ok(Comparison::Changed(Box::new(Changed { now, added, removed, retyped })))
}

/// Looks at a dataset from outside, without reading what its files hold.
///
/// # Errors
///
/// The file or folder cannot be looked at.
pub fn glance(
    path: &Path,
    registered: &Registered,
    interrupt: &mut Interrupt<'_>,
) -> Result<Glance, Error> {
    let (seen, known) = match registered {
        Registered::Table(table) => return table.glance(path),
        Registered::ImageFolder(folder) => {
            (image_folder::list(&Root::open(path)?, interrupt)?, folder.listing)
        }
        Registered::MedicalFolder(folder) => {
            (medical_folder::list(&Root::open(path)?, interrupt)?, folder.listing)
        }
    };
    Ok(if seen == known {
        Glance::Untouched
    } else if (seen.files, seen.bytes) == (known.files, known.bytes) {
        Glance::Touched
    } else {
        Glance::Resized
    })
}

/// Finds out what a path leads to.
fn detect(path: &Path) -> Result<Kind, Error> {
    if !path.metadata().map_err(Error::Open)?.is_dir() {
        return Ok(Kind::Table);
    }
    // A medical folder's subjects look like classes without images, so volumes are looked for first.
    if medical_folder::looks_like_one(path)? {
        return Ok(Kind::MedicalFolder);
    }
    if image_folder::looks_like_one(path)? {
        return Ok(Kind::ImageFolder);
    }
    Err(Error::UnknownKind)
}

impl Registered {
    /// Registers the same dataset again, as its owner has stated it, under another plan perhaps.
    ///
    /// # Errors
    ///
    /// As [`describe`].
    pub fn again(
        &self,
        path: &Path,
        plan: Option<&LoadingPlan>,
        watch: &mut Watch<'_>,
    ) -> Result<Self, Error> {
        let table = self.any_table().map(|table| table.options.clone()).unwrap_or_default();
        let medical = match self {
            Self::MedicalFolder(folder) => folder.options.clone(),
            Self::Table(_) | Self::ImageFolder(_) => MedicalOptions::default(),
        };
        let description = Description { kind: Some(self.kind()), table, medical };
        describe(path, &description, plan, watch)
    }

    /// The kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Table(_) => Kind::Table,
            Self::ImageFolder(_) => Kind::ImageFolder,
            Self::MedicalFolder(_) => Kind::MedicalFolder,
        }
    }

    /// The digest of the content, from which seeds are derived.
    pub const fn digest(&self) -> Digest {
        match self {
            Self::Table(table) => table.digest,
            Self::ImageFolder(folder) => folder.digest,
            Self::MedicalFolder(folder) => folder.digest,
        }
    }

    /// What a model learns from, one by one: rows, images, subjects.
    pub const fn samples(&self) -> u64 {
        match self {
            Self::Table(table) => table.rows,
            Self::ImageFolder(folder) => folder.samples,
            Self::MedicalFolder(folder) => folder.samples,
        }
    }

    /// The bytes of all its files.
    pub const fn size(&self) -> u64 {
        match self {
            Self::Table(table) => table.size,
            Self::ImageFolder(folder) => folder.listing.bytes,
            Self::MedicalFolder(folder) => folder.listing.bytes,
        }
    }

    /// The table that it is, or that a medical folder's demographics are.
    pub fn any_table(&self) -> Option<&Registration> {
        match self {
            Self::Table(table) => Some(table),
            Self::ImageFolder(_) => None,
            Self::MedicalFolder(folder) => {
                folder.demographics.as_ref().map(|demographics| &demographics.registration)
            }
        }
    }

    /// The table that it is.
    ///
    /// # Errors
    ///
    /// [`Error::WrongKind`] for a folder.
    pub fn table(&self) -> Result<&Registration, Error> {
        match self {
            Self::Table(table) => Ok(table),
            Self::ImageFolder(_) | Self::MedicalFolder(_) => {
                Err(Error::WrongKind { found: self.kind(), expected: Kind::Table })
            }
        }
    }
}

impl From<Registration> for Registered {
    fn from(table: Registration) -> Self {
        Self::Table(table)
    }
}
