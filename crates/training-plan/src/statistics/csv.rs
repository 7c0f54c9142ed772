//! A table as comma-separated text, for other programs.

use super::{ColumnStatistics, GroupStatistics, Table};

impl Table {
    /// One line for each group and column; a cell that is withheld, or was not asked for, is empty.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let columns = || self.groups.iter().flat_map(|group| &group.columns);
        let quantiles = columns().map(|column| &column.quantiles).max_by_key(|list| list.len());
        let quantiles: Vec<f64> =
            quantiles.into_iter().flatten().map(|quantile| quantile.quantile).collect();
        let mut text = String::from(HEADER);
        for quantile in &quantiles {
            text.push_str(&format!(",q{quantile},q{quantile}_resolution"));
        }
        text.push('\n');
        for group in &self.groups {
            for column in &group.columns {
                text.push_str(&line(group, column, quantiles.len()));
                text.push('\n');
            }
        }
        text
    }

    /// One line for each range of each histogram; empty where there is none.
    #[must_use]
    pub fn histograms_to_csv(&self) -> String {
        let mut lines = Vec::new();
        for group in &self.groups {
            for column in &group.columns {
                for bin in column.histogram.iter().flat_map(|histogram| &histogram.bins) {
                    let cells = [
                        quoted(group.group.as_deref().unwrap_or_default()),
                        quoted(&column.column),
                        maybe(bin.from),
                        maybe(bin.to),
                        bin.count.to_string(),
                    ];
                    lines.push(cells.join(",") + "\n");
                }
            }
        }
        if lines.is_empty() {
            String::new()
        } else {
            format!("group,column,from,to,count\n{}", lines.concat())
        }
    }
}

fn line(group: &GroupStatistics, column: &ColumnStatistics, quantiles: usize) -> String {
    let mut cells = vec![
        quoted(group.group.as_deref().unwrap_or_default()),
        quoted(&column.column),
        column.sites.to_string(),
        maybe(column.count),
        maybe(column.missing),
        column.missing_sites.to_string(),
        maybe(column.mean),
        maybe(column.variance),
        maybe(column.standard_deviation),
        maybe(column.minimum),
        maybe(column.maximum),
    ];
    for place in 0..quantiles {
        let quantile = column.quantiles.get(place);
        cells.push(maybe(quantile.and_then(|quantile| quantile.value)));
        cells.push(maybe(quantile.and_then(|quantile| quantile.resolution)));
    }
    cells.join(",")
}

fn maybe(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

/// A text in quotes where it needs them; one that a spreadsheet would take for a formula is told from one by an
/// apostrophe.
fn quoted(text: &str) -> String {
    let text = match text.chars().next() {
        Some('=' | '+' | '-' | '@') => format!("'{text}"),
        _ => text.to_owned(),
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

const HEADER: &str = "group,column,sites,count,missing,missing_sites,mean,variance,standard_deviation,minimum,maximum";
