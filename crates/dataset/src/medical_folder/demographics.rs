//! The table beside the volumes: one row for each subject.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value as Json};

use super::MedicalOptions;
use crate::folder::{self, Inventory, Root};
use crate::format::Options;
use crate::registration::{Registration, register_interruptibly};
use crate::view::{self, Value};
use crate::{AttachedPlan, Error, Interrupt, rows};

/// The demographics of a medical folder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Demographics {
    /// Where the table lies; a relative path begins at the dataset's folder.
    pub path: PathBuf,
    /// The table. Its patients' column names the subjects' folders.
    pub registration: Registration,
}

/// The demographics of each subject, as JSON values in the order of the view's columns.
pub(crate) type Rows = HashMap<String, Vec<Json>>;

impl Demographics {
    /// Registers the table that the options name, if they name one.
    pub(super) fn register(
        root: &Root,
        options: &MedicalOptions,
        table: &Options,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Option<Self>, Error> {
        let Some(path) = &options.demographics else { return Ok(None) };
        let patient_id = options.subject_column.clone();
        let table = Options { patient_id, ..table.clone() };
        let registration = register_interruptibly(&root.resolve(path), &table, interrupt)
            .map_err(|error| folder::of(&path.display().to_string(), error))?;
        Ok(Some(Self { path: path.clone(), registration }))
    }

    /// Where the table lies, for a dataset that lies at `folder`.
    pub(crate) fn path_in(&self, folder: &Path) -> Result<PathBuf, Error> {
        Ok(Root::open(folder)?.resolve(&self.path))
    }

    /// Makes the table a part of the folder's content.
    pub(super) fn mix_into(&self, inventory: &mut Inventory) {
        inventory.mix("demographics", &self.registration.digest);
    }

    /// The subjects that the table names.
    pub(super) fn subjects(
        &self,
        root: &Root,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<HashSet<String>, Error> {
        let mut subjects = HashSet::new();
        let mut again = 0;
        let column = self.subject_column();
        let view = [view::hidden(&self.registration, column)?];
        let path = root.resolve(&self.path);
        rows::for_each(&path, &self.registration, &view, interrupt, |row| {
            let named = row.values.first().and_then(Value::text);
            again += u64::from(named.is_some_and(|name| !subjects.insert(name.into_owned())));
            Ok(())
        })?;
        if again > 0 {
            return Err(Error::RepeatedSubject { column: column.to_owned(), rows: again });
        }
        Ok(subjects)
    }

    /// The rows of all subjects as a round sees them.
    pub(crate) fn rows(
        &self,
        path: &Path,
        view: &[view::ViewColumn],
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Rows, Error> {
        let mut found = Rows::new();
        let mut columns = view.to_vec();
        columns.push(view::hidden(&self.registration, self.subject_column())?);
        rows::for_each(path, &self.registration, &columns, interrupt, |row| {
            if let Some((subject, cells)) = row.values.split_last()
                && let Some(name) = subject.text()
            {
                found.insert(name.into_owned(), cells.iter().map(json).collect());
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn subject_column(&self) -> &str {
        self.registration.options.patient_id.as_deref().unwrap_or_default()
    }
}

impl Demographics {
    /// The columns that a round sees.
    pub(crate) fn view(&self, plan: Option<&AttachedPlan>) -> Result<Vec<view::ViewColumn>, Error> {
        view::columns(&self.registration, plan)
    }
}

fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Missing => Json::Null,
        Value::Boolean(value) => Json::Bool(*value),
        Value::Integer(value) => Json::Number((*value).into()),
        Value::Number(value) => Number::from_f64(*value).map_or(Json::Null, Json::Number),
        Value::Text(text) => Json::String(text.to_string()),
    }
}
