//! A figure as inline SVG.
//!
//! Lines are told apart by dashes, markers and the name at their end; colour only adds to it. With
//! more sites than have distinct lines, the sites become one band from the lowest to the highest.

use super::axis::Axis;
use super::curves::{Curve, Figure};
use super::label::spread;
use super::markup::{escape, shorten};
use super::number::{tick, value};

/// Draws a figure; `id` is unique on the page.
pub(super) fn draw(figure: &Figure, id: &str) -> String {
    let frame = Frame::around(figure);
    let sites = figure.curves.len().saturating_sub(1);
    let drawn = if sites > STYLES.len() - 1 { &figure.curves[..1] } else { &figure.curves[..] };
    let mut svg = head(figure, id);
    svg.push_str(&grid(&frame));
    let mut labels: Vec<End> = Vec::new();
    if drawn.len() <= sites {
        let band = band(&figure.curves[1..]);
        svg.push_str(&draw_band(&band, &frame));
        labels.extend(band.last().map(|(round, low, high)| {
            End::new(&frame, (*round, (low + high) / 2.0), format!("{sites} sites"), None)
        }));
    }
    // The federation comes last, so that it lies above the sites.
    for (curve, style) in drawn.iter().zip(STYLES).rev() {
        svg.push_str(&line(curve, style, &frame));
        labels.extend(
            curve.points.last().map(|last| {
                End::new(&frame, *last, shorten(&curve.name, LONGEST_LABEL), Some(style))
            }),
        );
    }
    svg.push_str(&draw_labels(&labels));
    svg.push_str("</svg>\n");
    svg
}

/// The drawing's two axes.
struct Frame {
    x: Axis,
    y: Axis,
}

impl Frame {
    fn around(figure: &Figure) -> Self {
        let rounds = figure.rounds();
        let first = rounds.first().copied().unwrap_or(0);
        let last = rounds.last().copied().unwrap_or(0);
        let values = figure.curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
        Self {
            x: Axis::counting(first, last, 10.0, (LEFT, RIGHT)),
            y: Axis::around(values, 6.0, (BOTTOM, TOP)),
        }
    }

    fn place(&self, (round, value): (u32, f64)) -> (f64, f64) {
        (self.x.place(f64::from(round)), self.y.place(value))
    }
}

/// How one line looks.
#[derive(Debug, Clone, Copy)]
struct Style {
    colour: &'static str,
    width: f64,
    dashes: &'static str,
    marker: Marker,
}

#[derive(Debug, Clone, Copy)]
enum Marker {
    Disc,
    Square,
    Triangle,
    Diamond,
    Ring,
    Cross,
    Plus,
}

/// The end of a line and the name that stands there.
struct End {
    x: f64,
    y: f64,
    name: String,
    style: Option<Style>,
}

impl End {
    fn new(frame: &Frame, point: (u32, f64), name: String, style: Option<Style>) -> Self {
        let (x, y) = frame.place(point);
        Self { x, y, name, style }
    }
}

fn head(figure: &Figure, id: &str) -> String {
    let name = escape(&figure.name);
    format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-labelledby=\"{id}-title {id}-description\">\n\
         <title id=\"{id}-title\">{name} by round</title>\n\
         <desc id=\"{id}-description\">{}</desc>\n",
        escape(&describe(figure))
    )
}

/// What somebody who cannot see the drawing is told; the table holds the rest.
fn describe(figure: &Figure) -> String {
    let rounds = figure.rounds();
    let (Some(first), Some(last)) = (rounds.first(), rounds.last()) else {
        return String::new();
    };
    let ends = figure.curves.iter().filter_map(|curve| {
        let (from, to) = (curve.points.first()?, curve.points.last()?);
        Some(format!("{} goes from {} to {}", curve.name, value(from.1), value(to.1)))
    });
    let ends = ends.take(LONGEST_DESCRIPTION).collect::<Vec<_>>().join("; ");
    format!("Lines over rounds {first} to {last}: {ends}.")
}

fn grid(frame: &Frame) -> String {
    let mut svg = String::new();
    for at in &frame.y.ticks {
        let y = frame.y.place(*at);
        svg.push_str(&format!(
            "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{RIGHT}\"/>\
             <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 8.0,
            y + 4.0,
            tick(*at, frame.y.step)
        ));
    }
    for at in &frame.x.ticks {
        let x = frame.x.place(*at);
        svg.push_str(&format!(
            "<path class=\"axis\" d=\"M{x:.1} {BOTTOM}v5\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n",
            BOTTOM + 19.0,
            tick(*at, frame.x.step)
        ));
    }
    svg.push_str(&format!(
        "<path class=\"axis\" d=\"M{LEFT} {BOTTOM}H{RIGHT}\"/>\
         <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">round</text>\n",
        (LEFT + RIGHT) / 2.0,
        HEIGHT - 5.0
    ));
    svg
}

fn line(curve: &Curve, style: Style, frame: &Frame) -> String {
    let places: Vec<(f64, f64)> = curve.points.iter().map(|point| frame.place(*point)).collect();
    let Style { colour, width, dashes, .. } = style;
    let mut svg = format!(
        "<path fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
         stroke-linejoin=\"round\"{} d=\"{}\"/>\n",
        dash_attribute(dashes),
        path(&places)
    );
    let every = places.len().div_ceil(MOST_MARKERS).max(1);
    let last = places.len().saturating_sub(1);
    for (index, place) in places.iter().enumerate() {
        if index % every == 0 || index == last {
            svg.push_str(&marker(style, *place));
        }
    }
    svg
}

