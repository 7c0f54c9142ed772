//! Bounds on training arguments.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What kind of value a training argument has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A whole number of at least so much.
    Whole(i64),
    /// A number of at least 0.
    Number,
    /// `true` or `false`.
    Flag,
    /// A text.
    Text,
    /// A table, of which only its presence is bounded.
    Table,
    /// Whatever the optimizer takes.
    Open,
}

/// The arguments that can be bounded, by the names that they have once defaults are filled in.
pub(crate) const ARGUMENTS: &[(&str, Kind)] = &[
    ("epochs", Kind::Whole(0)),
    ("num_updates", Kind::Whole(1)),
    ("batch_maxnum", Kind::Whole(1)),
    ("dry_run", Kind::Flag),
    ("log_interval", Kind::Whole(1)),
    ("fedprox_mu", Kind::Number),
    ("use_gpu", Kind::Flag),
    ("random_seed", Kind::Whole(i64::MIN)),
    ("share_persistent_buffers", Kind::Flag),
    ("gradient_clip_norm", Kind::Number),
    ("loader_args.batch_size", Kind::Whole(1)),
    ("loader_args.shuffle", Kind::Flag),
    ("loader_args.drop_last", Kind::Flag),
    ("optimizer_args.lr", Kind::Number),
    ("test_ratio", Kind::Number),
    ("test_on_local_updates", Kind::Flag),
    ("test_on_global_updates", Kind::Flag),
    ("test_metric", Kind::Text),
    ("test_metric_args", Kind::Table),
    ("test_batch_size", Kind::Whole(1)),
    ("stratify", Kind::Flag),
    ("shuffle_testing_dataset", Kind::Flag),
    ("dp_args", Kind::Table),
];

/// The prefix of the arguments that only the optimizer knows.
pub(crate) const OPTIMIZER: &str = "optimizer_args.";

/// The kind of an argument; none for one that nothing knows.
pub(crate) fn kind(name: &str) -> Option<Kind> {
    let known = ARGUMENTS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind);
    known.or_else(|| name.strip_prefix(OPTIMIZER).map(|_| Kind::Open))
}

/// What an argument must be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bound {
    /// A number in a range.
    Range(Range),
    /// One of these values.
    OneOf {
        /// The values, one at least.
        one_of: Vec<Value>,
    },
    /// Whether it must or must not be there; of a flag, be true or false.
    Presence(Presence),
}

/// Whether an argument must be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Presence {
    /// It must be given; a flag must be true.
    Required,
    /// It must not be given; a flag must be false.
    Forbidden,
    /// It may be anything, whatever the defaults say.
    Free,
}

/// A range of numbers, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// The smallest number inside, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// The largest number inside, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
}

/// How an argument exceeds its bound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Breach {
    /// A number on the wrong side of a limit.
    Limit { limit: f64, requested: f64 },
    /// Something else: what the argument must be, as a sentence whose subject is the argument.
    Rule { value: Value, rule: String },
}

/// The first argument that exceeds its bound, of arguments with their defaults filled in; `by` says whose bound it is.
pub(crate) fn check(
    bounds: &BTreeMap<String, Bound>,
    given: &Value,
    by: &str,
) -> Option<(String, Breach)> {
    bounds.iter().find_map(|(name, bound)| {
        let is_moot = is_moot(name, bounds, given);
        let breach = if is_moot { None } else { bound.breach(value(name, given).as_ref(), by) };
        breach.map(|breach| (name.clone(), breach))
    })
}

/// Whether the length of training is given, and bounded, in other words than this argument's.
fn is_moot(name: &str, bounds: &BTreeMap<String, Bound>, given: &Value) -> bool {
    let is_given = |name: &str| !given[name].is_null();
    match name {
        "epochs" => !is_given("epochs") && bounds.contains_key("num_updates"),
        "num_updates" => !is_given("num_updates") && bounds.contains_key("epochs"),
        "batch_maxnum" => is_given("num_updates"),
        _ => false,
    }
}

/// The value of an argument; none where it is not set, or means that there is no limit.
fn value(name: &str, given: &Value) -> Option<Value> {
    let found = match name.split_once('.') {
        Some((group, member)) => &given[group][member],
        None => &given[name],
    };
    match (name, found) {
        // Without the term, its weight is 0.
        ("fedprox_mu", Value::Null) => Some(Value::from(0.0)),
        // All rows at once.
        ("test_batch_size", zero) if zero.as_u64() == Some(0) => None,
        (_, Value::Null) => None,
        (_, Value::Object(members)) if members.is_empty() => None,
        (_, found) => Some(found.clone()),
    }
}

impl Bound {
    fn breach(&self, value: Option<&Value>, by: &str) -> Option<Breach> {
        match (self, value) {
            (Self::Presence(presence), value) => presence.breach(value, by),
            (Self::Range(_) | Self::OneOf { .. }, None) => {
                let rule = format!("must be given, for {by} bounds it");
                Some(Breach::Rule { value: Value::Null, rule })
            }
            (Self::OneOf { one_of }, Some(value)) => {
                let is_one = one_of.iter().any(|one| is_same(one, value));
                let listed = one_of.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
                let rule = format!("must be one of {listed} by {by}");
                (!is_one).then(|| Breach::Rule { value: value.clone(), rule })
            }
            (Self::Range(range), Some(value)) => match value.as_f64() {
                Some(number) => range.breach(number),
                None => {
                    let rule = format!("must be a number, for {by} bounds it");
                    Some(Breach::Rule { value: value.clone(), rule })
                }
            },
        }
    }
}

impl Presence {
    fn breach(self, value: Option<&Value>, by: &str) -> Option<Breach> {
        let is_there = value.is_some_and(|value| *value != Value::Bool(false));
        let rule = match (self, is_there) {
            (Self::Required, false) => "is required by",
            (Self::Forbidden, true) => "is forbidden by",
            (Self::Required, true) | (Self::Forbidden, false) | (Self::Free, _) => return None,
        };
        let value = value.cloned().unwrap_or(Value::Null);
        Some(Breach::Rule { value, rule: format!("{rule} {by}") })
    }
}

impl Range {
    /// The nearest number inside.
    pub(crate) fn clamp(self, number: f64) -> f64 {
        let raised = self.minimum.map_or(number, |minimum| number.max(minimum));
        self.maximum.map_or(raised, |maximum| raised.min(maximum))
    }

    fn breach(self, requested: f64) -> Option<Breach> {
        let below = self.minimum.filter(|minimum| requested < *minimum);
        let limit = below.or_else(|| self.maximum.filter(|maximum| requested > *maximum))?;
        Some(Breach::Limit { limit, requested })
    }
}

/// Whether two values are the same, however a number is written and however a name is capitalised.
fn is_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
        (Value::String(left), Value::String(right)) => left.eq_ignore_ascii_case(right),
        (left, right) => left == right,
    }
}
