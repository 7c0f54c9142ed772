//! One subject's folder, and which of its volumes is which modality.

use super::Reason;
use crate::Error;
use crate::LoadingPlan;
use crate::folder::{self, FileEntry, Root};

/// A subject's folder.
pub(crate) struct Subject {
    pub(crate) name: String,
    /// The folders with volumes in them, in bytewise order, with their volumes.
    folders: Vec<(String, Vec<FileEntry>)>,
}

/// Which folders hold which modality, and which modalities a subject must have.
pub(crate) struct Layout {
    /// Of the plan; where it names none, every folder is a modality of its own name.
    planned: Vec<(String, Vec<String>)>,
    required: Vec<String>,
}

impl Subject {
    /// Lists a subject's folder; gives with it the number of files that are no volumes.
    pub(crate) fn read(root: &Root, name: String) -> Result<(Self, u64), Error> {
        let entries = root.entries(&name)?;
        let mut ignored = entries.files.len() as u64;
        let mut folders = Vec::new();
        for folder in entries.folders {
            if folder.starts_with('_') {
                continue;
            }
            let files = root.entries(&folder::join(&name, &folder))?.files;
            let (volumes, others): (Vec<_>, Vec<_>) =
                files.into_iter().partition(|file| file.ends_with(&[".nii", ".nii.gz"]));
            ignored += others.len() as u64;
            if !volumes.is_empty() {
                folders.push((folder, volumes));
            }
        }
        Ok((Self { name, folders }, ignored))
    }

    /// Its volumes, in bytewise order of their paths' parts.
    pub(crate) fn files(&self) -> impl Iterator<Item = &FileEntry> {
        self.folders.iter().flat_map(|(_, files)| files)
    }

    /// The folder that one of a subject's volumes lies in.
    pub(crate) fn folder_of(file: &FileEntry) -> &str {
        file.path.split('/').nth(1).unwrap_or_default()
    }

    /// The one volume of a modality.
    pub(crate) fn image(&self, layout: &Layout, modality: &str) -> Option<&FileEntry> {
        match self.candidates(layout, modality)[..] {
            [image] => Some(image),
            _ => None,
        }
    }

    /// The modalities of which it has exactly one volume, with the volume, in bytewise order of the folders.
    pub(crate) fn images(&self, layout: &Layout) -> Vec<(String, &FileEntry)> {
        let mut names: Vec<String> =
            self.folders.iter().filter_map(|(folder, _)| layout.modality_of(folder)).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        let image = |name: String| self.image(layout, &name).map(|image| (name, image));
        names.into_iter().filter_map(image).collect()
    }

    fn candidates(&self, layout: &Layout, modality: &str) -> Vec<&FileEntry> {
        let of = self
            .folders
            .iter()
            .filter(|(folder, _)| layout.modality_of(folder).is_some_and(|name| name == modality));
        of.flat_map(|(_, files)| files).collect()
    }

    fn has_several(&self, layout: &Layout, modality: &str) -> bool {
        self.candidates(layout, modality).len() > 1
    }
}

impl Layout {
    /// The folders as a plan names them, and the modalities that are asked for.
    pub(crate) fn new(plan: Option<&LoadingPlan>, required: &[String]) -> Self {
        let planned = plan.map(LoadingPlan::modality_folders).unwrap_or_default();
        let planned = planned.iter().map(|part| (part.name.clone(), part.folders.clone()));
        Self { planned: planned.collect(), required: required.to_vec() }
    }

    /// The modality that a folder holds.
    pub(crate) fn modality_of(&self, folder: &str) -> Option<String> {
        if self.planned.is_empty() {
            return Some(folder.to_owned());
        }
        let holds = |folders: &[String]| folders.iter().any(|known| known == folder);
        let found = self.planned.iter().find(|(_, folders)| holds(folders));
        found.map(|(name, _)| name.clone())
    }

    /// The modalities that are known before any subject is: those of the plan, else those that are asked for.
    pub(crate) fn named(&self) -> Vec<(String, Vec<String>)> {
        if self.planned.is_empty() {
            self.required.iter().map(|name| (name.clone(), Vec::new())).collect()
        } else {
            self.planned.clone()
        }
    }

    /// Why a subject cannot be used, where it cannot.
    pub(crate) fn judge(&self, subject: &Subject, is_known: bool) -> Option<Reason> {
        if self.required.iter().any(|name| subject.has_several(self, name)) {
            return Some(Reason::SeveralImages);
        }
        let has_all = self.required.iter().all(|name| subject.image(self, name).is_some());
        if !has_all || subject.images(self).is_empty() {
            let is_crowded = self.required.is_empty() && !subject.folders.is_empty();
            return Some(if is_crowded && subject.is_crowded(self) {
                Reason::SeveralImages
            } else {
                Reason::WithoutModality
            });
        }
        (!is_known).then_some(Reason::WithoutDemographics)
    }
}

impl Subject {
    /// Whether it has volumes, only too many of each modality.
    fn is_crowded(&self, layout: &Layout) -> bool {
        let mut names = self.folders.iter().filter_map(|(folder, _)| layout.modality_of(folder));
        names.any(|name| self.has_several(layout, &name))
    }
}
