//! What `test_metric_args` may say.

use protocol::metric_sums::{Average, Label};
use serde_json::{Map, Value};

use super::Metric;
use crate::arguments::reader::Reader;
use crate::arguments::{ArgumentError, Rule};

/// How a metric is computed where there is a choice. Names and meanings are scikit-learn's.
///
/// | name | values | taken by | default |
/// |---|---|---|---|
/// | `average` | `binary`, `micro`, `macro`, `weighted`, `samples` | precision, recall, F1, Dice; ROC AUC takes `macro` and `weighted` | `binary` for two classes; for more `weighted`, for ROC AUC and Dice `macro` |
/// | `zero_division` | 0 or 1 | precision, recall, F1, Dice | 0, for Dice 1 |
/// | `pos_label` | a label | precision, recall, F1, Dice | the larger of two labels |
/// | `threshold` | a number above 0 and below 1 | all but ROC AUC, log loss and the regression metrics | 0.5 |
/// | `multioutput` | `uniform_average`, `raw_values` | the regression metrics | `uniform_average` |
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use protocol::metric_sums::Average;
/// use training_plan::metric::{Metric, MetricOptions};
///
/// let given = json!({"average": "macro"});
/// let options = MetricOptions::parse(Some(Metric::F1Score), given.as_object().unwrap())?;
/// assert_eq!(options.average, Some(Average::Macro));
/// # Ok::<(), training_plan::arguments::ArgumentError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MetricOptions {
    /// How the classes' values become one.
    pub average: Option<Average>,
    /// The value of a fraction whose denominator is zero.
    pub zero_division: Option<ZeroDivision>,
    /// The positive class of a binary problem.
    pub positive: Option<Label>,
    /// From which probability on a row counts as positive, where it is not one half.
    pub threshold: Option<f64>,
    /// Whether several outputs are also reported one by one.
    pub multioutput: MultiOutput,
    /// How many classes there are, where that is known apart from the rows: the labels are then
    /// 0, 1, … `classes` − 1, also those that no row of this site has.
    pub classes: Option<usize>,
}

/// The value of a fraction whose denominator is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroDivision {
    /// It counts as 0.
    Zero,
    /// It counts as 1.
    One,
}

/// Whether several outputs are also reported one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultiOutput {
    /// One value: the plain mean of the outputs'.
    #[default]
    UniformAverage,
    /// One value for each output beside their mean.
    RawValues,
}

impl MetricOptions {
    /// Reads the members of `test_metric_args` for a metric, or for none in particular.
    ///
    /// # Errors
    ///
    /// Returns the first member that is unknown, wrong, or not taken by the metric.
    pub fn parse(
        metric: Option<Metric>,
        members: &Map<String, Value>,
    ) -> Result<Self, ArgumentError> {
        let object = Map::from_iter([(KEY.to_owned(), Value::Object(members.clone()))]);
        let mut errors = Vec::new();
        let mut top = Reader::top(&object, &mut errors);
        let mut reader = top.member(KEY).expect("the member was put in as an object");
        let options = Self::read(metric, &mut reader);
        if errors.is_empty() { Ok(options) } else { Err(errors.swap_remove(0)) }
    }

    pub(crate) fn read(metric: Option<Metric>, reader: &mut Reader<'_>) -> Self {
        reader.only(NAMES);
        if let Some(metric) = metric {
            refuse_untaken(metric, reader);
        }
        Self {
            average: read_word(reader, "average", AVERAGES),
            zero_division: read_zero_division(reader),
            positive: read_label(reader),
            threshold: reader.optional_number(
                "threshold",
                "a number above 0 and below 1",
                |threshold| threshold > 0.0 && threshold < 1.0,
            ),
            multioutput: read_word(reader, "multioutput", MULTI_OUTPUTS).unwrap_or_default(),
            classes: None,
        }
    }

    /// The same options for a known number of classes.
    #[must_use]
    pub fn with_classes(self, classes: usize) -> Self {
        Self { classes: Some(classes), ..self }
    }
}

impl Metric {
    /// The members of `test_metric_args` that have a meaning for this metric.
    #[must_use]
    pub fn options(self) -> &'static [&'static str] {
        match self {
            Self::Accuracy | Self::BalancedAccuracy => &["threshold"],
            Self::Precision | Self::Recall | Self::F1Score | Self::Dice => {
                &["average", "zero_division", "pos_label", "threshold"]
            }
            Self::RocAuc => &["average"],
            Self::LogLoss => &[],
            Self::MeanSquareError
            | Self::MeanAbsoluteError
            | Self::R2Score
            | Self::ExplainedVariance => &["multioutput"],
        }
    }
}

fn refuse_untaken(metric: Metric, reader: &mut Reader<'_>) {
    for name in NAMES {
        let key = name.trim_start_matches("test_metric_args.");
        if reader.raw(key).is_some() && !metric.options().contains(&key) {
            reader.refuse(key, Rule::MustBe("left out: the metric does not take it"));
        }
    }
    if metric == Metric::RocAuc
        && matches!(reader.raw("average"), Some(Value::String(word)) if
            ["binary", "micro", "samples"].contains(&word.as_str()))
    {
        reader.refuse("average", Rule::MustBe("\"macro\" or \"weighted\" for ROC_AUC"));
    }
}

/// The words of one option with what each means, and the rule that lists them.
struct Words<T: 'static> {
    rule: &'static str,
    all: &'static [(&'static str, T)],
}

fn read_word<T: Copy>(reader: &mut Reader<'_>, key: &str, words: Words<T>) -> Option<T> {
    let given = reader.raw(key).filter(|value| !value.is_null())?;
    let found = words.all.iter().find(|(word, _)| given.as_str() == Some(word));
    if found.is_none() {
        reader.refuse(key, Rule::MustBe(words.rule));
    }
    found.map(|(_, meaning)| *meaning)
}

fn read_zero_division(reader: &mut Reader<'_>) -> Option<ZeroDivision> {
    let value = reader
        .optional_number("zero_division", "0 or 1", |number| number == 0.0 || number == 1.0)?;
    Some(if value == 0.0 { ZeroDivision::Zero } else { ZeroDivision::One })
}

fn read_label(reader: &mut Reader<'_>) -> Option<Label> {
    match reader.raw("pos_label")? {
        Value::Null => None,
        Value::String(text) => Some(Label::Text(text.clone())),
        _ => reader.number("pos_label", "a label: a number or a text", |_| true).map(Label::Number),
    }
}

const KEY: &str = "test_metric_args";

const NAMES: &[&str] = &[
    "test_metric_args.average",
    "test_metric_args.zero_division",
    "test_metric_args.pos_label",
    "test_metric_args.threshold",
    "test_metric_args.multioutput",
];

const AVERAGES: Words<Average> = Words {
    rule: "one of \"binary\", \"micro\", \"macro\", \"weighted\", \"samples\"",
    all: &[
        ("binary", Average::Binary),
        ("micro", Average::Micro),
        ("macro", Average::Macro),
        ("weighted", Average::Weighted),
        ("samples", Average::Samples),
    ],
};

const MULTI_OUTPUTS: Words<MultiOutput> = Words {
    rule: "\"uniform_average\" or \"raw_values\"",
    all: &[
        ("uniform_average", MultiOutput::UniformAverage),
        ("raw_values", MultiOutput::RawValues),
    ],
};
