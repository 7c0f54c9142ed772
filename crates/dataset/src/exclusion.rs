//! Patients who withdrew: what of a dataset is theirs is left out before anything is counted, split or granted.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::folder::Root;
use crate::view::{self, Value};
use crate::{Error, Interrupt, Kind, Registered, Registration, medical_folder, rows};

/// The patients of a dataset who are left out, by the identifiers that the dataset has for them.
///
/// A table's patients are named by its patients' column, a medical folder's by their folders. Identifiers are compared
/// as texts, without blanks at both ends: `7` and `7.0` are two patients.
///
/// `Debug` tells how many there are: who they are must not reach a log.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Exclusions {
    patients: BTreeSet<String>,
}

/// What a list of exclusions means for a dataset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExclusionCount {
    /// Rows or subjects that are left out.
    pub samples: u64,
    /// Identifiers on the list that name nobody in the dataset.
    pub unknown: u64,
}

impl Exclusions {
    /// Nobody.
    pub const fn none() -> &'static Self {
        const { &Self { patients: BTreeSet::new() } }
    }

    /// Adds a patient; tells whether it was not on the list.
    ///
    /// # Errors
    ///
    /// [`Error::PatientIdentifier`] for an empty or too long identifier, or one with a control character;
    /// [`Error::TooManyExclusions`] for a list that is full.
    pub fn add(&mut self, patient: &str) -> Result<bool, Error> {
        let patient = patient.trim();
        if patient.is_empty() || patient.len() > LONGEST || patient.contains(char::is_control) {
            return Err(Error::PatientIdentifier { most: LONGEST });
        }
        if self.patients.len() >= MOST && !self.patients.contains(patient) {
            return Err(Error::TooManyExclusions { most: MOST });
        }
        Ok(self.patients.insert(patient.to_owned()))
    }

    /// Takes a patient from the list; tells whether it was there.
    pub fn remove(&mut self, patient: &str) -> bool {
        self.patients.remove(patient.trim())
    }

    /// Takes all patients from the list.
    pub fn clear(&mut self) {
        self.patients.clear();
    }

    /// Whether a patient is left out.
    pub fn names(&self, patient: &str) -> bool {
        self.patients.contains(patient.trim())
    }

    /// Whether nobody is left out.
    pub fn is_empty(&self) -> bool {
        self.patients.is_empty()
    }

    /// How many patients are on the list.
    pub fn len(&self) -> usize {
        self.patients.len()
    }

    /// The patients in bytewise order.
    pub fn patients(&self) -> impl Iterator<Item = &str> {
        self.patients.iter().map(String::as_str)
    }

    /// Reads the dataset and counts what the list leaves out.
    ///
    /// # Errors
    ///
    /// [`Error::NoPatients`] for a list that names somebody and a dataset that names nobody; the dataset cannot be read
    /// or has changed.
    ///
    /// # Examples
    ///
    /// ```
    /// use dataset::{Exclusions, Interrupt, Options, Registered, register};
    ///
    /// let folder = tempfile::tempdir()?;
    /// let path = folder.path().join("ward.csv");
    /// std::fs::write(&path, "patient,age\n7,61\n7,62\n8,48\n")?;
    /// let options = Options { patient_id: Some("patient".to_owned()), ..Options::default() };
    /// let registered = Registered::Table(register(&path, &options)?);
    ///
    /// let mut exclusions = Exclusions::default();
    /// exclusions.add("7")?;
    /// exclusions.add("9")?;
    /// let count = exclusions.count(&path, &registered, &mut Interrupt::never())?;
    /// assert_eq!((count.samples, count.unknown), (2, 1));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn count(
        &self,
        path: &Path,
        registered: &Registered,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<ExclusionCount, Error> {
        if self.is_empty() {
            return Ok(ExclusionCount::default());
        }
        let mut seen = BTreeSet::new();
        let mut samples = 0;
        let mut meet = |patient: &str| {
            if let Some(known) = self.patients.get(patient.trim()) {
                samples += 1;
                seen.insert(known.as_str());
            }
        };
        match registered {
            Registered::Table(table) => each_patient(path, table, interrupt, &mut meet)?,
            Registered::MedicalFolder(_) => {
                medical_folder::for_each(&Root::open(path)?, &mut |subject| {
                    interrupt.look()?;
                    meet(&subject.name);
                    Ok(())
                })?;
            }
            Registered::ImageFolder(_) => return Err(Error::NoPatients(Kind::ImageFolder)),
        }
        Ok(ExclusionCount { samples, unknown: (self.len() - seen.len()) as u64 })
    }

    /// The folders of a dataset that a plan may read in place: the whole of it, or of a medical folder with exclusions
    /// those of the subjects that are not left out. None for a table, which is never read in place.
    ///
    /// # Errors
    ///
    /// As [`Exclusions::count`].
    pub fn readable_folders(
        &self,
        path: &Path,
        registered: &Registered,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Vec<PathBuf>, Error> {
        match registered {
            Registered::Table(_) => Ok(Vec::new()),
            Registered::ImageFolder(_) | Registered::MedicalFolder(_) if self.is_empty() => {
                Ok(vec![path.to_owned()])
            }
            Registered::ImageFolder(_) => Err(Error::NoPatients(Kind::ImageFolder)),
            Registered::MedicalFolder(_) => self.readable_subjects(path, interrupt),
        }
    }

    fn readable_subjects(
        &self,
        path: &Path,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Vec<PathBuf>, Error> {
        let mut folders = Vec::new();
        medical_folder::for_each(&Root::open(path)?, &mut |subject| {
            interrupt.look()?;
            if !self.names(&subject.name) {
                folders.push(path.join(&subject.name));
            }
            Ok(())
        })?;
        Ok(folders)
    }
}

impl fmt::Debug for Exclusions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Exclusions({})", self.len())
    }
}

/// Visits the patient of each row that names one.
fn each_patient(
    path: &Path,
    table: &Registration,
    interrupt: &mut Interrupt<'_>,
    meet: &mut impl FnMut(&str),
) -> Result<(), Error> {
    let Some(column) = &table.options.patient_id else {
        return Err(Error::NoPatients(Kind::Table));
    };
    let view = [view::hidden(table, column)?];
    rows::for_each(path, table, &view, interrupt, |row| {
        if let Some(patient) = row.values.first().and_then(Value::text) {
            meet(&patient);
        }
        Ok(())
    })
}

/// The bytes of the longest identifier.
const LONGEST: usize = 256;

/// The patients on the longest list.
const MOST: usize = 100_000;
