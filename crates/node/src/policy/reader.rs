//! Reads a policy file: strict, with the line of whatever is wrong.

use std::collections::BTreeMap;

use protocol::{DatasetName, ResearcherId};
use serde::Serialize;
use serde_json::{Number, Value as Json};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::argument::{self, Bound, Presence, Range};
use super::key::{self, KEYS, Kind};

/// What one table says: values by key; bounds and ranges each under a key of their own, `arguments.epochs`.
pub(super) type Rules = BTreeMap<String, Said>;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Said {
    pub(super) value: Value,
    pub(super) line: usize,
}

/// A value that a key can have.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Value {
    Names(Vec<String>),
    Whole(u64),
    Number(f64),
    Flag(bool),
    Range(Range),
    Bound(Bound),
}

/// What is wrong, and in which line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    pub(super) line: usize,
    pub(super) problem: String,
}

/// Researchers by the name of their group.
pub(crate) type Groups = BTreeMap<String, Vec<String>>;

/// Reads `[defaults]`, every `[dataset.NAME]` and `[groups]`.
pub(super) fn read(text: &str) -> Result<(Rules, BTreeMap<DatasetName, Rules>, Groups), Flaw> {
    let reader = Reader { text };
    let parsed = reader.parse()?;
    let (mut defaults, mut datasets, mut groups) = (Rules::new(), BTreeMap::new(), Groups::new());
    for (name, value) in parsed.get_ref() {
        let at = name.span().start;
        match (name.get_ref().as_ref(), value.get_ref()) {
            ("defaults", DeValue::Table(table)) => defaults = reader.rules("defaults", table)?,
            ("dataset", DeValue::Table(tables)) => datasets = reader.datasets(tables)?,
            ("groups", DeValue::Table(table)) => groups = reader.groups(table)?,
            (known @ ("defaults" | "dataset" | "groups"), _) => {
                return Err(reader.flaw(at, format!("key \"{known}\" must be a table")));
            }
            (unknown, _) => {
                let problem = format!(
                    "unknown key \"{unknown}\", expected [defaults], [dataset.NAME] or [groups]"
                );
                return Err(reader.flaw(at, problem));
            }
        }
    }
    Ok((defaults, datasets, groups))
}

/// The text, for the lines of what stands in it.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
}

pub(super) type Key<'a, 'i> = (&'a Spanned<std::borrow::Cow<'i, str>>, &'a Spanned<DeValue<'i>>);

