//! Fitting a query to the datasets of an experiment.

use std::collections::BTreeSet;

use super::{Columns, Query};
use crate::plan::{Lacking, ResolveError, Site, SiteName};

impl Query {
    /// Resolves the described columns to sorted names, the same at every site.
    ///
    /// # Errors
    ///
    /// The sites differ (each one's lacking columns are listed), or a column is not numeric.
    pub fn resolve(&self, sites: &[Site]) -> Result<Vec<String>, ResolveError> {
        if sites.is_empty() {
            return Err(ResolveError::NoSite);
        }
        let numeric: BTreeSet<&str> = sites.iter().flat_map(numeric_columns).collect();
        let wanted: BTreeSet<&str> = match &self.columns {
            Columns::All => numeric.into_iter().filter(|name| !self.groups_by(name)).collect(),
            Columns::Named(names) => names.iter().map(String::as_str).collect(),
        };
        let wanted: BTreeSet<&str> =
            wanted.into_iter().chain(self.histograms.keys().map(String::as_str)).collect();
        let grouping = self.group_by.iter().map(|grouping| grouping.column.as_str());
        let needed: BTreeSet<&str> = wanted.iter().copied().chain(grouping).collect();
        let lacking: Vec<Lacking> =
            sites.iter().filter_map(|site| lacking(site, &needed)).collect();
        if !lacking.is_empty() {
            return Err(ResolveError::Different(lacking));
        }
        for site in sites {
            check_types(site, &wanted)?;
        }
        if wanted.is_empty() {
            return Err(ResolveError::NoFeature);
        }
        Ok(wanted.into_iter().map(str::to_owned).collect())
    }

    fn groups_by(&self, column: &str) -> bool {
        self.group_by.as_ref().is_some_and(|grouping| grouping.column == column)
    }
}

fn numeric_columns(site: &Site) -> impl Iterator<Item = &str> {
    let columns = site.dataset.columns.iter();
    columns.filter(|column| column.column_type.is_numeric()).map(|column| column.name.as_str())
}

fn lacking(site: &Site, needed: &BTreeSet<&str>) -> Option<Lacking> {
    let has: BTreeSet<&str> =
        site.dataset.columns.iter().map(|column| column.name.as_str()).collect();
    let columns: Vec<String> = needed.difference(&has).map(|name| (*name).to_owned()).collect();
    (!columns.is_empty()).then(|| Lacking { site: named(site), columns })
}

fn check_types(site: &Site, wanted: &BTreeSet<&str>) -> Result<(), ResolveError> {
    let mut columns = site.dataset.columns.iter();
    let wrong = columns
        .find(|column| wanted.contains(column.name.as_str()) && !column.column_type.is_numeric());
    match wrong {
        None => Ok(()),
        Some(column) => Err(ResolveError::Type {
            site: named(site),
            column: column.name.clone(),
            found: column.column_type.as_str(),
            needed: "numbers",
        }),
    }
}

fn named(site: &Site) -> SiteName {
    SiteName { node: site.node.clone(), dataset: site.dataset.name.clone() }
}
