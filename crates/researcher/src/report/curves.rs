//! The curves of a history: for each measure, the federation's and every site's values by round.

use protocol::{History, HistoryRound, HistorySite, MadeBy};

use super::markup::shorten;

/// One figure: a measure over the rounds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Figure {
    /// The measure's name.
    pub(super) name: String,
    /// How the federation's value is made.
    pub(super) made_by: &'static str,
    /// The federation's curve first, then the sites'.
    pub(super) curves: Vec<Curve>,
}

/// A line of a figure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Curve {
    pub(super) name: String,
    /// Round and value, ascending.
    pub(super) points: Vec<(u32, f64)>,
}

impl Curve {
    pub(super) fn at(&self, round: u32) -> Option<f64> {
        let found = self.points.iter().find(|(known, _)| *known == round);
        found.map(|(_, value)| *value)
    }
}

impl Figure {
    /// The rounds in which any curve has a value.
    pub(super) fn rounds(&self) -> Vec<u32> {
        let mut rounds: Vec<u32> =
            self.curves.iter().flat_map(|curve| &curve.points).map(|(round, _)| *round).collect();
        rounds.sort_unstable();
        rounds.dedup();
        rounds
    }
}

/// Every figure of a history that has a point: the metrics in the plan's order, then the loss.
pub(super) fn figures(history: &History) -> Vec<Figure> {
    let mut figures: Vec<Figure> =
        metric_names(history).iter().map(|name| metric_figure(history, name)).collect();
    figures.push(Figure {
        name: "Training loss".to_owned(),
        made_by: "mean of the sites, weighted by their training rows",
        curves: curves(history, |round| round.loss, |site| site.loss),
    });
    figures.retain(|figure| figure.curves.iter().any(|curve| !curve.points.is_empty()));
    figures
}

/// The name under which a site is shown; the dataset's name only where a node has several.
pub(super) fn site_name(history: &History, site: &HistorySite) -> String {
    let has_several = history
        .rounds
        .iter()
        .flat_map(|round| &round.sites)
        .any(|other| other.node == site.node && other.dataset != site.dataset);
    if has_several {
        shorten(&format!("{}/{}", site.node, site.dataset), 40)
    } else {
        site.node.to_string()
    }
}

/// Every site that ever took part, by node and dataset.
pub(super) fn sites(history: &History) -> Vec<&HistorySite> {
    let mut sites: Vec<&HistorySite> =
        history.rounds.iter().flat_map(|round| &round.sites).collect();
    sites.sort_by(|left, right| (&left.node, &left.dataset).cmp(&(&right.node, &right.dataset)));
    sites.dedup_by(|left, right| left.node == right.node && left.dataset == right.dataset);
    sites
}

fn metric_names(history: &History) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let of_sites = |round: &HistoryRound| -> Vec<String> {
        let reports = round.sites.iter().filter_map(|site| site.metrics.as_ref());
        reports.flat_map(|report| &report.metrics).map(|(name, _)| name.clone()).collect()
    };
    for round in &history.rounds {
        let found = round.metrics.iter().map(|metric| metric.name.clone()).chain(of_sites(round));
        for name in found {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names
}

fn metric_figure(history: &History, name: &str) -> Figure {
    let of_round = |round: &HistoryRound| {
        round.metrics.iter().find(|metric| metric.name == name).map(|metric| metric.value)
    };
    let made_by = history
        .rounds
        .iter()
        .flat_map(|round| &round.metrics)
        .find(|metric| metric.name == name)
        .map_or("", |metric| match metric.made_by {
            MadeBy::Pooled => "of all validation rows together",
            MadeBy::MeanOfSites => "mean of sites, weighted by their validation rows",
        });
    let of_site = |site: &HistorySite| {
        let report = site.metrics.as_ref()?;
        report.metrics.iter().find(|(known, _)| known == name).map(|(_, value)| *value)
    };
    Figure { name: name.to_owned(), made_by, curves: curves(history, of_round, of_site) }
}

fn curves(
    history: &History,
    of_round: impl Fn(&HistoryRound) -> Option<f64>,
    of_site: impl Fn(&HistorySite) -> Option<f64>,
) -> Vec<Curve> {
    let points = |value: &dyn Fn(&HistoryRound) -> Option<f64>| -> Vec<(u32, f64)> {
        let found = history.rounds.iter().map(|round| (round.round, value(round)));
        found.filter_map(|(round, value)| Some((round, value?))).collect()
    };
    let mut curves =
        vec![Curve { name: FEDERATION.to_owned(), points: points(&|round| of_round(round)) }];
    for site in sites(history) {
        let value = |round: &HistoryRound| {
            let same =
                |other: &&HistorySite| other.node == site.node && other.dataset == site.dataset;
            round.sites.iter().find(same).and_then(&of_site)
        };
        curves.push(Curve { name: site_name(history, site), points: points(&value) });
    }
    curves
}

const FEDERATION: &str = "federation";
