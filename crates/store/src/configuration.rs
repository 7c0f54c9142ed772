//! A role's configuration: one commented TOML file with environment variables over it, and every error in one line.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::{Spanned, Table, Value};

/// What a configuration is made of.
#[derive(Debug, Clone, Copy)]
pub struct Form {
    /// Whose it is, for messages: `node`.
    pub role: &'static str,
    /// What the names of its environment variables begin with: `WARDROUND_NODE_`; a key in capitals follows.
    pub prefix: &'static str,
    /// Every key.
    pub keys: &'static [&'static str],
}

/// The keys that a file and the environment set, each with the place it comes from.
#[derive(Debug)]
pub struct Configuration {
    path: PathBuf,
    table: Table,
    origins: BTreeMap<String, Origin>,
}

/// Where a key was set.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Origin {
    Line(usize),
    Variable(String),
}

/// What is wrong with a configuration, in one line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file to read.
    #[error("configuration {} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A line of the file breaks a rule.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The key and the rule.
        problem: String,
    },
    /// The file lacks something.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The key and the rule.
        problem: String,
    },
    /// A variable breaks a rule.
    #[error("environment variable {name}: {problem}")]
    Variable {
        /// The variable.
        name: String,
        /// The key and the rule.
        problem: String,
    },
    /// A variable names no key.
    #[error("environment variable {name} names no key of a {role}'s configuration")]
    UnknownVariable {
        /// The variable.
        name: String,
        /// Whose configuration it is.
        role: &'static str,
    },
}

impl Configuration {
    /// Reads a file, then the variables of its form among those given, which win over it.
    ///
    /// # Errors
    ///
    /// Names the file and line, or the variable, and the key that nothing knows.
    pub fn read(
        path: &Path,
        form: Form,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        let mut configuration = Self::parse(path, &text)?;
        configuration.check_keys(form)?;
        for (name, value) in variables {
            let Some(key) = name.strip_prefix(form.prefix) else { continue };
            let key = key.to_ascii_lowercase();
            if !form.keys.contains(&key.as_str()) {
                return Err(Error::UnknownVariable { name, role: form.role });
            }
            configuration.table.insert(key.clone(), spelled(&value));
            configuration.origins.insert(key, Origin::Variable(name));
        }
        Ok(configuration)
    }

    /// Turns the keys into a value of the program's own.
    ///
    /// # Errors
    ///
    /// Names the key whose value breaks a rule and where it was set, or the one that is missing.
    pub fn parse_into<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let failed = match self.table.clone().try_into::<T>() {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        let message = one_line(&failed);
        if let Some(name) = message.strip_prefix("missing field ") {
            let problem = format!("key {} is missing", name.replace('`', "\""));
            return Err(Error::File { path: self.path.clone(), problem });
        }
        // A key without which something else is said, or nothing, is the one that is meant; one that must be there
        // is missed first, and so is meant only where no other is.
        let without = |key: &String| {
            let mut others = self.table.clone();
            others.remove(key);
            others.try_into::<T>().err().map(|error| one_line(&error))
        };
        let is_missed = |said: &Option<String>| {
            said.as_ref().is_some_and(|said| said.starts_with("missing field "))
        };
        let suspects = self.table.keys().map(|key| (key, without(key)));
        let mut suspects: Vec<_> =
            suspects.filter(|(_, said)| said.as_ref() != Some(&message)).collect();
        suspects.sort_by_key(|(_, said)| is_missed(said));
        Err(match suspects.first() {
            Some((key, _)) => self.refusal(key, &message),
            None => Error::File { path: self.path.clone(), problem: message },
        })
    }

    /// The error of a key whose value breaks a rule: `rule` is a sentence whose subject is the key.
    pub fn broken(&self, key: &str, rule: &str) -> Error {
        self.place(key, format!("key \"{key}\" {rule}"))
    }

