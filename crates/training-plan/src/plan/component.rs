//! A named part of a plan whose fields the engine knows: a layer, a loss, an optimizer.

use serde_json::{Map, Value as Json};

use crate::document::{Error, Section};

/// A layer, a loss or an optimizer: its name, its fields and where it stands in the plan.
#[derive(Clone, Debug)]
pub struct Component {
    /// The kind, for example `dense`.
    pub name: String,
    /// The fields as the plan gives them.
    pub fields: Map<String, Json>,
    /// The line in `plan.toml`, counted from 1.
    pub line: usize,
    /// The full path of the key, for example `model.layers[0].dense`.
    pub key: String,
}

impl PartialEq for Component {
    /// Compares what the parts are, not where they stand.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.fields == other.fields
    }
}

impl Component {
    /// Reads a table with a `kind` whose other keys, but those in `except`, are its fields.
    pub(super) fn of_kind(section: Section<'_>, except: &[&str]) -> Result<Self, Error> {
        let name = section.required_text("kind")?.to_owned();
        let item = section.item("kind").expect("the kind was just read");
        let key = item.path.clone();
        Ok(Self { name, fields: section.json_except(except)?, line: item.line, key })
    }

    /// Makes the error that refuses this part: `rule` is a sentence whose subject is the key.
    #[must_use]
    pub fn refused(&self, rule: impl Into<String>) -> Error {
        Error::rule(crate::bundle::PLAN_FILE, self.line, &self.key, rule)
    }

    /// Makes the error that says the name is not among the `known` ones of `what`.
    #[must_use]
    pub fn unknown(&self, what: &str, known: &[&str]) -> Error {
        let at = (crate::bundle::PLAN_FILE, self.line, self.key.as_str());
        Error::unknown_name(at, what, &self.name, known)
    }
}
