//! Whether a request is within the owner's bounds, before anything of its plan is opened.

use protocol::{Code, Detail, Mode, TrainRequest};
use round::Failure;
use serde_json::Value;
use training_plan::arguments::TrainingArguments;

use super::Terms;
use super::argument::{self, Breach};

/// What is asked for.
pub(crate) struct Asked<'a> {
    pub(crate) request: &'a TrainRequest,
    pub(crate) arguments: &'a TrainingArguments,
}

/// A bound that a request exceeds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Denial {
    pub(crate) detail: Detail,
}

impl Terms {
    /// Judges who asks, for what, and with which arguments.
    pub(crate) fn admit(&self, asked: &Asked<'_>) -> Result<(), Denial> {
        let request = asked.request;
        let mode = match request.mode {
            Mode::Train => "train",
            Mode::Validate => "validate",
        };
        listed("researcher_id", &self.researchers, request.researcher_id.as_str())?;
        listed("runtime", &self.runtimes, request.runtime.as_str())?;
        listed("mode", &self.modes, mode)?;
        if !self.gpu && asked.arguments.training().use_gpu {
            let rule = "is forbidden by the node's policy".to_owned();
            return Err(Denial::of(
                "use_gpu".to_owned(),
                Breach::Rule { value: true.into(), rule },
            ));
        }
        if self.arguments.is_empty() {
            return Ok(());
        }
        match argument::check(&self.arguments, &asked.arguments.to_json(), POLICY) {
            Some((name, breach)) => Err(Denial::of(name, breach)),
            None => Ok(()),
        }
    }

    /// Judges a round that comes after so many others of the same researcher and dataset within 24 hours.
    pub(crate) fn admit_after(&self, earlier: u64) -> Result<(), Denial> {
        match self.rounds_per_day {
            Some(limit) if earlier >= limit => {
                Err(Denial::beyond("rounds_per_day", limit, earlier + 1))
            }
            _ => Ok(()),
        }
    }
}

impl Denial {
    /// A number above its bound.
    #[expect(
        clippy::cast_precision_loss,
        reason = "bounds and counts are far below 2^53, or only shown"
    )]
    pub(crate) fn beyond(bound: &str, limit: u64, requested: u64) -> Self {
        let (limit, requested) = (limit as f64, requested as f64);
        Self { detail: Detail::Bound { bound: bound.to_owned(), limit, requested } }
    }

    pub(crate) fn of(name: String, breach: Breach) -> Self {
        let detail = match breach {
            Breach::Limit { limit, requested } => Detail::Bound { bound: name, limit, requested },
            Breach::Rule { value, rule } => Detail::Argument { key: name, value, rule },
        };
        Self { detail }
    }

    /// The bound's name.
    pub(crate) fn bound(&self) -> &str {
        match &self.detail {
            Detail::Bound { bound, .. } => bound,
            Detail::Argument { key, .. } => key,
            Detail::Tensors { .. } | Detail::Exception { .. } => "",
        }
    }
}

impl From<Denial> for Failure {
    fn from(denial: Denial) -> Self {
        Self { code: Code::PolicyDenied, detail: Some(denial.detail) }
    }
}

/// Whose bounds these are.
const POLICY: &str = "the node's policy";

/// Refuses what is not on a list, where there is one.
fn listed(key: &str, list: &Option<Vec<String>>, found: &str) -> Result<(), Denial> {
    match list {
        Some(list) if !list.iter().any(|one| one == found) => {
            let rule = "is not allowed by the node's policy".to_owned();
            let detail = Detail::Argument { key: key.to_owned(), value: Value::from(found), rule };
            Err(Denial { detail })
        }
        _ => Ok(()),
    }
}
