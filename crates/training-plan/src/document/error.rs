//! What is wrong with a document, and where.

use super::nearest;

/// A refusal of a plan, scale or experiment file: where, what, and perhaps a hint.
///
/// The message names file, line, key and rule; the hint is advice and stands beside it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}, line {}: {}", .0.file, .0.line, .0.problem)]
pub struct Error(Box<Parts>);

/// What an error says; boxed, because results that hold it should stay small.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    file: String,
    line: usize,
    key: String,
    problem: Problem,
    hint: Option<String>,
}

/// The rule that a document breaks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text is not TOML.
    #[error("not valid TOML: {0}")]
    Syntax(String),
    /// A key that nothing knows.
    #[error("unknown key {0:?}")]
    UnknownKey(String),
    /// A key that must be there is not.
    #[error("key {0:?} is missing")]
    Missing(String),
    /// A value breaks its key's rule.
    #[error("key {key:?} {rule}")]
    Rule {
        /// The key's full path, for example `data.target`.
        key: String,
        /// The rule in words, beginning with a verb.
        rule: String,
    },
}

impl Error {
    /// Refuses the value of `key`: `rule` is a sentence whose subject is the key.
    #[must_use]
    pub fn rule(file: &str, line: usize, key: &str, rule: impl Into<String>) -> Self {
        let problem = Problem::Rule { key: key.to_owned(), rule: rule.into() };
        Self::new(file, line, key, problem)
    }

    /// Refuses `found` as a name of `what`, with the nearest of the `known` names as a hint.
    #[must_use]
    pub fn unknown_name(at: (&str, usize, &str), what: &str, found: &str, known: &[&str]) -> Self {
        let (file, line, key) = at;
        let error = Self::rule(file, line, key, format!("names no known {what}: {found:?}"));
        error.with_hint(suggestion(found, known))
    }

    pub(super) fn syntax(file: &str, line: usize, message: &str) -> Self {
        let first = message.lines().next().unwrap_or_default();
        Self::new(file, line, "", Problem::Syntax(first.to_owned()))
    }

    pub(super) fn unknown_key(file: &str, line: usize, path: &str, known: &[&str]) -> Self {
        let name = path.rsplit('.').next().unwrap_or(path);
        let problem = Problem::UnknownKey(path.to_owned());
        Self::new(file, line, path, problem).with_hint(suggestion(name, known))
    }

    pub(super) fn missing(file: &str, line: usize, path: &str) -> Self {
        Self::new(file, line, path, Problem::Missing(path.to_owned()))
    }

    fn new(file: &str, line: usize, key: &str, problem: Problem) -> Self {
        Self(Box::new(Parts {
            file: file.to_owned(),
            line,
            key: key.to_owned(),
            problem,
            hint: None,
        }))
    }

    /// Sets the hint that stands beside the message.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Gives the file another name: a bundle's `plan.toml` had its own name on the writer's disk.
    #[must_use]
    pub fn in_file(mut self, file: &str) -> Self {
        file.clone_into(&mut self.0.file);
        self
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.0.file
    }

    /// The line, counted from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.0.line
    }

    /// The full path of the key, empty when the text is not TOML.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.0.key
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }

    /// What may help, for example the nearest known name.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }
}

fn suggestion(name: &str, known: &[&str]) -> String {
    match nearest(name, known) {
        Some(near) => format!("did you mean {near:?}?"),
        None if known.is_empty() => "nothing is expected here".to_owned(),
        None => format!("known: {}", known.join(", ")),
    }
}
