//! The `[metrics]` section: what a plan measures.

use crate::document::{Error, Section};
use crate::metric::{Metric, MetricTask};

use super::data::Task;

/// What a plan measures; these names, and no others, may leave a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics {
    names: Vec<Metric>,
    default: Metric,
}

impl Metrics {
    pub(super) fn read(section: Option<Section<'_>>, task: Task) -> Result<Self, Error> {
        let usual = usual_metric(task);
        let Some(section) = section else {
            return Ok(Self { names: vec![usual], default: usual });
        };
        let names = match section.distinct_texts("names")? {
            None => vec![usual],
            Some(texts) => texts
                .iter()
                .map(|text| read(section, "names", text, task))
                .collect::<Result<_, _>>()?,
        };
        if names.is_empty() || names.len() > MOST_METRICS {
            return Err(section.rule("names", format!("must hold 1 to {MOST_METRICS} metrics")));
        }
        let default = match section.text("default")? {
            None => names[0],
            Some(text) => read(section, "default", text, task)?,
        };
        if !names.contains(&default) {
            return Err(section.rule("default", "must be one of metrics.names"));
        }
        Ok(Self { names, default })
    }

    /// What is measured, in the plan's order.
    #[must_use]
    pub fn names(&self) -> &[Metric] {
        &self.names
    }

    /// What is shown first, and what `test_metric` falls back to; one of the names.
    #[must_use]
    pub fn default(&self) -> Metric {
        self.default
    }
}

fn read(section: Section<'_>, key: &str, text: &str, task: Task) -> Result<Metric, Error> {
    let Ok(metric) = text.parse::<Metric>() else {
        let known = Metric::ALL.map(Metric::name);
        let error = section.rule(key, format!("names no known metric: {text:?}"));
        let hint = crate::document::nearest(text, &known).map_or_else(
            || format!("known: {}", known.join(", ")),
            |near| format!("did you mean {near:?}?"),
        );
        return Err(error.with_hint(hint));
    };
    if metric.task() != kind_of(task) {
        let rule = format!("holds {metric}, which does not judge a {} task", task.as_str());
        return Err(section.rule(key, rule));
    }
    Ok(metric)
}

fn kind_of(task: Task) -> MetricTask {
    match task {
        Task::Binary | Task::Multiclass => MetricTask::Classification,
        Task::Regression => MetricTask::Regression,
    }
}

/// What is measured when the plan does not say.
fn usual_metric(task: Task) -> Metric {
    match task {
        Task::Binary | Task::Multiclass => Metric::Accuracy,
        Task::Regression => Metric::MeanSquareError,
    }
}

pub(super) const KEYS: &[&str] = &["names", "default"];

/// The most metrics of a plan: a node lets no more names leave.
const MOST_METRICS: usize = 32;
