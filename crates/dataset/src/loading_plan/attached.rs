//! A data loading plan on a dataset that it fits.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Error, LoadingPlan};
use crate::profile::Profile;
use crate::registration::{RegisteredColumn, Registration};
use crate::view::{self, ViewColumn};
use crate::{Interrupt, Registered, rows};

/// A plan, and the columns that its dataset has under it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttachedPlan {
    /// The plan.
    pub plan: LoadingPlan,
    /// The columns as the study sees them, without hidden ones; of a medical folder, those of its demographics.
    pub columns: Vec<RegisteredColumn>,
}

/// Attaches a plan to a dataset: reads the table once, so that every value that it has is known to be mapped.
///
/// The folders of images and modalities are taken as they were registered, which must have been under the same plan.
///
/// # Errors
///
/// The plan is for another kind, names what is not there, or leaves a value unmapped; the table cannot be read.
pub fn attach(
    plan: LoadingPlan,
    path: &Path,
    dataset: &Registered,
    interrupt: &mut Interrupt<'_>,
) -> Result<AttachedPlan, crate::Error> {
    let kind = dataset.kind();
    if plan.kind != kind {
        return Err(Error::Kind { plan: plan.kind, dataset: kind }.into());
    }
    let columns = match dataset {
        Registered::Table(table) => columns(&plan, path, table, interrupt)?,
        Registered::ImageFolder(_) => Vec::new(),
        Registered::MedicalFolder(folder) => match &folder.demographics {
            Some(demographics) => {
                let path = demographics.path_in(path)?;
                columns(&plan, &path, &demographics.registration, interrupt)?
            }
            None => {
                refuse_columns(&plan)?;
                Vec::new()
            }
        },
    };
    Ok(AttachedPlan { plan, columns })
}

/// Refuses a plan with columns where there is no table.
fn refuse_columns(plan: &LoadingPlan) -> Result<(), Error> {
    let has_none = plan.columns.is_empty() && plan.categories.is_empty() && plan.units.is_empty();
    if has_none { Ok(()) } else { Err(Error::NoDemographics) }
}

fn columns(
    plan: &LoadingPlan,
    path: &Path,
    registration: &Registration,
    interrupt: &mut Interrupt<'_>,
) -> Result<Vec<RegisteredColumn>, crate::Error> {
    let view = view::under(registration, Some(plan))?;
    let (changed, same): (Vec<_>, Vec<_>) = view.into_iter().partition(ViewColumn::is_changed);
    let mut profiles: Vec<Profile> = changed.iter().map(|_| Profile::default()).collect();
    if !changed.is_empty() {
        rows::for_each(path, registration, &changed, interrupt, |row| {
            for (value, profile) in row.values.iter().zip(&mut profiles) {
                let text = value.text().unwrap_or_default();
                profile.observe(value.cell(), text.as_bytes(), row.place);
            }
            Ok(())
        })?;
    }
    let mut columns = Vec::with_capacity(changed.len() + same.len());
    for (column, profile) in changed.into_iter().zip(profiles) {
        let column_type = profile.column_type(&column.name)?;
        let (missing, strays) = (profile.missing(), profile.strays());
        let name = column.name;
        columns.push((column.place, RegisteredColumn { name, column_type, missing, strays }));
    }
    for column in same {
        let known = registration.columns[column.place].clone();
        columns.push((column.place, RegisteredColumn { name: column.name, ..known }));
    }
    columns.sort_by_key(|(place, _)| *place);
    Ok(columns.into_iter().map(|(_, column)| column).collect())
}
