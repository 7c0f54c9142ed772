//! Strict reading of the settings of one layer, loss, optimizer or schedule.

use serde_json::{Map, Value};

use crate::description::Error;

/// The settings of one described thing: read key by key, refused if a key was not asked for.
#[derive(Debug)]
pub(crate) struct Fields<'a> {
    subject: String,
    values: &'a Map<String, Value>,
    asked: Vec<&'static str>,
}

/// The numbers a setting may take.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Range {
    /// Above zero.
    Positive,
    /// Zero or above.
    NotNegative,
    /// From zero, below one.
    BelowOne,
    /// From zero to one, both included.
    Fraction,
}

impl<'a> Fields<'a> {
    /// Starts reading the settings of `subject`, which errors name.
    pub(crate) fn new(subject: &str, values: &'a Map<String, Value>) -> Self {
        Self { subject: subject.to_owned(), values, asked: Vec::new() }
    }

    /// Reads an integer of at least `least`; an integral float counts as one.
    pub(crate) fn integer(&mut self, key: &'static str, least: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.find(key) else { return Ok(None) };
        match integral(value).filter(|number| *number >= least) {
            Some(number) => Ok(Some(number)),
            None => Err(self.invalid(key, &format!("must be an integer of at least {least}"))),
        }
    }

    /// Reads a size: an integer of at least one, which must be there.
    pub(crate) fn size(&mut self, key: &'static str) -> Result<usize, Error> {
        let rule = "must be an integer of at least 1";
        let number = self.integer(key, 1)?.ok_or_else(|| self.missing(key, rule))?;
        usize::try_from(number).map_err(|_| self.invalid(key, rule))
    }

    /// Reads a finite number within `range`; an integer counts as a number.
    pub(crate) fn number(&mut self, key: &'static str, range: Range) -> Result<Option<f64>, Error> {
        let Some(value) = self.find(key) else { return Ok(None) };
        match value.as_f64().filter(|number| range.contains(*number)) {
            Some(number) => Ok(Some(number)),
            None => Err(self.invalid(key, range.rule())),
        }
    }

    /// Reads a number that must be there.
    pub(crate) fn required_number(
        &mut self,
        key: &'static str,
        range: Range,
    ) -> Result<f64, Error> {
        self.number(key, range)?.ok_or_else(|| self.missing(key, range.rule()))
    }

    /// Reads a list of numbers, each within `range`.
    pub(crate) fn numbers(
        &mut self,
        key: &'static str,
        range: Range,
    ) -> Result<Option<Vec<f64>>, Error> {
        let Some(value) = self.find(key) else { return Ok(None) };
        let read = |item: &Value| item.as_f64().filter(|number| range.contains(*number));
        match value.as_array().and_then(|items| items.iter().map(read).collect()) {
            Some(numbers) => Ok(Some(numbers)),
            None => Err(self.invalid(key, &format!("must be a list; each {}", range.rule()))),
        }
    }

    /// Reads a boolean; a number is never one.
    pub(crate) fn boolean(&mut self, key: &'static str) -> Result<Option<bool>, Error> {
        let Some(value) = self.find(key) else { return Ok(None) };
        match value.as_bool() {
            Some(boolean) => Ok(Some(boolean)),
            None => Err(self.invalid(key, "must be true or false")),
        }
    }

    /// Builds the error for a value that breaks `rule`.
    pub(crate) fn invalid(&self, key: &'static str, rule: &str) -> Error {
        Error::Invalid {
            subject: self.subject.clone(),
            key,
            rule: rule.to_owned(),
            found: self.values.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string),
        }
    }

    /// Refuses the keys that nobody asked for.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.values.keys().find(|key| !self.asked.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => Err(Error::UnknownKey {
                subject: self.subject,
                key: key.clone(),
                known: self.asked.into_iter().map(str::to_owned).collect(),
            }),
        }
    }

    /// A `null` counts as absent, so that a default can be asked for in JSON.
    fn find(&mut self, key: &'static str) -> Option<&'a Value> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
        }
        self.values.get(key).filter(|value| !value.is_null())
    }

    fn missing(&self, key: &'static str, rule: &str) -> Error {
        Error::Missing { subject: self.subject.clone(), key, rule: rule.to_owned() }
    }
}

impl Range {
    /// Refuses a number of `subject` that is outside this range; none is fine.
    pub(crate) fn check(
        self,
        subject: &str,
        key: &'static str,
        number: Option<f64>,
    ) -> Result<(), Error> {
        match number {
            Some(number) if !self.contains(number) => Err(Error::Invalid {
                subject: subject.to_owned(),
                key,
                rule: self.rule().to_owned(),
                found: number.to_string(),
            }),
            _ => Ok(()),
        }
    }

    fn contains(self, number: f64) -> bool {
        number.is_finite()
            && match self {
                Self::Positive => number > 0.0,
                Self::NotNegative => number >= 0.0,
                Self::BelowOne => (0.0..1.0).contains(&number),
                Self::Fraction => (0.0..=1.0).contains(&number),
            }
    }

    fn rule(self) -> &'static str {
        match self {
            Self::Positive => "must be a number above 0",
            Self::NotNegative => "must be a number of at least 0",
            Self::BelowOne => "must be a number from 0 to below 1",
            Self::Fraction => "must be a number from 0 to 1",
        }
    }
}

/// Splits `{ kind = "…", …settings }` into the kind and the settings.
pub(crate) fn split_kind(
    subject: &'static str,
    mut values: Map<String, Value>,
) -> Result<(String, Map<String, Value>), Error> {
    match values.shift_remove("kind") {
        Some(Value::String(kind)) => Ok((kind, values)),
        found => Err(Error::Invalid {
            subject: subject.to_owned(),
            key: "kind",
            rule: "must be a text".to_owned(),
            found: found.map_or_else(|| "nothing".to_owned(), |value| value.to_string()),
        }),
    }
}

/// The known name nearest to `name`, if it is near enough to be a slip of the hand.
pub(crate) fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a str> {
    let limit = name.chars().count().max(3) / 2;
    known
        .iter()
        .map(|candidate| (edits(name, candidate), candidate.as_str()))
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn integral(value: &Value) -> Option<u64> {
    // Above 2^53 a float no longer names one integer.
    const LARGEST: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let exact = number.fract() == 0.0 && (0.0..=LARGEST).contains(&number);
        #[expect(clippy::cast_possible_truncation, reason = "integral and below 2^53")]
        #[expect(clippy::cast_sign_loss, reason = "not negative")]
        exact.then_some(number as u64)
    })
}

/// Levenshtein distance in characters.
fn edits(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, one) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = diagonal + usize::from(one != *other);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
