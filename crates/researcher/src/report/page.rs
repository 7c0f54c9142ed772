//! The page around figures and tables.

use protocol::History;
use training_plan::statistics::Table;

use super::Report;
use super::curves::{Figure, figures, sites};
use super::markup::escape;
use super::number::{elapsed, value};
use super::{plot, tables};

/// Puts the whole page together.
pub(super) fn render(report: &Report) -> String {
    let figures = figures(&report.history);
    let title = escape(&report.history.name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light\">\n\
         <title>{title} – Wardround report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<p class=\"kind\">Wardround · federated experiment</p>\n<h1>{title}</h1>\n"
    );
    match &report.statistics {
        Some(table) => page.push_str(&told(table)),
        None => page.push_str(&summary(&report.history, &figures)),
    }
    page.push_str(&facts(report));
    page.push_str("</header>\n<main>\n");
    if let Some(comparison) = &report.comparison {
        page.push_str("<section>\n<h2>Federated, alone, pooled</h2>\n");
        page.push_str(&tables::comparison(comparison));
        page.push_str("</section>\n");
    }
    if let Some(table) = &report.statistics {
        page.push_str(&super::statistics::section(table));
    }
    for (index, figure) in figures.iter().enumerate() {
        page.push_str(&section(figure, index));
    }
    page.push_str("<section>\n<h2>Sites</h2>\n");
    page.push_str(&tables::participation(&report.history));
    page.push_str("</section>\n</main>\n");
    page.push_str(FOOTER);
    page
}

/// One sentence that says what came out.
fn summary(history: &History, figures: &[Figure]) -> String {
    let trained = history.rounds.iter().filter(|round| round.round > 0).count();
    let results: Vec<String> = figures
        .iter()
        .filter_map(|figure| {
            let (_, last) = figure.curves.first()?.points.last()?;
            Some(format!("{} {}", escape(&figure.name), value(*last)))
        })
        .collect();
    let results = if results.is_empty() {
        "Nothing has been measured yet".to_owned()
    } else {
        format!("<strong>{}</strong>", results.join(" · "))
    };
    let (rounds, sites) = (counted(trained, "round"), counted(sites(history).len(), "site"));
    format!("<p class=\"summary\">{results} after {rounds} at {sites}.</p>\n")
}

/// The same of an experiment that asks for statistics.
fn told(table: &Table) -> String {
    let columns = table.groups.first().map_or(0, |group| group.columns.len());
    let sites = usize::try_from(table.sites).unwrap_or(usize::MAX);
    let (columns, sites) = (counted(columns, "column"), counted(sites, "site"));
    format!("<p class=\"summary\"><strong>{columns}</strong> described by {sites}.</p>\n")
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn facts(report: &Report) -> String {
    let history = &report.history;
    let mut facts = vec![
        ("state".to_owned(), history.state.clone()),
        ("rounds".to_owned(), rounds(history)),
        ("seed".to_owned(), history.seed.to_string()),
        ("experiment".to_owned(), history.experiment_id.to_string()),
    ];
    let started = history.rounds.iter().find_map(|round| round.started_at);
    let ended = history.rounds.iter().rev().find_map(|round| round.ended_at);
    if let (Some(started), Some(ended)) = (started, ended) {
        facts.push(("duration".to_owned(), elapsed(started, ended)));
    }
    if let Some(model) = history.rounds.iter().rev().find_map(|round| round.model.as_ref()) {
        facts.push(("model".to_owned(), model.digest.to_string()));
    }
    facts.extend(report.facts.iter().cloned());
    let items: String = facts
        .iter()
        .map(|(name, text)| {
            format!("<div><dt>{}</dt><dd>{}</dd></div>\n", escape(name), escape(text))
        })
        .collect();
    format!("<dl class=\"facts\">\n{items}</dl>\n")
}

fn rounds(history: &History) -> String {
    let done = history.rounds.iter().map(|round| round.round).max().unwrap_or(0);
    format!("{done} of {}", history.rounds_planned)
}

fn section(figure: &Figure, index: usize) -> String {
    let made_by = if figure.made_by.is_empty() {
        String::new()
    } else {
        format!("<p class=\"note\">Federation: {}.</p>\n", escape(figure.made_by))
    };
    let class = if figure.curves.len() > MOST_BESIDE { "pair wide" } else { "pair" };
    format!(
        "<section>\n<h2>{}</h2>\n{made_by}<div class=\"{class}\">\n<figure>\n{}</figure>\n\
         <div class=\"scroll\">\n{}</div>\n</div>\n</section>\n",
        escape(&figure.name),
        plot::draw(figure, &format!("figure-{index}")),
        tables::figure(figure)
    )
}

/// More columns than these do not fit beside a drawing.
const MOST_BESIDE: usize = 7;

const STYLE: &str = include_str!("style.css");

const FOOTER: &str = "<footer>\n<p>Each site’s values were measured at the site, on validation rows \
    that its training never saw. A value at round <em>n</em> is that of the model that round \
    <em>n</em> made; round 0 is the model before training. A dash stands where nothing was \
    measured.</p>\n</footer>\n</body>\n</html>\n";
