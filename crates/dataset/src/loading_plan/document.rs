//! Strict reading of a plan's text: every refusal names line, key and rule.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{CategoryMap, Error, Folders, LoadingPlan, Renaming, Unit};
use crate::Kind;
use crate::limits::LOADING_PLAN_BYTES;

/// Reads a plan's text.
pub(super) fn parse(text: &str) -> Result<LoadingPlan, Error> {
    if text.len() > LOADING_PLAN_BYTES {
        return Err(Error::TooLong { limit: LOADING_PLAN_BYTES });
    }
    let table = DeTable::parse(text).map_err(|error| Error::Syntax {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        problem: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    let root = Section::of(text, "", table.get_ref());
    let kind_entry = root.required("kind")?;
    let kind: Kind = kind_entry.text()?.parse().map_err(|_| {
        kind_entry.broken("must be \"table\", \"image-folder\" or \"medical-folder\"")
    })?;
    root.check_keys(&[COMMON, keys_of(kind)].concat())?;
    let name = root.required("name")?;
    let version = root.required("version")?;
    let plan = LoadingPlan {
        kind,
        name: name.name()?.to_owned(),
        version: version.version()?,
        description: match root.entry("description") {
            Some(entry) => entry.text()?.to_owned(),
            None => String::new(),
        },
        columns: root.section("columns")?.map_or(Ok(Vec::new()), |section| renamings(&section))?,
        categories: each(&root, "categories", category_map)?,
        units: each(&root, "units", unit)?,
        classes: folders(&root, "classes")?,
        modalities: folders(&root, "modalities")?,
    };
    Ok(plan)
}

fn keys_of(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Table => &["columns", "categories", "units"],
        Kind::ImageFolder => &["classes"],
        Kind::MedicalFolder => &["modalities", "columns", "categories", "units"],
    }
}

fn renamings(section: &Section<'_>) -> Result<Vec<Renaming>, Error> {
    let mut found: Vec<Renaming> = Vec::new();
    for entry in &section.entries {
        let renaming = Renaming { column: entry.key.clone(), here: entry.word()?.to_owned() };
        if found.iter().any(|other| other.here == renaming.here) {
            return Err(entry.broken("names a column that another key names already"));
        }
        found.push(renaming);
    }
    Ok(found)
}

fn category_map(section: &Section<'_>, column: &str) -> Result<CategoryMap, Error> {
    let values = section.entries.iter().map(|entry| Ok((entry.key.clone(), entry.value()?)));
    let values = values.collect::<Result<Vec<_>, Error>>()?;
    if values.is_empty() {
        return Err(section.broken("must map at least one value"));
    }
    Ok(CategoryMap { column: column.to_owned(), values })
}

fn unit(section: &Section<'_>, column: &str) -> Result<Unit, Error> {
    section.check_keys(&["from", "to", "factor", "offset"])?;
    let number = |key, absent| section.entry(key).map_or(Ok(absent), Entry::number);
    let (factor, offset) = (number("factor", 1.0)?, number("offset", 0.0)?);
    if factor == 0.0 {
        return Err(section.required("factor")?.broken("must not be 0"));
    }
    if section.entry("factor").is_none() && section.entry("offset").is_none() {
        return Err(section.broken("must have a factor, an offset or both"));
    }
    let text = |key| Ok::<_, Error>(section.required(key)?.word()?.to_owned());
    Ok(Unit { column: column.to_owned(), from: text("from")?, to: text("to")?, factor, offset })
}

/// One value of each table in a table.
fn each<T>(
    root: &Section<'_>,
    key: &str,
    read: impl Fn(&Section<'_>, &str) -> Result<T, Error>,
) -> Result<Vec<T>, Error> {
    let Some(section) = root.section(key)? else { return Ok(Vec::new()) };
    let tables = section.entries.iter().map(|entry| read(&entry.section()?, &entry.key));
    tables.collect()
}

fn folders(root: &Section<'_>, key: &str) -> Result<Vec<Folders>, Error> {
    let Some(section) = root.section(key)? else { return Ok(Vec::new()) };
    if section.entries.is_empty() {
        return Err(section.broken("must name at least one folder"));
    }
    let mut seen: Vec<String> = Vec::new();
    let mut parts = Vec::new();
    for entry in &section.entries {
        let folders = entry.folder_names()?;
        if let Some(again) = folders.iter().find(|folder| seen.contains(folder)) {
            return Err(entry.broken(&format!("names folder {again:?} a second time")));
        }
        seen.extend(folders.iter().cloned());
        parts.push(Folders { name: entry.key.clone(), folders });
    }
    Ok(parts)
}

/// A table of the text, its keys in the order in which they are written.
struct Section<'t> {
    path: String,
    line: usize,
    entries: Vec<Entry<'t>>,
}

/// A key and its value.
struct Entry<'t> {
    text: &'t str,
    key: String,
    path: String,
    line: usize,
    value: &'t DeValue<'t>,
}

