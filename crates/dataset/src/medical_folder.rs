//! Medical folders: `subject/modality/*.nii` or `*.nii.gz`, with a table of demographics beside them.

mod demographics;
mod subject;

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use protocol::Digest;
use serde::{Deserialize, Serialize};

use crate::folder::{self, FileEntry, Inventory, Listing, Root};
use crate::format::Options;
use crate::limits::MODALITIES;
use crate::registration::{BUFFER_BYTES, Hashed};
use crate::{Error, Interrupt, LoadingPlan, Watch, nifti};

pub use demographics::Demographics;
pub(crate) use subject::{Layout, Subject};

/// What of a medical folder is used.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MedicalOptions {
    /// Modalities that every subject must have, by the study's names; without any, one modality is enough.
    pub modalities: Vec<String>,
    /// The table of demographics; a relative path begins at the dataset's folder.
    pub demographics: Option<PathBuf>,
    /// The column that names a subject's folder.
    pub subject_column: Option<String>,
}

/// A medical folder as it was when its owner added it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MedicalFolder {
    /// What the owner stated.
    pub options: MedicalOptions,
    /// The digest of all volumes' names and bytes, and of the demographics.
    pub digest: Digest,
    /// What the volumes look like from outside.
    pub listing: Listing,
    /// Folders of subjects.
    pub subjects: u64,
    /// Subjects that can be used.
    pub samples: u64,
    /// Why the others cannot.
    pub left_out: LeftOut,
    /// The modalities: in the order of the plan or of the owner, else in bytewise order.
    pub modalities: Vec<Modality>,
    /// Volumes in folders that the loading plan does not name.
    pub not_mapped: u64,
    /// Files that are no volumes by their names.
    pub ignored: u64,
    /// The table beside the volumes.
    pub demographics: Option<Demographics>,
}

/// How many samples are left out, each counted once, by the first reason that applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LeftOut {
    /// By the owner.
    pub excluded: u64,
    /// In class folders that the loading plan does not name.
    pub not_mapped: u64,
    /// Subjects in whose folder of a modality lie several volumes, or that have several folders for one modality.
    pub several_images: u64,
    /// Subjects without a modality that is asked for, or without any.
    pub without_modality: u64,
    /// Subjects that the demographics do not name.
    pub without_demographics: u64,
}

/// A modality of a medical folder.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Modality {
    /// Its name in the study.
    pub name: String,
    /// The folders that hold it.
    pub folders: Vec<String>,
    /// Subjects that have it.
    pub subjects: u64,
    /// How many volumes have which shape: `64 x 64 x 32`. The rarer ones of very many are counted together.
    pub shapes: BTreeMap<String, u64>,
    /// How many volumes have which type of voxels.
    pub types: BTreeMap<String, u64>,
}

/// Reads every volume once and describes the folder, in bounded memory.
pub(crate) fn register(
    path: &Path,
    options: &MedicalOptions,
    table: &Options,
    plan: Option<&LoadingPlan>,
    watch: &mut Watch<'_>,
) -> Result<MedicalFolder, Error> {
    let root = Root::open(path)?;
    let expected = list(&root, watch.interrupt())?;
    watch.expect(expected.files, expected.bytes);
    let layout = Layout::new(plan, &options.modalities);
    let demographics = Demographics::register(&root, options, table, watch.interrupt())?;
    let known = match &demographics {
        Some(demographics) => Some(demographics.subjects(&root, watch.interrupt())?),
        None => None,
    };
    let mut survey = Survey::new(&layout);
    let ignored = for_each(&root, &mut |subject| {
        survey.subjects += 1;
        for file in subject.files() {
            let (header, digest) = inspect(&root, file, watch)?;
            survey.inventory.take(file, &digest)?;
            survey.observe(&layout, file, &header)?;
            watch.done(file.size)?;
        }
        let is_known = known.as_ref().is_none_or(|known| known.contains(&subject.name));
        survey.judge(&layout, subject, is_known);
        Ok(())
    })?;
    let missed = options.modalities.iter().find(|name| survey.subjects_with(name) == 0);
    if let Some(missed) = missed {
        return Err(Error::UnknownModality(missed.clone()));
    }
    survey.finish(options.clone(), demographics, ignored)
}

/// Whether there is a volume where a medical folder has them.
pub(crate) fn looks_like_one(path: &Path) -> Result<bool, Error> {
    let root = Root::open(path)?;
    let mut found = false;
    let outcome = for_each(&root, &mut |subject| {
        found = subject.files().next().is_some();
        // Interrupted by nobody but this: one volume is enough.
        if found { Err(Error::Interrupted) } else { Ok(()) }
    });
    match outcome {
        Err(Error::Interrupted) | Ok(_) => Ok(found),
        Err(error) => Err(error),
    }
}

/// Looks at names, sizes and times.
pub(crate) fn list(root: &Root, interrupt: &mut Interrupt<'_>) -> Result<Listing, Error> {
    let mut inventory = Inventory::default();
    for_each(root, &mut |subject| {
        interrupt.look()?;
        subject.files().try_for_each(|file| inventory.list(file))
    })?;
    Ok(inventory.listing())
}

/// Makes the digest of the content again, without looking at what the volumes hold.
pub(crate) fn digest(
    root: &Root,
    demographics: Option<&Demographics>,
    interrupt: &mut Interrupt<'_>,
) -> Result<Digest, Error> {
    let mut inventory = Inventory::default();
    for_each(root, &mut |subject| {
        for file in subject.files() {
            let hashed = Hashed::new(root.file(&file.path)?, interrupt.lend());
            let (digest, _) = hashed.finish().map_err(|error| folder::of(&file.path, error))?;
            inventory.take(file, &digest)?;
        }
        Ok(())
    })?;
    if let Some(demographics) = demographics {
        demographics.mix_into(&mut inventory);
    }
    Ok(inventory.finish().1)
}