impl<'a> Reader<'a> {
    pub(super) fn parse(&self) -> Result<Spanned<DeTable<'a>>, Flaw> {
        DeTable::parse(self.text).map_err(|error| {
            let said = error.message().lines().next().unwrap_or_default();
            let at = error.span().map_or(0, |span| span.start);
            self.flaw(at, format!("not valid TOML: {said}"))
        })
    }

    fn groups(&self, table: &DeTable<'_>) -> Result<Groups, Flaw> {
        let groups = table.iter().map(|(name, value)| {
            let members = plain(Kind::Researchers, value.get_ref());
            let Some(Value::Names(members)) = members else {
                return Err(self.broken(name, "groups", &Kind::Researchers.rule()));
            };
            Ok((name.get_ref().to_string(), members))
        });
        groups.collect()
    }

    fn datasets(&self, tables: &DeTable<'_>) -> Result<BTreeMap<DatasetName, Rules>, Flaw> {
        let mut datasets = BTreeMap::new();
        for (name, value) in tables {
            let (at, written) = (name.span().start, name.get_ref());
            let parsed: DatasetName = written.parse().map_err(|error| {
                self.flaw(at, format!("\"{written}\" is no name of a dataset: {error}"))
            })?;
            let DeValue::Table(table) = value.get_ref() else {
                return Err(self.flaw(at, format!("key \"dataset.{written}\" must be a table")));
            };
            datasets.insert(parsed, self.rules(&format!("dataset.{written}"), table)?);
        }
        Ok(datasets)
    }

    fn rules(&self, place: &str, table: &DeTable<'_>) -> Result<Rules, Flaw> {
        let mut rules = Rules::new();
        for (name, value) in table {
            let Some(kind) = key::kind(name.get_ref()) else {
                let known = KEYS.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(", ");
                let problem =
                    format!("unknown key \"{place}.{}\", expected one of {known}", name.get_ref());
                return Err(self.flaw(name.span().start, problem));
            };
            let broken = || self.broken(name, place, &kind.rule());
            match (kind, value.get_ref()) {
                (Kind::Arguments, DeValue::Table(members)) => {
                    self.arguments(place, "", members, &mut rules)?;
                }
                (Kind::Ranges, DeValue::Table(members)) => {
                    for member in members {
                        self.metric_range(place, member, &mut rules)?;
                    }
                }
                (kind, value) => {
                    let value = plain(kind, value).ok_or_else(broken)?;
                    let line = self.line(name.span().start);
                    rules.insert(name.get_ref().to_string(), Said { value, line });
                }
            }
        }
        Ok(rules)
    }

    fn metric_range(&self, place: &str, member: Key<'_, '_>, into: &mut Rules) -> Result<(), Flaw> {
        let (name, value) = member;
        let place = format!("{place}.metric_ranges");
        let range = range(value.get_ref()).map_err(|rule| self.broken(name, &place, &rule))?;
        let said = Said { value: Value::Range(range), line: self.line(name.span().start) };
        into.insert(format!("{METRIC_RANGES}{}", name.get_ref()), said);
        Ok(())
    }

    pub(super) fn arguments(
        &self,
        place: &str,
        group: &str,
        table: &DeTable<'_>,
        into: &mut Rules,
    ) -> Result<(), Flaw> {
        for (key, value) in table {
            let written = format!("{group}{}", key.get_ref());
            if let (true, DeValue::Table(members)) = (GROUPS.contains(&&*written), value.get_ref())
            {
                self.arguments(place, &format!("{written}."), members, into)?;
                continue;
            }
            // The short spelling that requests have, too.
            let name = if written == "batch_size" { BATCH_SIZE.to_owned() } else { written };
            let Some(kind) = argument::kind(&name) else {
                let known = argument::ARGUMENTS.iter().map(|(name, _)| *name);
                let known = known.collect::<Vec<_>>().join(", ");
                let problem =
                    format!("\"{name}\" is no training argument, expected one of {known}");
                return Err(self.flaw(key.span().start, problem));
            };
            let bound = bound(kind, value.get_ref())
                .map_err(|rule| self.broken(key, &format!("{place}.arguments"), &rule))?;
            let said = Said { value: Value::Bound(bound), line: self.line(key.span().start) };
            if into.insert(format!("{ARGUMENTS}{name}"), said).is_some() {
                let problem = format!("training argument \"{name}\" is bounded twice");
                return Err(self.flaw(key.span().start, problem));
            }
        }
        Ok(())
    }

    pub(super) fn broken(
        &self,
        key: &Spanned<std::borrow::Cow<'_, str>>,
        place: &str,
        rule: &str,
    ) -> Flaw {
        self.flaw(key.span().start, format!("key \"{place}.{}\" {rule}", key.get_ref()))
    }

    pub(super) fn flaw(&self, at: usize, problem: String) -> Flaw {
        Flaw { line: self.line(at), problem }
    }

    /// The line of a byte, counted from 1.
    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|byte| *byte == b'\n').count()
    }
}

/// A value that is no table; none where it is not what its kind asks for.
pub(super) fn plain(kind: Kind, value: &DeValue<'_>) -> Option<Value> {
    match kind {
        Kind::Researchers => {
            let names = texts(value)?;
            names.iter().all(|name| name.parse::<ResearcherId>().is_ok()).then_some(names)
        }
        .map(Value::Names),
        Kind::Words(words) => {
            let names = texts(value)?;
            names.iter().all(|name| words.contains(&name.as_str())).then_some(Value::Names(names))
        }
        Kind::Metrics => {
            let names = texts(value)?;
            let is_name = |name: &String| (1..=LONGEST_METRIC).contains(&name.len());
            names.iter().all(is_name).then_some(Value::Names(names))
        }
        Kind::Whole { least, most } => {
            let number = u64::try_from(whole(value)?).ok()?;
            (least..=most).contains(&number).then_some(Value::Whole(number))
        }
        Kind::Positive => number(value).filter(|number| *number > 0.0).map(Value::Number),
        Kind::Flag => match value {
            DeValue::Boolean(flag) => Some(Value::Flag(*flag)),
            _ => None,
        },
        Kind::Arguments | Kind::Ranges => None,
    }
}

/// What an argument must be; else the rule that this breaks.
fn bound(kind: argument::Kind, value: &DeValue<'_>) -> Result<Bound, String> {
    let is_number =
        matches!(kind, argument::Kind::Whole(_) | argument::Kind::Number | argument::Kind::Open);
    let forms = match kind {
        argument::Kind::Table => "must be \"required\", \"forbidden\" or \"free\"",
        argument::Kind::Flag | argument::Kind::Text => {
            "must be { one_of = […] }, \"required\", \"forbidden\" or \"free\""
        }
        argument::Kind::Whole(_) | argument::Kind::Number | argument::Kind::Open => {
            "must be { minimum = …, maximum = … }, { one_of = […] }, \"required\", \"forbidden\" or \"free\""
        }
    };
    match value {
        DeValue::String(word) => match word.as_ref() {
            "required" => Ok(Bound::Presence(Presence::Required)),
            "forbidden" => Ok(Bound::Presence(Presence::Forbidden)),
            "free" => Ok(Bound::Presence(Presence::Free)),
            _ => Err(forms.to_owned()),
        },
        DeValue::Table(table) if table.contains_key("one_of") && kind != argument::Kind::Table => {
            one_of(kind, table)
        }
        DeValue::Table(_) if is_number => {
            let range = range(value)?;
            possible(kind, range)?;
            Ok(Bound::Range(range))
        }
        _ => Err(forms.to_owned()),
    }
}

