//! What sites say of their data: tables and histograms.

use std::fmt::Write as _;

use training_plan::statistics::{
    Bin, ColumnStatistics, GroupStatistics, Histogram, Measure, Table,
};

use super::markup::escape;
use super::number::{count, value};

/// The section of a report that shows statistics.
pub(super) fn section(table: &Table) -> String {
    let mut text = format!(
        "<section>\n<h2>Statistics</h2>\n<p class=\"note\">{} sites have answered. A dash stands where sites \
         withhold what would tell of too few patients.</p>\n<div class=\"scroll\">\n{}</div>\n</section>\n",
        table.sites,
        numbers(table)
    );
    for group in &table.groups {
        for column in &group.columns {
            if let Some(histogram) = &column.histogram {
                text.push_str(&figure(group, column, histogram));
            }
        }
    }
    text
}

fn numbers(table: &Table) -> String {
    let measures: Vec<Measure> =
        Measure::ALL.into_iter().filter(|one| table.measures.contains(&one.as_str())).collect();
    let mut heads = String::new();
    for name in table.group_by.iter().map(String::as_str).chain(["column"]) {
        let _ = write!(heads, "<th scope=\"col\" class=\"text\">{}</th>", escape(name));
    }
    for measure in &measures {
        let _ = write!(heads, "<th scope=\"col\">{}</th>", measure.as_str().replace('_', " "));
    }
    heads.push_str("<th scope=\"col\">sites</th>");
    let rows = table.groups.iter().flat_map(|group| {
        group.columns.iter().map(|column| row(group, column, &measures)).collect::<Vec<_>>()
    });
    let rows: String = rows.collect();
    format!(
        "<table class=\"numbers\">\n<caption>All sites together</caption>\n<thead><tr>{heads}</tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n"
    )
}

fn row(group: &GroupStatistics, column: &ColumnStatistics, measures: &[Measure]) -> String {
    let mut row = String::from("<tr>");
    if let Some(group) = &group.group {
        let _ = write!(row, "<td class=\"text\">{}</td>", escape(group));
    }
    let _ = write!(row, "<th scope=\"row\" class=\"text\">{}</th>", escape(&column.column));
    for measure in measures {
        let text = match measure {
            Measure::Count => column.count.map(count),
            Measure::Missing => column.missing.map(count),
            Measure::Mean => column.mean.map(value),
            Measure::Variance => column.variance.map(value),
            Measure::Deviation => column.standard_deviation.map(value),
            Measure::Minimum => column.minimum.map(value),
            Measure::Maximum => column.maximum.map(value),
        };
        let _ = write!(row, "<td>{}</td>", text.unwrap_or_else(|| "–".to_owned()));
    }
    let _ = writeln!(row, "<td>{}</td></tr>", column.sites);
    row
}

fn figure(group: &GroupStatistics, column: &ColumnStatistics, histogram: &Histogram) -> String {
    let name = match &group.group {
        Some(group) => format!("{} · {}", column.column, group),
        None => column.column.clone(),
    };
    let rows: String = histogram
        .bins
        .iter()
        .map(|bin| {
            let range = escape(&range(bin));
            format!("<tr><th scope=\"row\">{range}</th><td>{}</td></tr>\n", count(bin.count))
        })
        .collect();
    format!(
        "<section>\n<h2>{name}</h2>\n<div class=\"pair\">\n<figure>\n{}</figure>\n<div class=\"scroll\">\n\
         <table class=\"numbers\">\n<caption>Values by range</caption>\n\
         <thead><tr><th scope=\"col\">range</th><th scope=\"col\">values</th></tr></thead>\n\
         <tbody>\n{rows}</tbody>\n</table>\n</div>\n</div>\n</section>\n",
        bars(histogram, &name),
        name = escape(&name),
    )
}

fn range(bin: &Bin) -> String {
    match (bin.from, bin.to) {
        (Some(from), Some(to)) => format!("{from} to {to}"),
        (None, Some(to)) => format!("below {to}"),
        (Some(from), None) => format!("from {from}"),
        (None, None) => "all".to_owned(),
    }
}

/// A drawing whose areas are the counts: a wide range is not a high one.
#[expect(clippy::cast_precision_loss, reason = "a drawing is no more exact than its points")]
fn bars(histogram: &Histogram, name: &str) -> String {
    let closed: Vec<(f64, f64, f64)> = histogram
        .bins
        .iter()
        .filter_map(|bin| Some((bin.from?, bin.to?, bin.count as f64)))
        .map(|(from, to, count)| (from, to, count / (to - from)))
        .collect();
    let (Some(first), Some(last)) = (closed.first(), closed.last()) else {
        return "<figcaption>No range between the edges is told.</figcaption>\n".to_owned();
    };
    let (low, high) = (first.0, last.1);
    let highest = closed.iter().map(|bar| bar.2).fold(f64::MIN_POSITIVE, f64::max);
    let across = |edge: f64| LEFT + (edge - low) / (high - low) * ACROSS;
    let mut drawing = format!(
        "<svg viewBox=\"0 0 640 260\" role=\"img\" aria-label=\"Histogram of {}\">\n",
        escape(name)
    );
    for (from, to, density) in closed {
        let (left, right) = (across(from), across(to));
        let height = density / highest * UP;
        let _ = writeln!(
            drawing,
            "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"#4a6fa5\" \
             stroke=\"#fff\"/>",
            BOTTOM - height,
            right - left,
        );
    }
    let _ = writeln!(
        drawing,
        "<line x1=\"{LEFT}\" y1=\"{BOTTOM}\" x2=\"{}\" y2=\"{BOTTOM}\" stroke=\"#333\"/>\n\
         <text x=\"{LEFT}\" y=\"{}\" font-size=\"13\">{low}</text>\n\
         <text x=\"{}\" y=\"{}\" font-size=\"13\" text-anchor=\"end\">{high}</text>\n</svg>",
        LEFT + ACROSS,
        BOTTOM + 18.0,
        LEFT + ACROSS,
        BOTTOM + 18.0,
    );
    drawing
}

const LEFT: f64 = 20.0;
const ACROSS: f64 = 600.0;
const BOTTOM: f64 = 225.0;
const UP: f64 = 205.0;