impl<'t> Section<'t> {
    fn of(text: &'t str, path: &str, table: &'t DeTable<'t>) -> Self {
        let mut places: Vec<(usize, Entry<'t>)> = table
            .iter()
            .map(|(key, value): (&Spanned<_>, &Spanned<DeValue<'t>>)| {
                let start = key.span().start;
                let key = key.get_ref().to_string();
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                let line = line_of(text, start);
                (start, Entry { text, key, path, line, value: value.get_ref() })
            })
            .collect();
        places.sort_by_key(|(start, _)| *start);
        let line = places.first().map_or(1, |(_, entry)| entry.line);
        let entries = places.into_iter().map(|(_, entry)| entry).collect();
        Self { path: path.to_owned(), line, entries }
    }

    fn entry(&self, key: &str) -> Option<&Entry<'t>> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    fn required(&self, key: &str) -> Result<&Entry<'t>, Error> {
        let path =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        self.entry(key).ok_or(Error::Missing(path))
    }

    fn section(&self, key: &str) -> Result<Option<Section<'t>>, Error> {
        self.entry(key).map(Entry::section).transpose()
    }

    fn check_keys(&self, known: &[&str]) -> Result<(), Error> {
        match self.entries.iter().find(|entry| !known.contains(&entry.key.as_str())) {
            None => Ok(()),
            Some(entry) => Err(Error::UnknownKey {
                line: entry.line,
                key: entry.path.clone(),
                known: known.join(", "),
            }),
        }
    }

    fn broken(&self, rule: &str) -> Error {
        Error::Rule { line: self.line, key: self.path.clone(), rule: rule.to_owned() }
    }
}

impl<'t> Entry<'t> {
    fn section(&self) -> Result<Section<'t>, Error> {
        match self.value {
            DeValue::Table(table) => {
                let mut section = Section::of(self.text, &self.path, table);
                section.line = self.line;
                Ok(section)
            }
            _ => Err(self.broken("must be a table")),
        }
    }

    fn text(&self) -> Result<&'t str, Error> {
        match self.value {
            DeValue::String(text) => Ok(text),
            _ => Err(self.broken("must be a text in quotes")),
        }
    }

    /// A text that is not empty and has no blanks around it.
    fn word(&self) -> Result<&'t str, Error> {
        let text = self.text()?;
        if text.is_empty() || text.trim() != text || text.len() > LONGEST_WORD {
            return Err(self.broken("must be a text of 1 to 1024 bytes without blanks around it"));
        }
        Ok(text)
    }

    /// The plan's name, which stands in requests and on the wire.
    fn name(&self) -> Result<&'t str, Error> {
        let text = self.text()?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        if begins && text.len() <= 64 && text.bytes().all(allowed) {
            return Ok(text);
        }
        let rule = "must have 1 to 64 letters, digits, \".\", \"_\" and \"-\", and begin with a letter or digit";
        Err(self.broken(rule))
    }

    fn version(&self) -> Result<u32, Error> {
        let parsed = match self.value {
            DeValue::Integer(integer) => {
                u32::from_str_radix(integer.as_str(), integer.radix()).ok()
            }
            _ => None,
        };
        parsed
            .filter(|version| *version > 0)
            .ok_or_else(|| self.broken("must be a whole number from 1"))
    }

    fn number(&self) -> Result<f64, Error> {
        let text = match self.value {
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().to_owned(),
            DeValue::Float(float) => float.as_str().to_owned(),
            _ => String::new(),
        };
        let parsed = text.parse::<f64>().ok().filter(|number| number.is_finite());
        parsed.ok_or_else(|| self.broken("must be a finite number"))
    }

    /// What a value is to the study: a text, a number or a truth value, as a cell's text.
    fn value(&self) -> Result<String, Error> {
        match self.value {
            DeValue::String(text) if text.trim() == text && text.len() <= LONGEST_WORD => {
                Ok(text.to_string())
            }
            DeValue::Integer(integer) if integer.radix() == 10 => Ok(integer.as_str().to_owned()),
            DeValue::Float(_) => Ok(self.number()?.to_string()),
            DeValue::Boolean(value) => Ok(value.to_string()),
            _ => {
                Err(self
                    .broken("must be a text without blanks around it, a number, or true or false"))
            }
        }
    }

    fn folder_names(&self) -> Result<Vec<String>, Error> {
        let rule = "must be a folder's name, or a list of at least one";
        let names = match self.value {
            DeValue::String(name) => vec![name.to_string()],
            DeValue::Array(array) => {
                let names = array.iter().map(|item| match item.get_ref() {
                    DeValue::String(name) => Ok(name.to_string()),
                    _ => Err(self.broken(rule)),
                });
                names.collect::<Result<_, _>>()?
            }
            _ => return Err(self.broken(rule)),
        };
        let is_name = |name: &String| !name.is_empty() && !name.contains('/') && name != "..";
        if names.is_empty() || !names.iter().all(is_name) {
            return Err(self.broken(rule));
        }
        Ok(names)
    }

    fn broken(&self, rule: &str) -> Error {
        Error::Rule { line: self.line, key: self.path.clone(), rule: rule.to_owned() }
    }
}

/// The line of a byte, counted from 1.
fn line_of(text: &str, byte: usize) -> usize {
    1 + text.bytes().take(byte).filter(|byte| *byte == b'\n').count()
}

/// The keys of every plan.
const COMMON: &[&str] = &["kind", "name", "version", "description"];
const LONGEST_WORD: usize = 1024;
