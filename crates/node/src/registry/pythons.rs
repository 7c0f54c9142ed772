//! The Python interpreters that the owner has registered for plans.

use protocol::Timestamp;
use runtime::python::Environment;
use rusqlite::{OptionalExtension, params};
use serde::{Deserialize, Serialize};
use store::{Transaction, rusqlite};

use super::{Error, from_json, to_json};

/// One registered interpreter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interpreter {
    /// Its name, unique at the node.
    pub name: String,
    /// What it was when it was added or last accepted.
    pub environment: Environment,
    /// When it was added.
    pub added_at: Timestamp,
}

/// Adds an interpreter.
///
/// # Errors
///
/// [`Error::PythonExists`] for a name that is taken.
pub fn add(transaction: &Transaction<'_>, interpreter: &Interpreter) -> Result<(), Error> {
    if by_name(transaction, &interpreter.name)?.is_some() {
        return Err(Error::PythonExists { name: interpreter.name.clone() });
    }
    transaction.execute(
        "INSERT INTO node_pythons (name, body) VALUES (?1, ?2)",
        params![interpreter.name, to_json(interpreter)],
    )?;
    Ok(())
}

/// Replaces what is known of an interpreter.
///
/// # Errors
///
/// [`Error::UnknownPython`] where there is none of this name.
pub fn replace(transaction: &Transaction<'_>, interpreter: &Interpreter) -> Result<(), Error> {
    let changed = transaction.execute(
        "UPDATE node_pythons SET body = ?2 WHERE name = ?1",
        params![interpreter.name, to_json(interpreter)],
    )?;
    found(changed, &interpreter.name)
}

/// Forgets an interpreter; its files stay.
///
/// # Errors
///
/// [`Error::UnknownPython`] where there is none of this name.
pub fn remove(transaction: &Transaction<'_>, name: &str) -> Result<(), Error> {
    let changed = transaction.execute("DELETE FROM node_pythons WHERE name = ?1", [name])?;
    found(changed, name)
}

/// All interpreters, by name.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn all(transaction: &Transaction<'_>) -> Result<Vec<Interpreter>, Error> {
    let mut select = transaction.prepare_cached("SELECT body FROM node_pythons ORDER BY name")?;
    let rows = select.query_map([], |row| row.get::<_, String>(0))?;
    rows.map(|row| from_json("an interpreter", &row?)).collect()
}

/// The interpreter of a name.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn by_name(transaction: &Transaction<'_>, name: &str) -> Result<Option<Interpreter>, Error> {
    let body: Option<String> = transaction
        .query_row("SELECT body FROM node_pythons WHERE name = ?1", [name], |row| row.get(0))
        .optional()?;
    body.map(|body| from_json("an interpreter", &body)).transpose()
}

/// The interpreter that rounds use: the one of the name that the owner chose, else the only one, else the one that
/// is called `default`.
///
/// # Errors
///
/// Where the database cannot be read.
pub fn chosen(
    transaction: &Transaction<'_>,
    wanted: Option<&str>,
) -> Result<Option<Interpreter>, Error> {
    if let Some(name) = wanted {
        return by_name(transaction, name);
    }
    let mut all = all(transaction)?;
    match all.len() {
        1 => Ok(all.pop()),
        _ => Ok(all.into_iter().find(|interpreter| interpreter.name == DEFAULT)),
    }
}

fn found(changed: usize, name: &str) -> Result<(), Error> {
    if changed == 0 { Err(Error::UnknownPython { name: name.to_owned() }) } else { Ok(()) }
}

/// The name of the interpreter that rounds use where there are several.
pub const DEFAULT: &str = "default";