/// Refuses a range that no request can meet.
fn possible(kind: argument::Kind, range: Range) -> Result<(), String> {
    let least = match kind {
        argument::Kind::Whole(least) => least as f64,
        argument::Kind::Number => 0.0,
        argument::Kind::Open | argument::Kind::Flag => f64::NEG_INFINITY,
        argument::Kind::Text | argument::Kind::Table => f64::NEG_INFINITY,
    };
    match range.maximum {
        Some(maximum) if maximum < least => {
            Err(format!("has a maximum of {maximum}, and the argument is at least {least}"))
        }
        _ => Ok(()),
    }
}

fn one_of(kind: argument::Kind, table: &DeTable<'_>) -> Result<Bound, String> {
    let listed = table.get("one_of").map(Spanned::get_ref);
    let (1, Some(DeValue::Array(values))) = (table.len(), listed) else {
        return Err("must have \"one_of\" alone, with a list of values".to_owned());
    };
    let fits = |value: &Json| match kind {
        argument::Kind::Whole(_) => value.is_i64() || value.is_u64(),
        argument::Kind::Number => value.is_number(),
        argument::Kind::Flag => value.is_boolean(),
        argument::Kind::Text => value.is_string(),
        argument::Kind::Open => true,
        argument::Kind::Table => false,
    };
    let values = values.iter().map(|value| json(value.get_ref()).filter(fits));
    let one_of: Option<Vec<Json>> = values.collect();
    match one_of {
        Some(one_of) if !one_of.is_empty() => Ok(Bound::OneOf { one_of }),
        _ => Err("must list one value at least, and only such as the argument can have".to_owned()),
    }
}

fn range(value: &DeValue<'_>) -> Result<Range, String> {
    let rule = "must have \"minimum\", \"maximum\" or both, each a number, and nothing else";
    let DeValue::Table(table) = value else { return Err(rule.to_owned()) };
    let mut range = Range { minimum: None, maximum: None };
    for (name, value) in table {
        let end = match name.get_ref().as_ref() {
            "minimum" => &mut range.minimum,
            "maximum" => &mut range.maximum,
            _ => return Err(rule.to_owned()),
        };
        *end = Some(number(value.get_ref()).ok_or_else(|| rule.to_owned())?);
    }
    match (range.minimum, range.maximum) {
        (None, None) => Err(rule.to_owned()),
        (Some(minimum), Some(maximum)) if minimum > maximum => {
            Err(format!("has a minimum of {minimum} above its maximum of {maximum}"))
        }
        _ => Ok(range),
    }
}

pub(super) fn texts(value: &DeValue<'_>) -> Option<Vec<String>> {
    let DeValue::Array(values) = value else { return None };
    let text = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
        DeValue::String(text) => Some(text.to_string()),
        _ => None,
    };
    values.iter().map(text).collect()
}

fn whole(value: &DeValue<'_>) -> Option<i64> {
    match value {
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok(),
        _ => None,
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    let number = match value {
        #[expect(clippy::cast_precision_loss, reason = "bounds are far below 2^53")]
        DeValue::Integer(_) => whole(value)? as f64,
        DeValue::Float(float) => float.as_str().parse().ok()?,
        _ => return None,
    };
    Some(number).filter(|number| number.is_finite())
}

fn json(value: &DeValue<'_>) -> Option<Json> {
    match value {
        DeValue::String(text) => Some(Json::from(text.as_ref())),
        DeValue::Boolean(flag) => Some(Json::from(*flag)),
        DeValue::Integer(_) => whole(value).map(Json::from),
        DeValue::Float(_) => number(value).and_then(Number::from_f64).map(Json::Number),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// What the keys of bounds begin with.
pub(super) const ARGUMENTS: &str = "arguments.";
/// What the keys of metrics' ranges begin with.
pub(super) const METRIC_RANGES: &str = "metric_ranges.";
const GROUPS: &[&str] = &["loader_args", "optimizer_args"];
const BATCH_SIZE: &str = "loader_args.batch_size";
/// Bytes of a metric's name.
const LONGEST_METRIC: usize = 128;
