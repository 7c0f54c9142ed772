//! A query's one spelling.

use std::fmt::Write as _;

use toml::Value;

use super::{Columns, Query};
use crate::document::quoted;

/// Writes a query: keys in their order, columns and measures sorted, edges listed.
pub(super) fn write(query: &Query) -> String {
    let mut text = String::new();
    let mut line = |key: &str, value: String| {
        writeln!(text, "{key} = {value}").expect("a text takes every line");
    };
    match &query.columns {
        Columns::All => line("columns", quoted("*")),
        Columns::Named(names) => line("columns", list(names.iter().map(|name| quoted(name)))),
    }
    if let Some(grouping) = &query.group_by {
        let values = list(grouping.values.iter().map(|value| quoted(value)));
        let column = quoted(&grouping.column);
        line("group_by", format!("{{ column = {column}, values = {values} }}"));
    }
    line("measures", list(query.measures.iter().map(|measure| quoted(measure.as_str()))));
    if !query.quantiles.is_empty() {
        line("quantiles", list(query.quantiles.iter().map(|quantile| number(*quantile))));
    }
    if !query.histograms.is_empty() {
        text.push_str("\n[histograms]\n");
        for (column, edges) in &query.histograms {
            let edges = list(edges.as_slice().iter().map(|edge| number(*edge)));
            writeln!(text, "{} = {{ edges = {edges} }}", quoted(column))
                .expect("a text takes every line");
        }
    }
    text
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

fn number(value: f64) -> String {
    Value::Float(value).to_string()
}
