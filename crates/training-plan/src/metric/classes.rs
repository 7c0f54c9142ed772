//! Truth and prediction of a classification, joined into classes.

use protocol::metric_sums::Label;

use super::observations::{Values, check_pair};
use super::{MetricError, MetricOptions, Observations, Side};

/// Rows with a true class each, and what was predicted for them.
#[derive(Debug, Clone)]
pub(super) struct Classified {
    /// The labels, in ascending order.
    pub(super) classes: Vec<Label>,
    /// The true class of each row, as an index into `classes`.
    pub(super) truth: Vec<usize>,
    /// The predicted class of each row; an error where the prediction has scores only.
    pub(super) predicted: Result<Vec<usize>, MetricError>,
    /// The prediction as scores, where it is numeric.
    pub(super) scores: Option<Scores>,
}

/// Scores in row-major order; of one column where there is one score a row.
#[derive(Debug, Clone)]
pub(super) struct Scores {
    pub(super) values: Vec<f64>,
    pub(super) columns: usize,
}

impl Classified {
    pub(super) fn join(
        truth: &Observations<'_>,
        prediction: &Observations<'_>,
        options: &MetricOptions,
    ) -> Result<Self, MetricError> {
        let (truth_columns, columns) = check_pair(truth, prediction)?;
        let known = known_classes(truth_columns, columns, options)?;
        let threshold = options.threshold.unwrap_or(0.5);
        let truth_labels = labels(truth.values(), truth_columns, threshold, Side::Truth)?;
        let predicted_labels = labels(prediction.values(), columns, threshold, Side::Prediction);
        if let Ok(predicted) = &predicted_labels
            && is_text(predicted) != is_text(&truth_labels)
        {
            return Err(MetricError::DifferentKinds);
        }
        let classes = classes(known, &truth_labels, &predicted_labels);
        Ok(Self {
            truth: indices(&classes, &truth_labels, Side::Truth)?,
            predicted: predicted_labels
                .and_then(|found| indices(&classes, &found, Side::Prediction)),
            scores: scores(prediction.values(), columns),
            classes,
        })
    }
}

/// The number of classes where the options or the width of an array say it.
fn known_classes(
    truth_columns: usize,
    columns: usize,
    options: &MetricOptions,
) -> Result<Option<usize>, MetricError> {
    let wide = |width: usize| (width > 1).then_some(width);
    let known = options.classes.or_else(|| wide(truth_columns)).or_else(|| wide(columns));
    for width in [truth_columns, columns].into_iter().filter_map(wide) {
        if let Some(truth) = known.filter(|known| *known != width) {
            return Err(MetricError::Widths { truth, prediction: width });
        }
    }
    Ok(known)
}

fn labels(
    values: Values<'_>,
    columns: usize,
    threshold: f64,
    side: Side,
) -> Result<Vec<Label>, MetricError> {
    let numbers = match values {
        Values::Texts(texts) => {
            return Ok(texts.iter().map(|text| Label::Text(text.clone())).collect());
        }
        Values::Numbers(numbers) => numbers,
    };
    if columns > 1 {
        return Ok(numbers.chunks_exact(columns).map(largest).collect());
    }
    if numbers.iter().all(|number| number.fract() == 0.0) {
        return Ok(numbers.iter().map(|number| Label::Number(number + 0.0)).collect());
    }
    if numbers.iter().any(|number| !(0.0..=1.0).contains(number)) {
        return Err(MetricError::Continuous { side });
    }
    Ok(numbers.iter().map(|number| binary_label(*number >= threshold)).collect())
}

/// The index of the largest value; the first wins a tie.
fn largest(row: &[f64]) -> Label {
    let start = (0_u32, f64::NEG_INFINITY);
    let (index, _) = (0..)
        .zip(row.iter().copied())
        .fold(start, |best, (index, value)| if value > best.1 { (index, value) } else { best });
    Label::Number(f64::from(index))
}

fn binary_label(is_positive: bool) -> Label {
    Label::Number(if is_positive { 1.0 } else { 0.0 })
}

fn is_text(labels: &[Label]) -> bool {
    matches!(labels.first(), Some(Label::Text(_)))
}

/// The classes: the known ones, else 0 and 1 where no other label occurs, else those that occur.
fn classes(
    known: Option<usize>,
    truth: &[Label],
    predicted: &Result<Vec<Label>, MetricError>,
) -> Vec<Label> {
    if let Some(known) = known
        && !is_text(truth)
    {
        return (0..known).map(number_label).collect();
    }
    let predicted = predicted.as_ref().map_or(&[][..], Vec::as_slice);
    let mut found: Vec<Label> = truth.iter().chain(predicted).cloned().collect();
    found.sort_by(Label::order);
    found.dedup();
    let binary = vec![binary_label(false), binary_label(true)];
    if found.iter().all(|label| binary.contains(label)) { binary } else { found }
}

fn number_label(index: usize) -> Label {
    Label::Number(u32::try_from(index).map_or(f64::MAX, f64::from))
}

fn indices(classes: &[Label], labels: &[Label], side: Side) -> Result<Vec<usize>, MetricError> {
    let find = |label: &Label| classes.binary_search_by(|class| class.order(label)).ok();
    let found: Option<Vec<usize>> = labels.iter().map(find).collect();
    found.ok_or(MetricError::UnknownClass { side, classes: classes.len() })
}

fn scores(values: Values<'_>, columns: usize) -> Option<Scores> {
    match values {
        Values::Numbers(numbers) => Some(Scores { values: numbers.to_vec(), columns }),
        Values::Texts(_) => None,
    }
}
