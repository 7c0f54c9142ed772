//! Typed details: the only specifics of a failure that may leave a node.

use std::fmt;

use serde::{Deserialize, Serialize};

/// At most one of these accompanies a code. None of them can hold a free text of a plan or of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detail {
    /// A training or model argument, as the researcher gave it.
    Argument {
        /// The argument's name, with its group: `loader_args.batch_size`.
        key: String,
        /// The value that was given.
        value: serde_json::Value,
        /// The rule that it breaks.
        rule: String,
    },
    /// Tensors that are not as they should be.
    Tensors {
        /// What the plan's model, or the declaration, has.
        expected: Vec<TensorDetail>,
        /// What was received.
        found: Vec<TensorDetail>,
    },
    /// A bound and the value that exceeds it.
    Bound {
        /// The bound's name.
        bound: String,
        /// Its limit.
        limit: f64,
        /// What was asked for.
        requested: f64,
    },
    /// A well-known class of exception at a line of the approved plan.
    Exception {
        /// The class, from the known list, else `Error`.
        class: String,
        /// The line inside the plan, from 1.
        line: Option<u32>,
    },
}

impl Detail {
    /// The detail as one short line for people, whoever sent it: at most [`LONGEST_LINE`] characters, none of which
    /// controls a terminal.
    #[must_use]
    pub fn in_words(&self) -> String {
        let line = self.to_string();
        line.chars().filter(|character| !character.is_control()).take(LONGEST_LINE).collect()
    }
}

impl fmt::Display for Detail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument { key, rule, .. } => write!(formatter, "{key} {rule}"),
            Self::Bound { bound, limit, requested } => {
                write!(formatter, "the bound \"{bound}\" is {limit}, and {requested} was found")
            }
            Self::Exception { class, line: Some(line) } => {
                write!(formatter, "{class} in line {line} of the plan")
            }
            Self::Exception { class, line: None } => formatter.write_str(class),
            Self::Tensors { expected, found } => write_tensors(formatter, expected, found),
        }
    }
}

/// Says the first tensor that is not as it should be.
fn write_tensors(
    formatter: &mut fmt::Formatter<'_>,
    expected: &[TensorDetail],
    found: &[TensorDetail],
) -> fmt::Result {
    let missing = expected.iter().find(|tensor| !found.contains(tensor));
    let other = found.iter().find(|tensor| !expected.contains(tensor));
    match (missing, other) {
        (Some(missing), Some(other)) => write!(formatter, "expected {missing}, found {other}"),
        (Some(missing), None) => write!(formatter, "{missing} is missing"),
        (None, Some(other)) => write!(formatter, "{other} was not expected"),
        (None, None) => formatter.write_str("the tensors have another order"),
    }
}

impl fmt::Display for TensorDetail {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?} {}", self.name, self.shape, self.dtype)
    }
}

/// The most characters of a detail in words.
pub const LONGEST_LINE: usize = 300;

/// One tensor's name, shape and element type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorDetail {
    /// The tensor's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Its element type as safetensors writes it: `F32`.
    pub dtype: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detail_has_words() {
        let tensor = |name: &str| TensorDetail {
            name: name.to_owned(),
            shape: vec![30, 1],
            dtype: "F32".to_owned(),
        };
        let rule = "must be at most 5".to_owned();
        for (detail, words) in [
            (
                Detail::Argument { key: "epochs".to_owned(), value: 6.into(), rule },
                "epochs must be at most 5",
            ),
            (
                Detail::Bound { bound: "rounds".to_owned(), limit: 50.0, requested: 51.0 },
                "the bound \"rounds\" is 50, and 51 was found",
            ),
            (
                Detail::Exception { class: "ValueError".to_owned(), line: Some(12) },
                "ValueError in line 12 of the plan",
            ),
            (
                Detail::Tensors { expected: vec![tensor("a")], found: vec![tensor("b")] },
                "expected a [30, 1] F32, found b [30, 1] F32",
            ),
        ] {
            assert_eq!(detail.in_words(), words);
        }
    }

    #[test]
    fn words_from_elsewhere_are_short_and_command_no_terminal() {
        let hostile = Detail::Argument {
            key: "\u{1b}[2J".to_owned(),
            value: serde_json::Value::Null,
            rule: "x\n".repeat(10_000),
        };
        let words = hostile.in_words();
        assert_eq!(words.chars().count(), LONGEST_LINE);
        assert!(!words.chars().any(char::is_control), "{words:?}");
    }
}
