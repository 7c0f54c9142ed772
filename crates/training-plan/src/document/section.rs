//! One table of a document, read key by key.

use serde_json::Value as Json;

use super::{Error, Item, Value};

/// A table of a document: its keys are known to be among the allowed ones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Section<'d> {
    file: &'d str,
    path: &'d str,
    line: usize,
    entries: &'d [(String, Item)],
}

impl<'d> Section<'d> {
    /// Opens a table; a value of another kind, or a key outside `known`, is refused.
    pub(crate) fn open(file: &'d str, item: &'d Item, known: &[&str]) -> Result<Self, Error> {
        let section = Self::open_any(file, item)?;
        for (key, entry) in section.entries {
            if !known.contains(&key.as_str()) {
                return Err(Error::unknown_key(file, entry.line, &entry.path, known));
            }
        }
        Ok(section)
    }

    /// Opens a table whose keys are the writer's own words, for example column names.
    pub(crate) fn open_any(file: &'d str, item: &'d Item) -> Result<Self, Error> {
        let Value::Table(entries) = &item.value else {
            return Err(wrong_kind(file, item, "a table"));
        };
        Ok(Self { file, path: &item.path, line: item.line, entries })
    }

    pub(crate) fn file(&self) -> &'d str {
        self.file
    }

    pub(crate) fn entries(&self) -> &'d [(String, Item)] {
        self.entries
    }

    pub(crate) fn item(&self, key: &str) -> Option<&'d Item> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, item)| item)
    }

    /// Opens a table below this one; absent is `None`.
    pub(crate) fn section(&self, key: &str, known: &[&str]) -> Result<Option<Section<'d>>, Error> {
        self.item(key).map(|item| Section::open(self.file, item, known)).transpose()
    }

    /// Opens a table that must be there.
    pub(crate) fn required_section(&self, key: &str, known: &[&str]) -> Result<Self, Error> {
        self.section(key, known)?.ok_or_else(|| self.missing(key))
    }

    /// Opens a table that must be there and whose keys somebody else judges.
    pub(crate) fn required_any_section(&self, key: &str) -> Result<Self, Error> {
        let item = self.item(key).ok_or_else(|| self.missing(key))?;
        Section::open_any(self.file, item)
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'d str>, Error> {
        self.item(key).map(|item| text(self.file, item)).transpose()
    }

    pub(crate) fn required_text(&self, key: &str) -> Result<&'d str, Error> {
        self.text(key)?.ok_or_else(|| self.missing(key))
    }

    /// Reads a text that must not be blank and is at most `longest` characters long.
    pub(crate) fn required_name(&self, key: &str, longest: usize) -> Result<&'d str, Error> {
        let name = self.required_text(key)?;
        if name.trim().is_empty() || name.chars().count() > longest {
            return Err(self.rule(key, format!("must have 1 to {longest} characters")));
        }
        if name.chars().any(char::is_control) {
            return Err(self.rule(key, "must be one line without control characters"));
        }
        Ok(name)
    }

    pub(crate) fn boolean(&self, key: &str) -> Result<Option<bool>, Error> {
        match self.item(key) {
            None => Ok(None),
            Some(Item { value: Value::Boolean(value), .. }) => Ok(Some(*value)),
            Some(item) => Err(wrong_kind(self.file, item, "a boolean")),
        }
    }

    /// Reads an integer from `least` to `most`.
    pub(crate) fn integer(&self, key: &str, least: u64, most: u64) -> Result<Option<u64>, Error> {
        let Some(item) = self.item(key) else { return Ok(None) };
        let Value::Integer(value) = item.value else {
            return Err(wrong_kind(self.file, item, "an integer"));
        };
        let found = u64::try_from(value).ok().filter(|found| (least..=most).contains(found));
        found.map(Some).ok_or_else(|| {
            let rule = if most == u64::MAX {
                format!("must be at least {least}, found {value}")
            } else {
                format!("must be from {least} to {most}, found {value}")
            };
            self.rule(key, rule)
        })
    }

    /// Reads a number; an integer counts as one.
    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, Error> {
        self.item(key).map(|item| number(self.file, item)).transpose()
    }

    pub(crate) fn required_number(&self, key: &str) -> Result<f64, Error> {
        self.number(key)?.ok_or_else(|| self.missing(key))
    }

    /// Reads a list of texts.
    pub(crate) fn texts(&self, key: &str) -> Result<Option<Vec<&'d str>>, Error> {
        let Some(items) = self.list(key)? else { return Ok(None) };
        items.iter().map(|item| text(self.file, item)).collect::<Result<_, _>>().map(Some)
    }

    /// Reads a list of texts that are all different and not empty.
    pub(crate) fn distinct_texts(&self, key: &str) -> Result<Option<Vec<&'d str>>, Error> {
        let Some(texts) = self.texts(key)? else { return Ok(None) };
        for (index, text) in texts.iter().enumerate() {
            if text.is_empty() {
                return Err(self.rule(key, "must not hold an empty string"));
            }
            if texts[..index].contains(text) {
                return Err(self.rule(key, format!("names {text:?} twice")));
            }
        }
        Ok(Some(texts))
    }

    /// Reads a list of numbers.
    pub(crate) fn numbers(&self, key: &str) -> Result<Option<Vec<f64>>, Error> {
        let Some(items) = self.list(key)? else { return Ok(None) };
        items.iter().map(|item| number(self.file, item)).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn list(&self, key: &str) -> Result<Option<&'d [Item]>, Error> {
        match self.item(key) {
            None => Ok(None),
            Some(Item { value: Value::Array(items), .. }) => Ok(Some(items)),
            Some(item) => Err(wrong_kind(self.file, item, "a list")),
        }
    }

    /// Reads a word out of a fixed list and gives what it stands for.
    pub(crate) fn choice<T: Copy>(
        &self,
        key: &str,
        choices: &[(&str, T)],
    ) -> Result<Option<T>, Error> {
        let Some(found) = self.text(key)? else { return Ok(None) };
        if let Some((_, chosen)) = choices.iter().find(|(name, _)| *name == found) {
            return Ok(Some(*chosen));
        }
        let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
        let rule = format!("must be one of {}, found {found:?}", names.join(", "));
        let error = self.rule(key, rule);
        Err(match super::nearest(found, &names) {
            Some(near) => error.with_hint(format!("did you mean {near:?}?")),
            None => error,
        })
    }

    /// Turns everything but the keys of `except` into JSON.
    pub(crate) fn json_except(
        &self,
        except: &[&str],
    ) -> Result<serde_json::Map<String, Json>, Error> {
        let kept = self.entries.iter().filter(|(key, _)| !except.contains(&key.as_str()));
        kept.map(|(key, item)| Ok((key.clone(), json(self.file, item)?))).collect()
    }

    /// Refuses the value of `key`, or the whole section where the key is absent.
    pub(crate) fn rule(&self, key: &str, rule: impl Into<String>) -> Error {
        let line = self.item(key).map_or(self.line, |item| item.line);
        Error::rule(self.file, line, &self.key_path(key), rule)
    }

    /// Refuses a value somewhere below `key`: its line is that of the deepest part of `path` that is there.
    pub(crate) fn rule_below(&self, key: &str, path: &str, rule: impl Into<String>) -> Error {
        let full = if path == key { key.to_owned() } else { format!("{key}.{path}") };
        let mut line = self.line;
        let mut here = Some(self.entries);
        for part in full.split('.') {
            let Some((_, item)) = here.and_then(|list| list.iter().find(|(name, _)| name == part))
            else {
                break;
            };
            line = item.line;
            here = match &item.value {
                Value::Table(entries) => Some(entries),
                Value::Text(_)
                | Value::Integer(_)
                | Value::Float(_)
                | Value::Boolean(_)
                | Value::Datetime
                | Value::Array(_) => None,
            };
        }
        Error::rule(self.file, line, &full, rule)
    }

    pub(crate) fn missing(&self, key: &str) -> Error {
        Error::missing(self.file, self.line, &self.key_path(key))
    }

    fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}