    fn parse(path: &Path, text: &str) -> Result<Self, Error> {
        let parsed: Result<BTreeMap<Spanned<String>, Value>, _> = toml::from_str(text);
        let parsed = parsed.map_err(|error| {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            let problem = format!("not valid TOML: {}", one_line(&error));
            Error::Line { path: path.to_owned(), line, problem }
        })?;
        let origin = |key: &Spanned<String>| Origin::Line(line_of(text, key.span().start));
        Ok(Self {
            path: path.to_owned(),
            origins: parsed.keys().map(|key| (key.get_ref().clone(), origin(key))).collect(),
            table: parsed.into_iter().map(|(key, value)| (key.into_inner(), value)).collect(),
        })
    }

    fn check_keys(&self, form: Form) -> Result<(), Error> {
        let unknown = self.table.keys().find(|key| !form.keys.contains(&key.as_str()));
        unknown.map_or(Ok(()), |key| {
            let known = form.keys.join(", ");
            Err(self.place(key, format!("unknown key \"{key}\", expected one of {known}")))
        })
    }

    fn refusal(&self, key: &str, message: &str) -> Error {
        self.place(key, format!("key \"{key}\": {message}"))
    }

    fn place(&self, key: &str, problem: String) -> Error {
        let path = self.path.clone();
        match self.origins.get(key) {
            Some(Origin::Line(line)) => Error::Line { path, line: *line, problem },
            Some(Origin::Variable(name)) => Error::Variable { name: name.clone(), problem },
            None => Error::File { path, problem },
        }
    }
}

/// A variable's text as the TOML value that it spells, else as a text.
fn spelled(text: &str) -> Value {
    let parsed: Option<Table> = toml::from_str(&format!("value = {text}")).ok();
    let value = parsed.and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn one_line(error: &toml::de::Error) -> String {
    error.message().lines().next().unwrap_or_default().to_owned()
}

/// The line of a byte, counted from 1.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Ward {
        name: String,
        #[serde(default)]
        beds: u8,
        #[serde(flatten)]
        rest: Rest,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    struct Rest {
        #[serde(default)]
        open: bool,
    }

    const FORM: Form = Form { role: "ward", prefix: "WARD_", keys: &["name", "beds", "open"] };

    fn ward(text: &str, variables: &[(&str, &str)]) -> Result<Ward, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ward.toml");
        std::fs::write(&path, text).unwrap();
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        let read = Configuration::read(&path, FORM, variables);
        let parsed = read.and_then(|configuration| configuration.parse_into());
        parsed.map_err(|error| error.to_string().replace(&path.display().to_string(), "ward.toml"))
    }

    #[test]
    fn a_variable_wins_over_the_file() {
        let variables = [("WARD_BEDS", "4"), ("WARD_OPEN", "true"), ("HOME", "/root")];
        let found = ward("name = \"a\"\nbeds = 3\n", &variables).unwrap();
        let rest = Rest { open: true };
        assert_eq!(found, Ward { name: "a".to_owned(), beds: 4, rest });
        assert_eq!(ward("", &[("WARD_NAME", "north")]).unwrap().name, "north");
    }

    #[test]
    fn every_error_is_one_line_with_its_place_key_and_rule() {
        let cases = [
            ("name = \"a\"\n\nbeds = 300\n", "ward.toml, line 3: key \"beds\": "),
            ("# a ward\nname = 7\n", "ward.toml, line 2: key \"name\": invalid type"),
            ("name = \"a\"\nopen = 1\n", "ward.toml, line 2: key \"open\": invalid type"),
            (
                "name = \"a\"\nbed = 3\n",
                "ward.toml, line 2: unknown key \"bed\", expected one of name, beds, open",
            ),
            ("name = \"a\"\nbeds = = 3\n", "ward.toml, line 2: not valid TOML: "),
            ("beds = 3\n", "ward.toml: key \"name\" is missing"),
        ];
        for (text, expected) in cases {
            let error = ward(text, &[]).unwrap_err();
            assert!(error.starts_with(expected) && error.lines().count() == 1, "{error}");
        }
        let error = ward("name = \"a\"", &[("WARD_BEDS", "many")]).unwrap_err();
        assert!(error.starts_with("environment variable WARD_BEDS: key \"beds\": "), "{error}");
        let error = ward("name = \"a\"", &[("WARD_BED", "3")]).unwrap_err();
        assert_eq!(error, "environment variable WARD_BED names no key of a ward's configuration");
    }
}
