//! An experiment's history as files.

use protocol::{History, HistoryRound, HistorySite};

/// Writes a history as CSV: one line for each value, in the history's order.
///
/// The columns are `round,node,dataset,measure,value,made_by,rows`. A value of the federation has
/// no node and no dataset. `measure` is a metric's name, `loss`, or `update:` and a metric's name
/// for a site's own update before aggregation. `rows` counts the rows that were measured, where
/// that is known.
///
/// # Examples
///
/// ```
/// use protocol::{FederationMetric, History, HistoryRound, MadeBy};
/// use researcher::history::to_csv;
///
/// let metric =
///     FederationMetric { name: "ACCURACY".to_owned(), value: 0.97, made_by: MadeBy::Pooled };
/// let history = History {
///     experiment_id: "0197f3a0-0000-7000-8000-000000000001".parse().unwrap(),
///     name: "demo".to_owned(),
///     state: "completed".to_owned(),
///     seed: 42,
///     rounds_planned: 1,
///     rounds: vec![HistoryRound { round: 1, metrics: vec![metric], ..HistoryRound::default() }],
/// };
/// assert_eq!(
///     to_csv(&history),
///     "round,node,dataset,measure,value,made_by,rows\n1,,,ACCURACY,0.97,pooled,\n"
/// );
/// ```
#[must_use]
pub fn to_csv(history: &History) -> String {
    let mut csv = String::from("round,node,dataset,measure,value,made_by,rows\n");
    for round in &history.rounds {
        append_federation(&mut csv, round);
        for site in &round.sites {
            append_site(&mut csv, round.round, site);
        }
    }
    csv
}

/// Writes a history as JSON for people, indented.
#[must_use]
pub fn to_json(history: &History) -> String {
    let mut json = serde_json::to_string_pretty(history).expect("a history is always JSON");
    json.push('\n');
    json
}

fn append_federation(csv: &mut String, round: &HistoryRound) {
    let number = round.round;
    for metric in &round.metrics {
        let made_by = metric.made_by.as_str();
        let name = cell(&metric.name);
        csv.push_str(&format!("{number},,,{name},{},{made_by},\n", metric.value));
    }
    if let Some(loss) = round.loss {
        csv.push_str(&format!("{number},,,loss,{loss},mean of sites,\n"));
    }
}

fn append_site(csv: &mut String, round: u32, site: &HistorySite) {
    let mut append = |measure: &str, value: f64, rows: u64| {
        let HistorySite { node, dataset, .. } = site;
        csv.push_str(&format!("{round},{node},{dataset},{},{value},,{rows}\n", cell(measure)));
    };
    for (prefix, report) in [("", &site.metrics), ("update:", &site.update_metrics)] {
        let Some(report) = report else { continue };
        for (name, value) in &report.metrics {
            append(&format!("{prefix}{name}"), *value, report.validation_count);
        }
    }
    if let Some(loss) = site.loss {
        append("loss", loss, site.sample_count);
    }
}

/// Quotes a text where CSV asks for it (RFC 4180).
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
