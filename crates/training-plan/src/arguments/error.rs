//! What can be wrong with training arguments.

use std::fmt;

use protocol::Detail;
use serde_json::Value;

/// One training argument that breaks its rule.
///
/// The error is made only of what the researcher wrote and of fixed words, so it may travel back
/// to the researcher as it is.
///
/// # Examples
///
/// ```
/// use serde_json::json;
/// use training_plan::arguments::TrainingArguments;
///
/// let error = TrainingArguments::parse(&json!({"epochs": -1})).unwrap_err();
/// assert_eq!(error.key(), "epochs");
/// assert_eq!(error.value(), &json!(-1));
/// assert_eq!(error.rule().to_string(), "must be an integer of at least 0");
/// assert_eq!(
///     error.to_string(),
///     "training argument \"epochs\" is -1: it must be an integer of at least 0"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("training argument \"{key}\" is {value}: it {rule}")]
pub struct ArgumentError {
    key: String,
    value: Value,
    rule: Rule,
}

impl ArgumentError {
    pub(crate) fn new(key: &str, value: Option<&Value>, rule: Rule) -> Self {
        let value = value.map_or(Value::Null, shorten_value);
        Self { key: shorten(key), value, rule }
    }

    /// The argument's name; a member of an object is written `loader_args.batch_size`.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The value that was given, `null` where there was none.
    ///
    /// A value of more than 80 characters of JSON is replaced by the start of its text.
    #[must_use]
    pub fn value(&self) -> &Value {
        &self.value
    }

    /// The rule that the value breaks; its `Display` is the rule in words.
    #[must_use]
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The error as the typed detail of a reply.
    #[must_use]
    pub fn detail(&self) -> Detail {
        Detail::Argument {
            key: self.key.clone(),
            value: self.value.clone(),
            rule: self.rule.to_string(),
        }
    }
}

/// A rule that an argument can break.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// No argument has this name; the nearest known name is given.
    Known {
        /// The known name that is nearest to what was written.
        nearest: &'static str,
    },
    /// The value has the wrong kind or lies outside its range; the words say what it must be.
    MustBe(&'static str),
    /// The argument cannot be given together with the named one.
    Excludes(&'static str),
    /// The member has to be there.
    Required,
    /// The argument is correct, but nothing in this version can honour it.
    NotAvailable,
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { nearest } => {
                write!(f, "is not a known name; the nearest is \"{nearest}\"")
            }
            Self::MustBe(what) => write!(f, "must be {what}"),
            Self::Excludes(other) => write!(f, "cannot be given together with \"{other}\""),
            Self::Required => write!(f, "is required"),
            Self::NotAvailable => write!(f, "is not available in this version"),
        }
    }
}

/// Cuts a text that a researcher wrote to a length that is safe in any message.
fn shorten(text: &str) -> String {
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    text.chars().take(LONGEST - 1).chain(['…']).collect()
}

fn shorten_value(value: &Value) -> Value {
    let text = value.to_string();
    if text.chars().count() <= LONGEST { value.clone() } else { Value::String(shorten(&text)) }
}

const LONGEST: usize = 80;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_long_value_is_cut_at_a_character_border() {
        let value = json!("é".repeat(500));
        let error = ArgumentError::new("epochs", Some(&value), Rule::MustBe("an integer"));
        let shown = error.value().as_str().expect("is a text");
        assert_eq!(shown.chars().count(), LONGEST);
        assert!(shown.ends_with('…'));
    }
}
