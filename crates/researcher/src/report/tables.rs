//! The report's tables.

use protocol::{History, HistorySite};

use super::curves::{Curve, Figure, site_name, sites};
use super::markup::escape;
use super::number::{count, maybe};
use super::{Comparison, Emphasis};

/// The numbers of a figure: a row for each round, a column for each curve.
///
/// More sites than fit a page become several tables, the federation in each.
pub(super) fn figure(figure: &Figure) -> String {
    let Some((federation, sites)) = figure.curves.split_first() else { return String::new() };
    let rounds = figure.rounds();
    let parts: Vec<&[Curve]> =
        if sites.is_empty() { vec![sites] } else { sites.chunks(MOST_COLUMNS).collect() };
    parts
        .into_iter()
        .map(|part| {
            let curves: Vec<&Curve> = std::iter::once(federation).chain(part).collect();
            figure_part(&figure.name, &curves, &rounds)
        })
        .collect()
}

fn figure_part(name: &str, curves: &[&Curve], rounds: &[u32]) -> String {
    let heads: String = curves
        .iter()
        .map(|curve| format!("<th scope=\"col\">{}</th>", escape(&curve.name)))
        .collect();
    let rows: String = rounds.iter().map(|round| figure_row(curves, *round)).collect();
    format!(
        "<table class=\"numbers\">\n<caption>{} by round</caption>\n\
         <thead><tr><th scope=\"col\">round</th>{heads}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n",
        escape(name)
    )
}

fn figure_row(curves: &[&Curve], round: u32) -> String {
    let cells: String =
        curves.iter().map(|curve| format!("<td>{}</td>", maybe(curve.at(round)))).collect();
    format!("<tr><th scope=\"row\">{round}</th>{cells}</tr>\n")
}

/// Models side by side.
pub(super) fn comparison(comparison: &Comparison) -> String {
    let heads: String = comparison
        .metrics
        .iter()
        .map(|name| format!("<th scope=\"col\">{}</th>", escape(name)))
        .collect();
    let rows: String = comparison
        .models
        .iter()
        .map(|model| {
            let class = match model.emphasis {
                Emphasis::Strong => " class=\"strong\"",
                Emphasis::Plain => "",
            };
            let cells: String =
                model.values.iter().map(|value| format!("<td>{}</td>", maybe(*value))).collect();
            format!(
                "<tr{class}><th scope=\"row\">{}</th><td class=\"text\">{}</td>{cells}</tr>\n",
                escape(&model.name),
                escape(&model.trained_on)
            )
        })
        .collect();
    format!(
        "<table>\n<caption>{}</caption>\n<thead><tr><th scope=\"col\">model</th>\
         <th scope=\"col\" class=\"text\">trained on</th>{heads}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n",
        escape(&comparison.caption)
    )
}

/// Each site's part in the whole experiment.
pub(super) fn participation(history: &History) -> String {
    let rows: String =
        sites(history).into_iter().map(|site| participation_row(history, site)).collect();
    format!(
        "<table>\n<caption>Each site’s part</caption>\n<thead><tr><th scope=\"col\">site</th>\
         <th scope=\"col\" class=\"text\">dataset</th><th scope=\"col\">training rows</th>\
         <th scope=\"col\">validation rows</th><th scope=\"col\">updates used</th>\
         <th scope=\"col\">training, s</th><th scope=\"col\" class=\"text\">failures and warnings</th>\
         </tr></thead>\n<tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn participation_row(history: &History, site: &HistorySite) -> String {
    let parts: Vec<&HistorySite> = history
        .rounds
        .iter()
        .flat_map(|round| &round.sites)
        .filter(|part| part.node == site.node && part.dataset == site.dataset)
        .collect();
    let used = parts.iter().filter(|part| part.used).count();
    let training_rows = parts.iter().rev().map(|part| part.sample_count).find(|rows| *rows > 0);
    let validated = parts.iter().rev().find_map(|part| part.metrics.as_ref());
    let seconds: f64 = parts.iter().map(|part| part.training_seconds).sum();
    let rows = |rows: Option<u64>| rows.map_or_else(|| "–".to_owned(), count);
    format!(
        "<tr><th scope=\"row\">{}</th><td class=\"text\">{}</td><td>{}</td><td>{}</td>\
         <td>{used}</td><td>{seconds:.2}</td><td class=\"text\">{}</td></tr>\n",
        escape(&site_name(history, site)),
        escape(site.dataset.as_str()),
        rows(training_rows),
        rows(validated.map(|report| report.validation_count)),
        remarks(&parts)
    )
}

/// Codes other than success and warnings, each with how often it came.
fn remarks(parts: &[&HistorySite]) -> String {
    let mut counted: Vec<(&'static str, usize)> = Vec::new();
    let codes = parts.iter().filter(|part| !part.code.is_ok()).map(|part| part.code.as_str());
    let warnings = parts.iter().flat_map(|part| &part.warnings).map(|warning| warning.as_str());
    for text in codes.chain(warnings) {
        match counted.iter_mut().find(|(known, _)| *known == text) {
            Some((_, times)) => *times += 1,
            None => counted.push((text, 1)),
        }
    }
    if counted.is_empty() {
        return "none".to_owned();
    }
    let texts: Vec<String> = counted
        .into_iter()
        .map(|(text, times)| format!("<code>{}</code> × {times}", escape(text)))
        .collect();
    texts.join(", ")
}

/// As many columns of sites as a printed page holds.
const MOST_COLUMNS: usize = 12;