/// Visits every subject in bytewise order; a name that begins with `_` or `.` is none.
/// Gives the number of files that are no volumes.
pub(crate) fn for_each(
    root: &Root,
    visit: &mut dyn FnMut(&Subject) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut ignored = 0;
    for name in root.entries("")?.folders {
        if name.starts_with('_') {
            continue;
        }
        let (subject, others) = Subject::read(root, name)?;
        ignored += others;
        visit(&subject)?;
    }
    Ok(ignored)
}

fn inspect(
    root: &Root,
    file: &FileEntry,
    watch: &mut Watch<'_>,
) -> Result<(nifti::Header, Digest), Error> {
    let hashed = Hashed::new(root.file(&file.path)?, watch.interrupt().lend());
    let mut input = BufReader::with_capacity(BUFFER_BYTES, hashed);
    let header = nifti::inspect(&mut input).map_err(|error| match error {
        nifti::Error::Interrupted => Error::Interrupted,
        error => folder::of(&file.path, error.into()),
    })?;
    let (digest, size) = input.into_inner().finish()?;
    if size == file.size {
        Ok((header, digest))
    } else {
        Err(folder::of(&file.path, Error::Unsteady))
    }
}

/// What is known of subjects after they went by.
struct Survey {
    inventory: Inventory,
    subjects: u64,
    samples: u64,
    left_out: LeftOut,
    not_mapped: u64,
    modalities: Vec<Modality>,
    /// How many of them were known before any subject was.
    named: usize,
}

impl Survey {
    fn new(layout: &Layout) -> Self {
        let named = layout.named().into_iter();
        let modalities: Vec<_> = named
            .map(|(name, folders)| Modality { name, folders, ..Modality::default() })
            .collect();
        Self {
            inventory: Inventory::default(),
            subjects: 0,
            samples: 0,
            left_out: LeftOut::default(),
            not_mapped: 0,
            named: modalities.len(),
            modalities,
        }
    }

    /// Counts a volume for the modality whose folder it lies in.
    fn observe(
        &mut self,
        layout: &Layout,
        file: &FileEntry,
        header: &nifti::Header,
    ) -> Result<(), Error> {
        let folder = Subject::folder_of(file);
        let Some(name) = layout.modality_of(folder) else {
            self.not_mapped += 1;
            return Ok(());
        };
        let modality = self.modality(&name)?;
        if modality.folders.iter().all(|known| known != folder) {
            modality.folders.push(folder.to_owned());
        }
        let sizes: Vec<String> = header.shape.iter().map(u64::to_string).collect();
        count(&mut modality.shapes, sizes.join(" x "));
        count(&mut modality.types, header.data_type.as_str().to_owned());
        Ok(())
    }

    fn judge(&mut self, layout: &Layout, subject: &Subject, is_known: bool) {
        for modality in &mut self.modalities {
            if subject.image(layout, &modality.name).is_some() {
                modality.subjects += 1;
            }
        }
        match layout.judge(subject, is_known) {
            None => self.samples += 1,
            Some(reason) => self.left_out.add(reason),
        }
    }

    fn modality(&mut self, name: &str) -> Result<&mut Modality, Error> {
        let place = match self.modalities.iter().position(|known| known.name == name) {
            Some(place) => place,
            None => {
                if self.modalities.len() >= MODALITIES {
                    let limit = MODALITIES as u64;
                    return Err(Error::FolderLimit { limit, what: "modalities" });
                }
                let modality = Modality { name: name.to_owned(), ..Modality::default() };
                self.modalities.push(modality);
                self.modalities.len() - 1
            }
        };
        Ok(&mut self.modalities[place])
    }

    fn subjects_with(&self, name: &str) -> u64 {
        let modality = self.modalities.iter().find(|modality| modality.name == name);
        modality.map_or(0, |modality| modality.subjects)
    }

    fn finish(
        mut self,
        options: MedicalOptions,
        demographics: Option<Demographics>,
        ignored: u64,
    ) -> Result<MedicalFolder, Error> {
        if self.samples == 0 {
            return Err(Error::NoSubjects { subjects: self.subjects });
        }
        if let Some(demographics) = &demographics {
            demographics.mix_into(&mut self.inventory);
        }
        self.modalities[self.named..].sort_by(|one, other| one.name.cmp(&other.name));
        let (listing, digest) = self.inventory.finish();
        Ok(MedicalFolder {
            options,
            digest,
            listing,
            subjects: self.subjects,
            samples: self.samples,
            left_out: self.left_out,
            modalities: self.modalities,
            not_mapped: self.not_mapped,
            ignored,
            demographics,
        })
    }
}

/// Why a subject is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    SeveralImages,
    WithoutModality,
    WithoutDemographics,
}

impl LeftOut {
    /// Counts a subject.
    pub(crate) fn add(&mut self, reason: Reason) {
        match reason {
            Reason::SeveralImages => self.several_images += 1,
            Reason::WithoutModality => self.without_modality += 1,
            Reason::WithoutDemographics => self.without_demographics += 1,
        }
    }

    /// All of them.
    pub const fn total(&self) -> u64 {
        self.excluded
            + self.not_mapped
            + self.several_images
            + self.without_modality
            + self.without_demographics
    }
}

/// Counts by a text, of which there are not many different ones.
fn count(counts: &mut BTreeMap<String, u64>, text: String) {
    let text = if counts.len() < DISTINCT || counts.contains_key(&text) {
        text
    } else {
        OTHERS.to_owned()
    };
    *counts.entry(text).or_default() += 1;
}

/// How many shapes of a modality are counted apart.
const DISTINCT: usize = 16;
const OTHERS: &str = "others";
