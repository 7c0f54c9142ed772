//! A query's text, read strictly.

use std::collections::BTreeMap;

use super::{Columns, Edges, Grouping, Measure, Query};
use crate::document::{Error, Section, Value};

/// Reads a query out of its table.
pub(crate) fn read(section: Section<'_>) -> Result<Query, Error> {
    let columns = read_columns(section)?;
    let group_by = read_grouping(section, &columns)?;
    let measures = read_measures(section)?;
    let histograms = read_histograms(section, &columns)?;
    let quantiles = read_quantiles(section, &histograms)?;
    Ok(Query { columns, group_by, measures, histograms, quantiles })
}

fn read_columns(section: Section<'_>) -> Result<Columns, Error> {
    let Some(item) = section.item("columns") else { return Err(section.missing("columns")) };
    if matches!(&item.value, Value::Text(text) if text == "*") {
        return Ok(Columns::All);
    }
    if !matches!(item.value, Value::Array(_)) {
        return Err(section.rule("columns", "must be \"*\" or a list of column names"));
    }
    let names = section.distinct_texts("columns")?.unwrap_or_default();
    if !(1..=MOST_COLUMNS).contains(&names.len()) {
        return Err(section.rule("columns", format!("must name 1 to {MOST_COLUMNS} columns")));
    }
    if let Some(name) = names.iter().find(|name| name.chars().count() > LONGEST) {
        let start: String = name.chars().take(32).collect();
        let rule = format!("must hold names of at most {LONGEST} characters, found {start:?}…");
        return Err(section.rule("columns", rule));
    }
    let mut names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    names.sort();
    Ok(Columns::Named(names))
}

fn read_grouping(section: Section<'_>, columns: &Columns) -> Result<Option<Grouping>, Error> {
    let Some(grouping) = section.section("group_by", &["column", "values"])? else {
        return Ok(None);
    };
    let column = grouping.required_name("column", LONGEST)?.to_owned();
    if matches!(columns, Columns::Named(names) if names.contains(&column)) {
        return Err(grouping.rule("column", "must not be one of the described columns"));
    }
    let values =
        grouping.distinct_texts("values")?.ok_or_else(|| grouping.missing("values"))?.into_iter();
    let values: Vec<String> = values.map(str::to_owned).collect();
    if !(1..=MOST_GROUPS).contains(&values.len()) {
        return Err(grouping.rule("values", format!("must name 1 to {MOST_GROUPS} values")));
    }
    Ok(Some(Grouping { column, values }))
}

fn read_measures(section: Section<'_>) -> Result<Vec<Measure>, Error> {
    let Some(words) = section.distinct_texts("measures")? else { return Ok(DEFAULT.to_vec()) };
    let mut measures = Vec::new();
    for word in words {
        let found = Measure::ALL.into_iter().find(|measure| measure.as_str() == word);
        let known = Measure::ALL.map(Measure::as_str);
        measures.push(found.ok_or_else(|| {
            let rule = format!("must list some of {}, found {word:?}", known.join(", "));
            section.rule("measures", rule)
        })?);
    }
    if measures.is_empty() {
        return Err(section.rule("measures", "must list at least one measure"));
    }
    measures.sort_unstable();
    Ok(measures)
}

fn read_histograms(
    section: Section<'_>,
    columns: &Columns,
) -> Result<BTreeMap<String, Edges>, Error> {
    let Some(item) = section.item("histograms") else { return Ok(BTreeMap::new()) };
    let table = Section::open_any(section.file(), item)?;
    let mut histograms = BTreeMap::new();
    for (column, _) in table.entries() {
        if matches!(columns, Columns::Named(names) if !names.contains(column)) {
            return Err(table.rule(column, "must be one of the described columns"));
        }
        let edges = table.required_section(column, &["from", "to", "bins", "edges"])?;
        histograms.insert(column.clone(), read_edges(table, column, edges)?);
    }
    Ok(histograms)
}

fn read_edges(table: Section<'_>, column: &str, edges: Section<'_>) -> Result<Edges, Error> {
    let even = (edges.number("from")?, edges.number("to")?, edges.integer("bins", 1, MOST_BINS)?);
    let made = match (even, edges.numbers("edges")?) {
        ((Some(from), Some(to), Some(bins)), None) => {
            Edges::even(from, to, usize::try_from(bins).unwrap_or(usize::MAX))
        }
        ((None, None, None), Some(listed)) => Edges::listed(listed),
        _ => {
            let rule = "must have \"from\", \"to\" and \"bins\", or \"edges\" alone";
            return Err(table.rule(column, rule));
        }
    };
    made.ok_or_else(|| {
        let rule = format!("must have 2 to {} finite edges that ascend", MOST_BINS + 1);
        table.rule(column, rule)
    })
}

fn read_quantiles(
    section: Section<'_>,
    histograms: &BTreeMap<String, Edges>,
) -> Result<Vec<f64>, Error> {
    let Some(quantiles) = section.numbers("quantiles")? else { return Ok(Vec::new()) };
    let ascend = quantiles.windows(2).all(|pair| pair[0] < pair[1]);
    let within = quantiles.iter().all(|quantile| *quantile > 0.0 && *quantile < 1.0);
    if !ascend || !within || !(1..=MOST_QUANTILES).contains(&quantiles.len()) {
        let rule = format!("must be 1 to {MOST_QUANTILES} numbers above 0 and below 1 that ascend");
        return Err(section.rule("quantiles", rule));
    }
    if histograms.is_empty() {
        let rule = "must be absent without \"histograms\", off which quantiles are read";
        return Err(section.rule("quantiles", rule));
    }
    Ok(quantiles)
}

/// The keys of a query.
pub(crate) const KEYS: &[&str] = &["columns", "group_by", "measures", "histograms", "quantiles"];

/// What is told where nothing is said.
const DEFAULT: [Measure; 5] =
    [Measure::Count, Measure::Missing, Measure::Mean, Measure::Variance, Measure::Deviation];

const LONGEST: usize = 256;
const MOST_COLUMNS: usize = 10_000;
const MOST_GROUPS: usize = 100;
const MOST_QUANTILES: usize = 100;
/// Bins between the first and the last edge.
pub(super) const MOST_BINS: u64 = 1_000;