fn dash_attribute(dashes: &str) -> String {
    if dashes.is_empty() { String::new() } else { format!(" stroke-dasharray=\"{dashes}\"") }
}

fn path(places: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, (x, y)) in places.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        path.push_str(&format!("{command}{x:.1} {y:.1}"));
    }
    path
}

fn marker(style: Style, (x, y): (f64, f64)) -> String {
    let Style { colour, marker, .. } = style;
    let filled = format!("fill=\"{colour}\"");
    let hollow = format!("fill=\"#fff\" stroke=\"{colour}\" stroke-width=\"1.6\"");
    let stroke = format!("fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.8\"");
    let at = format!("M{x:.1} {y:.1}");
    match marker {
        Marker::Disc => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\" {filled}/>\n"),
        Marker::Ring => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.4\" {hollow}/>\n"),
        Marker::Square => format!("<path d=\"{at}m-3.3-3.3h6.6v6.6h-6.6z\" {hollow}/>\n"),
        Marker::Triangle => format!("<path d=\"{at}m0-4.4l4.2 7.4h-8.4z\" {filled}/>\n"),
        Marker::Diamond => format!("<path d=\"{at}m0-4.6l4.2 4.6-4.2 4.6-4.2-4.6z\" {hollow}/>\n"),
        Marker::Cross => format!("<path d=\"{at}m-3.4-3.4l6.8 6.8m0-6.8l-6.8 6.8\" {stroke}/>\n"),
        Marker::Plus => format!("<path d=\"{at}m-4.2 0h8.4m-4.2-4.2v8.4\" {stroke}/>\n"),
    }
}

/// For each round, the lowest and highest value of the sites.
fn band(sites: &[Curve]) -> Vec<(u32, f64, f64)> {
    let mut points: Vec<(u32, f64)> =
        sites.iter().flat_map(|site| site.points.iter().copied()).collect();
    points.sort_by(|left, right| left.0.cmp(&right.0).then(left.1.total_cmp(&right.1)));
    points
        .chunk_by(|left, right| left.0 == right.0)
        .map(|same| (same[0].0, same[0].1, same[same.len() - 1].1))
        .collect()
}

fn draw_band(band: &[(u32, f64, f64)], frame: &Frame) -> String {
    let high = band.iter().map(|(round, _, high)| frame.place((*round, *high)));
    let low = band.iter().rev().map(|(round, low, _)| frame.place((*round, *low)));
    let outline: Vec<(f64, f64)> = high.chain(low).collect();
    if outline.is_empty() {
        return String::new();
    }
    format!("<path class=\"band\" d=\"{}Z\"/>\n", path(&outline))
}

/// Writes the names beside the ends of the lines, with a thin thread to an end that is elsewhere.
fn draw_labels(labels: &[End]) -> String {
    let wanted: Vec<f64> = labels.iter().map(|label| label.y).collect();
    let places = spread(&wanted, LABEL_HEIGHT, TOP + 4.0, BOTTOM - 2.0);
    let mut svg = String::new();
    for (label, y) in labels.iter().zip(places) {
        svg.push_str(&format!(
            "<path class=\"thread\" d=\"M{:.1} {:.1}L{:.1} {y:.1}\"/>\n",
            label.x + 6.0,
            label.y,
            RIGHT + 14.0,
        ));
        if let Some(style) = label.style {
            svg.push_str(&marker(style, (RIGHT + 20.0, y)));
        }
        svg.push_str(&format!(
            "<text class=\"label\" x=\"{:.1}\" y=\"{:.1}\" fill=\"{}\"{}>{}</text>\n",
            RIGHT + 29.0,
            y + 4.2,
            label.style.map_or("#333", |style| style.colour),
            if label.style.is_some_and(|style| style.width > 2.0) {
                " font-weight=\"700\""
            } else {
                ""
            },
            escape(&label.name)
        ));
    }
    svg
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 494.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 390.0;
const LABEL_HEIGHT: f64 = 18.0;
const LONGEST_LABEL: usize = 16;
const LONGEST_DESCRIPTION: usize = 8;
const MOST_MARKERS: usize = 26;

/// The federation's style, then the sites'. The colours are Okabe and Ito's, darkened until they
/// carry text on white.
const STYLES: [Style; 7] = [
    Style { colour: "#111111", width: 2.6, dashes: "", marker: Marker::Disc },
    Style { colour: "#0060a0", width: 1.6, dashes: "7 3", marker: Marker::Square },
    Style { colour: "#a84300", width: 1.6, dashes: "2 3", marker: Marker::Triangle },
    Style { colour: "#00694e", width: 1.6, dashes: "9 3 2 3", marker: Marker::Diamond },
    Style { colour: "#96427a", width: 1.6, dashes: "4 2", marker: Marker::Ring },
    Style { colour: "#715e00", width: 1.6, dashes: "12 4", marker: Marker::Cross },
    Style { colour: "#2b6e94", width: 1.6, dashes: "1 2", marker: Marker::Plus },
];
