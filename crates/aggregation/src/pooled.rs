//! Metrics over the validation rows of all sites together.

use std::collections::BTreeSet;

use protocol::{
    DatasetName, MetricSums, MetricsReport, NodeId,
    history::{FederationMetric, MadeBy},
    metric_sums::LossSum,
};

use crate::{confusion::Confusion, residuals};

/// Holds what one site's validation reported.
#[derive(Clone, Copy, Debug)]
pub struct SiteMetrics<'a> {
    /// The node.
    pub node: &'a NodeId,
    /// The dataset that was validated on.
    pub dataset: &'a DatasetName,
    /// What it measured.
    pub report: &'a MetricsReport,
}

/// Gives each metric that any site reports its value over all sites that report it.
///
/// Where those sites sent sums that hold the metric, the value is exactly that of all their
/// validation rows together and is marked [`MadeBy::Pooled`]. Where one of them did not, where the
/// sums contradict each other, or where no sums can tell (`ROC_AUC`, metrics of a plan's own), it is
/// the mean of the sites' values, weighted by their validation counts and marked
/// [`MadeBy::MeanOfSites`]. A metric without a finite value or any row behind it is left out.
///
/// Sites are taken in bytewise order of (node name, dataset name) and metrics in the order in which
/// the first of those sites names them: the order in which reports came in changes no bit. The
/// reports themselves stay as they are; a site's own values are its own.
#[must_use]
pub fn pool(sites: &[SiteMetrics<'_>]) -> Vec<FederationMetric> {
    let mut ordered: Vec<Site<'_>> = sites.iter().map(Site::new).collect();
    ordered.sort_by_key(|site| (site.metrics.node.as_str(), site.metrics.dataset.as_str()));
    let mut seen = BTreeSet::new();
    let names = ordered.iter().flat_map(|site| &site.metrics.report.metrics).map(|(name, _)| name);
    let names: Vec<&String> = names.filter(|name| seen.insert(name.as_str())).collect();
    names.into_iter().filter_map(|name| federation_metric(name, &ordered)).collect()
}

struct Site<'a> {
    metrics: SiteMetrics<'a>,
    sums: Option<MetricSums>,
}

impl<'a> Site<'a> {
    /// Reads the sums; what is not of their form, as from a plan's own metrics, counts as none.
    fn new(metrics: &SiteMetrics<'a>) -> Self {
        let sums = metrics.report.sums.clone();
        Self { metrics: *metrics, sums: sums.and_then(|sums| serde_json::from_value(sums).ok()) }
    }

    fn value(&self, name: &str) -> Option<f64> {
        let mut values = self.metrics.report.metrics.iter();
        values.find(|(reported, _)| reported == name).map(|(_, value)| *value)
    }
}

fn federation_metric(name: &str, sites: &[Site<'_>]) -> Option<FederationMetric> {
    let reporting: Vec<&Site<'_>> =
        sites.iter().filter(|site| site.value(name).is_some()).collect();
    let pooled = pooled_value(name, &reporting).filter(|value| value.is_finite());
    let (value, made_by) = match pooled {
        Some(value) => (value, MadeBy::Pooled),
        None => (mean_of_sites(name, &reporting)?, MadeBy::MeanOfSites),
    };
    value.is_finite().then(|| FederationMetric { name: name.to_owned(), value, made_by })
}

fn pooled_value(name: &str, sites: &[&Site<'_>]) -> Option<f64> {
    let sums: Vec<&MetricSums> =
        sites.iter().map(|site| site.sums.as_ref()).collect::<Option<_>>()?;
    match name {
        "ACCURACY" => confusion(&sums)?.accuracy(),
        "BALANCED_ACCURACY" => confusion(&sums)?.balanced_accuracy(),
        "PRECISION" => confusion(&sums)?.precision(),
        "RECALL" => confusion(&sums)?.recall(),
        "F1_SCORE" => confusion(&sums)?.f1_score(),
        "DICE" => confusion(&sums)?.dice(),
        "LOG_LOSS" => log_loss(&sums),
        "MEAN_SQUARE_ERROR" => residuals::mean_square_error(&sums),
        "MEAN_ABSOLUTE_ERROR" => residuals::mean_absolute_error(&sums),
        "R2_SCORE" => residuals::r2_score(&sums),
        "EXPLAINED_VARIANCE" => residuals::explained_variance(&sums),
        _not_summed => None,
    }
}

fn confusion(sums: &[&MetricSums]) -> Option<Confusion> {
    let counts: Vec<_> = sums.iter().map(|sums| sums.confusion.as_ref()).collect::<Option<_>>()?;
    Confusion::merged(&counts)
}

fn log_loss(sums: &[&MetricSums]) -> Option<f64> {
    let losses: Vec<LossSum> = sums.iter().map(|sums| sums.log_loss).collect::<Option<_>>()?;
    let rows = losses.iter().try_fold(0_u64, |rows, loss| rows.checked_add(loss.rows))?;
    let total: f64 = losses.iter().map(|loss| loss.total).sum();
    (rows > 0).then(|| total / count(rows))
}

fn mean_of_sites(name: &str, sites: &[&Site<'_>]) -> Option<f64> {
    let (mut sum, mut rows) = (0.0, 0.0);
    for site in sites {
        let weight = count(site.metrics.report.validation_count);
        sum += weight * site.value(name)?;
        rows += weight;
    }
    (rows > 0.0).then(|| sum / rows)
}

#[expect(clippy::cast_precision_loss, reason = "no validation has 2^53 rows")]
pub(crate) fn count(rows: u64) -> f64 {
    rows as f64
}