/// Turns a value into JSON; dates have none.
pub(crate) fn json(file: &str, item: &Item) -> Result<Json, Error> {
    Ok(match &item.value {
        Value::Text(text) => Json::from(text.as_str()),
        Value::Integer(value) => match u64::try_from(*value) {
            Ok(value) => Json::from(value),
            Err(_) => Json::from(i64::try_from(*value).unwrap_or(i64::MIN)),
        },
        Value::Float(value) => Json::from(*value),
        Value::Boolean(value) => Json::from(*value),
        Value::Datetime => {
            return Err(wrong_kind(file, item, "a string, number, boolean, list or table"));
        }
        Value::Array(items) => {
            Json::from(items.iter().map(|item| json(file, item)).collect::<Result<Vec<_>, _>>()?)
        }
        Value::Table(entries) => entries
            .iter()
            .map(|(key, item)| Ok((key.clone(), json(file, item)?)))
            .collect::<Result<serde_json::Map<_, _>, Error>>()?
            .into(),
    })
}

fn text<'d>(file: &str, item: &'d Item) -> Result<&'d str, Error> {
    match &item.value {
        Value::Text(text) => Ok(text),
        Value::Integer(_)
        | Value::Float(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_) => Err(wrong_kind(file, item, "a string")),
    }
}

#[expect(clippy::cast_precision_loss, reason = "an integer stands for the nearest number")]
fn number(file: &str, item: &Item) -> Result<f64, Error> {
    match item.value {
        Value::Float(value) => Ok(value),
        Value::Integer(value) => Ok(value as f64),
        Value::Text(_)
        | Value::Boolean(_)
        | Value::Datetime
        | Value::Array(_)
        | Value::Table(_) => Err(wrong_kind(file, item, "a number")),
    }
}

fn wrong_kind(file: &str, item: &Item, expected: &str) -> Error {
    let rule = format!("must be {expected}, found {}", item.value.kind());
    Error::rule(file, item.line, &item.path, rule)
}
