//! What `plan check` warns of: a plan that is allowed but will probably not do what is meant.

use super::Plan;
use super::data::{Missing, Standardize};
use super::resolve::{Site, SiteName};

/// How large a column's values are, as somebody who may look at them has found.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnMagnitude {
    /// The column.
    pub column: String,
    /// The largest absolute value.
    pub largest: f64,
}

/// Something that is allowed but probably not meant.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Finding {
    /// The features differ widely in size and nothing brings them to one scale.
    #[error(
        "features span {decades:.1} decades, from {smallest:?} to {largest:?}, and the plan does not \
         scale them"
    )]
    Unscaled {
        /// The decimal logarithm of the ratio of the sizes.
        decades: f64,
        /// The smallest column.
        smallest: String,
        /// The largest column.
        largest: String,
    },
    /// Nothing brings the features to one scale, and nobody has looked at their sizes.
    #[error("the plan does not scale its features, and no data was given to judge their sizes by")]
    UnscaledUnknown,
    /// A site's column has missing values, and the plan says that this ends the round.
    #[error(
        "column {column:?} of dataset {site} has {count} missing values, and missing = \"error\""
    )]
    MissingValues {
        /// The dataset.
        site: SiteName,
        /// The column.
        column: String,
        /// How many cells are missing.
        count: u64,
    },
}

impl Plan {
    /// Looks for what is allowed but probably not meant.
    ///
    /// `magnitudes` are those of a dataset that the caller may look at; empty when there is none.
    /// `sites` are the selected datasets as far as they are known, `columns` their resolved features.
    #[must_use]
    pub fn findings(
        &self,
        magnitudes: &[ColumnMagnitude],
        sites: &[Site],
        columns: &[String],
    ) -> Vec<Finding> {
        let scale = self.scale_finding(magnitudes);
        scale.into_iter().chain(self.missing_findings(sites, columns)).collect()
    }

    fn scale_finding(&self, magnitudes: &[ColumnMagnitude]) -> Option<Finding> {
        match self.data.standardize() {
            Standardize::Declared(_) | Standardize::Federated | Standardize::Local => return None,
            Standardize::None => {}
        }
        let features = magnitudes.iter().filter(|magnitude| {
            magnitude.largest > 0.0
                && magnitude.largest.is_finite()
                && magnitude.column != self.data.target()
                && self.is_scalable(&magnitude.column)
        });
        let features: Vec<&ColumnMagnitude> = features.collect();
        let by_size = |one: &&&ColumnMagnitude, other: &&&ColumnMagnitude| {
            one.largest.total_cmp(&other.largest)
        };
        let (Some(smallest), Some(largest)) =
            (features.iter().min_by(by_size), features.iter().max_by(by_size))
        else {
            return Some(Finding::UnscaledUnknown);
        };
        let decades = (largest.largest / smallest.largest).log10();
        (decades > WIDEST_SPAN).then(|| Finding::Unscaled {
            decades,
            smallest: smallest.column.clone(),
            largest: largest.column.clone(),
        })
    }

    /// Whether a column is a numeric feature of this plan.
    fn is_scalable(&self, column: &str) -> bool {
        let named = match self.data.features() {
            super::Features::All => true,
            super::Features::Named(names) => names.iter().any(|name| name == column),
        };
        named && !self.data.categories().contains_key(column)
    }

    fn missing_findings(&self, sites: &[Site], columns: &[String]) -> Vec<Finding> {
        match self.data.missing() {
            Missing::Drop | Missing::Mean => return Vec::new(),
            Missing::Error => {}
        }
        let mut findings = Vec::new();
        for site in sites {
            for column in &site.dataset.columns {
                let used = columns.contains(&column.name) || column.name == self.data.target();
                // A site that hides its count is told at its round.
                let missing = column.missing.unwrap_or(0);
                if used && missing > 0 {
                    findings.push(Finding::MissingValues {
                        site: SiteName {
                            node: site.node.clone(),
                            dataset: site.dataset.name.clone(),
                        },
                        column: column.name.clone(),
                        count: missing,
                    });
                }
            }
        }
        findings
    }
}

/// Features that span more decades than this do not train unscaled.
const WIDEST_SPAN: f64 = 3.0;
