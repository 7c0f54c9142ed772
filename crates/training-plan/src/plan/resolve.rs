//! Resolving a plan's features against the schemas of the selected datasets.

use std::collections::BTreeSet;

use protocol::{ColumnType, DatasetName, DatasetSummary, NodeId};

use super::Plan;
use super::data::{Features, Standardize, Task};

/// A selected dataset: where it is and what its node shows of it.
#[derive(Clone, Debug)]
pub struct Site {
    /// The dataset's node.
    pub node: NodeId,
    /// The dataset as its node shows it: withheld and identifying columns are not in it.
    pub dataset: DatasetSummary,
}

impl Site {
    fn column_type(&self, name: &str) -> Option<ColumnType> {
        let column = self.dataset.columns.iter().find(|column| column.name == name);
        column.map(|column| column.column_type)
    }

    fn named(&self) -> SiteName {
        SiteName { node: self.node.clone(), dataset: self.dataset.name.clone() }
    }
}

/// A dataset's full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteName {
    /// The dataset's node.
    pub node: NodeId,
    /// The dataset's name at the node.
    pub dataset: DatasetName,
}

impl std::fmt::Display for SiteName {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.node, self.dataset)
    }
}

/// Why a plan does not fit the selected datasets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// No dataset is selected.
    #[error("no dataset is selected")]
    NoSite,
    /// A dataset has no such target, or does not show it.
    #[error("dataset {site} shows no column {target:?}, which is the plan's target")]
    NoTarget {
        /// The dataset.
        site: SiteName,
        /// The target's name.
        target: String,
    },
    /// A column has another type than the plan needs.
    #[error("column {column:?} of dataset {site} has type {found}, the plan needs {needed}")]
    Type {
        /// The dataset.
        site: SiteName,
        /// The column.
        column: String,
        /// The type it has.
        found: &'static str,
        /// What the plan needs, in words.
        needed: &'static str,
    },
    /// The datasets do not have the same features.
    #[error("the selected datasets do not have the same features: {}", describe(.0))]
    Different(Vec<Lacking>),
    /// No feature is left.
    #[error("the selected datasets have no numeric column besides the target")]
    NoFeature,
    /// The declared scale lacks features.
    #[error("the plan's scale lacks {}", quoted(.0))]
    NoScale(Vec<String>),
}

/// The features that one dataset lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The dataset.
    pub site: SiteName,
    /// What it lacks, sorted.
    pub columns: Vec<String>,
}

impl Plan {
    /// Resolves the plan's features to sorted column names, the same at every site.
    ///
    /// `features = "*"` becomes the numeric columns that the sites show, without the target, and the
    /// columns with declared categories.
    ///
    /// # Errors
    ///
    /// The sites differ (each one's lacking columns are listed), the target or a feature has a type
    /// that the plan cannot take, or the declared scale does not cover the features.
    pub fn resolve(&self, sites: &[Site]) -> Result<Vec<String>, ResolveError> {
        if sites.is_empty() {
            return Err(ResolveError::NoSite);
        }
        for site in sites {
            self.check_target(site)?;
        }
        let by_site: Vec<BTreeSet<&str>> =
            sites.iter().map(|site| self.features_at(site)).collect();
        let wanted: BTreeSet<&str> = match self.data.features() {
            Features::All => {
                let declared = self.data.categories().keys().map(String::as_str);
                by_site.iter().flatten().copied().chain(declared).collect()
            }
            Features::Named(names) => names.iter().map(String::as_str).collect(),
        };
        let lacking = sites.iter().zip(&by_site).filter_map(|(site, has)| {
            let columns: Vec<String> =
                wanted.difference(has).map(|name| (*name).to_owned()).collect();
            (!columns.is_empty()).then(|| Lacking { site: site.named(), columns })
        });
        let lacking: Vec<Lacking> = lacking.collect();
        if !lacking.is_empty() {
            return Err(ResolveError::Different(lacking));
        }
        for site in sites {
            self.check_types(site, &wanted)?;
        }
        self.check_scale(&wanted)?;
        Ok(wanted.into_iter().map(str::to_owned).collect())
    }

    fn check_target(&self, site: &Site) -> Result<(), ResolveError> {
        let target = self.data.target();
        let Some(found) = site.column_type(target) else {
            return Err(ResolveError::NoTarget { site: site.named(), target: target.to_owned() });
        };
        if self.data.task() == Task::Regression && !found.is_numeric() {
            return Err(type_error(site, target, found, "numbers"));
        }
        Ok(())
    }

    /// The columns at a site that can be features of this plan.
    fn features_at<'s>(&self, site: &'s Site) -> BTreeSet<&'s str> {
        let columns = site.dataset.columns.iter().filter(|column| {
            if column.name == self.data.target() {
                return false;
            }
            match self.data.features() {
                Features::All => {
                    column.column_type.is_numeric()
                        || self.data.categories().contains_key(&column.name)
                }
                Features::Named(names) => names.contains(&column.name),
            }
        });
        columns.map(|column| column.name.as_str()).collect()
    }

    fn check_types(&self, site: &Site, wanted: &BTreeSet<&str>) -> Result<(), ResolveError> {
        for name in wanted {
            let found = site.column_type(name).expect("every site has every wanted column");
            if !found.is_numeric() && !self.data.categories().contains_key(*name) {
                return Err(type_error(site, name, found, "numbers, or its declared categories"));
            }
        }
        Ok(())
    }

    fn check_scale(&self, wanted: &BTreeSet<&str>) -> Result<(), ResolveError> {
        if wanted.is_empty() {
            return Err(ResolveError::NoFeature);
        }
        let Standardize::Declared(scale) = self.data.standardize() else { return Ok(()) };
        let numeric = wanted.iter().filter(|name| !self.data.categories().contains_key(**name));
        let lacking: Vec<String> = numeric
            .filter(|name| scale.column(name).is_none())
            .map(|name| (*name).to_owned())
            .collect();
        if lacking.is_empty() { Ok(()) } else { Err(ResolveError::NoScale(lacking)) }
    }
}

fn type_error(site: &Site, column: &str, found: ColumnType, needed: &'static str) -> ResolveError {
    let column = column.to_owned();
    ResolveError::Type { site: site.named(), column, found: found.as_str(), needed }
}

fn describe(lacking: &[Lacking]) -> String {
    let sites = lacking.iter().map(|lack| format!("{} lacks {}", lack.site, quoted(&lack.columns)));
    sites.collect::<Vec<_>>().join("; ")
}

fn quoted(names: &[String]) -> String {
    let shown: Vec<String> =
        names.iter().take(MOST_SHOWN).map(|name| format!("{name:?}")).collect();
    let list = shown.join(", ");
    if names.len() > MOST_SHOWN {
        format!("{list} and {} more", names.len() - MOST_SHOWN)
    } else {
        list
    }
}

/// The most names that a message lists.
const MOST_SHOWN: usize = 10;
