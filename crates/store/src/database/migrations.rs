//! Bringing a database's schema to the version this program knows, and refusing every other.

use protocol::Digest;
use rusqlite::{Connection, OptionalExtension, params};

use super::Transaction;

/// One step of a schema: its number and the SQL that takes the previous version there.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Counts from 1 without a gap.
    pub version: u32,
    /// One or more statements. Once released, never changed: its digest is in every database.
    pub sql: &'static str,
}

/// The ordered steps of one component's tables.
///
/// A database holds the tables of several components; each numbers its steps for itself.
#[derive(Clone, Copy, Debug)]
pub struct Migrations {
    /// Names the component, for instance `journal`.
    pub component: &'static str,
    /// The steps, in order.
    pub steps: &'static [Migration],
}

/// Why a database's schema is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database was written by a newer version of the program.
    #[error(
        "schema of \"{component}\" has version {found}, this version of the program knows {known}"
    )]
    Newer {
        /// Whose tables.
        component: String,
        /// The version in the database.
        found: u32,
        /// The last version this program knows.
        known: u32,
    },
    /// The database holds tables of a component that this program does not have.
    #[error("schema holds tables of \"{component}\", which this version of the program lacks")]
    UnknownComponent {
        /// Whose tables.
        component: String,
    },
    /// A step that was applied earlier is not the step this program has under that number.
    #[error("schema of \"{component}\" was made with another step {version} than this program has")]
    AlteredStep {
        /// Whose tables.
        component: String,
        /// The step's number.
        version: u32,
    },
    /// The tables are not those which the steps made.
    #[error("schema was altered by something other than this program")]
    AlteredSchema,
    /// The program's own list of steps has a gap or is out of order.
    #[error("steps of \"{component}\" are not numbered 1, 2, …: position {position} has {version}")]
    Misnumbered {
        /// Whose tables.
        component: String,
        /// Position in the list, from 1.
        position: usize,
        /// The number found there.
        version: u32,
    },
    /// A step failed, or the list of applied steps cannot be read.
    #[error("schema cannot be read or changed")]
    Unusable(#[from] rusqlite::Error),
}

/// The version of each component's tables, by the component's name.
///
/// # Errors
///
/// The database cannot be read.
pub fn versions(transaction: &Transaction<'_>) -> Result<Vec<(String, u32)>, super::Error> {
    let mut select = transaction.prepare(
        "SELECT component, max(version) FROM schema_steps GROUP BY component ORDER BY component",
    )?;
    let rows = select.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Checks what is there and applies what is missing, all in one transaction.
pub(crate) fn apply(connection: &mut Connection, components: &[Migrations]) -> Result<(), Error> {
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let recorded = recorded_schema(&transaction)?;
    if recorded.is_some_and(|recorded| recorded != schema_digest_or_empty(&transaction)) {
        return Err(Error::AlteredSchema);
    }
    transaction.execute_batch(OWN_TABLES)?;
    refuse_unknown_components(&transaction, components)?;
    for component in components {
        apply_component(&transaction, component)?;
    }
    record_schema(&transaction)?;
    transaction.commit()?;
    Ok(())
}

fn apply_component(connection: &Connection, component: &Migrations) -> Result<(), Error> {
    let name = component.component;
    check_numbering(component)?;
    let known = component.steps.last().map_or(0, |step| step.version);
    let found = applied_version(connection, name)?;
    if found > known {
        return Err(Error::Newer { component: name.to_owned(), found, known });
    }
    for step in component.steps {
        let digest = Digest::of(step.sql.as_bytes()).to_string();
        match applied_digest(connection, name, step.version)? {
            Some(applied) if applied == digest => {}
            Some(_) => {
                let version = step.version;
                return Err(Error::AlteredStep { component: name.to_owned(), version });
            }
            None => {
                connection.execute_batch(step.sql)?;
                connection.execute(
                    "INSERT INTO schema_steps (component, version, digest) VALUES (?1, ?2, ?3)",
                    params![name, step.version, digest],
                )?;
            }
        }
    }
    Ok(())
}

fn check_numbering(component: &Migrations) -> Result<(), Error> {
    for (position, step) in (1_usize..).zip(component.steps) {
        if u32::try_from(position) != Ok(step.version) {
            let component = component.component.to_owned();
            return Err(Error::Misnumbered { component, position, version: step.version });
        }
    }
    Ok(())
}

fn refuse_unknown_components(
    connection: &Connection,
    components: &[Migrations],
) -> Result<(), Error> {
    let mut statement = connection.prepare("SELECT DISTINCT component FROM schema_steps")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let component: String = row.get(0)?;
        if !components.iter().any(|known| known.component == component) {
            return Err(Error::UnknownComponent { component });
        }
    }
    Ok(())
}

fn applied_version(connection: &Connection, component: &str) -> rusqlite::Result<u32> {
    connection.query_row(
        "SELECT coalesce(max(version), 0) FROM schema_steps WHERE component = ?1",
        [component],
        |row| row.get(0),
    )
}

fn applied_digest(
    connection: &Connection,
    component: &str,
    version: u32,
) -> rusqlite::Result<Option<String>> {
    connection
        .query_row(
            "SELECT digest FROM schema_steps WHERE component = ?1 AND version = ?2",
            params![component, version],
            |row| row.get(0),
        )
        .optional()
}

/// The digest that was recorded at the last opening; none in a new database.
fn recorded_schema(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(None);
    }
    let digest =
        connection.query_row("SELECT digest FROM schema_state", [], |row| row.get(0)).optional();
    // Tables without our record of them: the file belongs to another program.
    Ok(Some(digest.ok().flatten().unwrap_or_default()))
}

fn record_schema(connection: &Connection) -> rusqlite::Result<()> {
    let digest = schema_digest(connection)?;
    connection.execute("DELETE FROM schema_state", [])?;
    connection.execute("INSERT INTO schema_state (digest) VALUES (?1)", [digest])?;
    Ok(())
}

fn schema_digest_or_empty(connection: &Connection) -> String {
    schema_digest(connection).unwrap_or_default()
}

fn schema_digest(connection: &Connection) -> rusqlite::Result<String> {
    let mut statement = connection.prepare(
        "SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_schema \
         WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name",
    )?;
    let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
    let text = lines.collect::<rusqlite::Result<Vec<_>>>()?.join("\n");
    Ok(Digest::of(text.as_bytes()).to_string())
}

const OWN_TABLES: &str = "
    CREATE TABLE IF NOT EXISTS schema_steps (
        component TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (component, version)
    ) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS schema_state (digest TEXT NOT NULL);
";

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Migration =
        Migration { version: 1, sql: "CREATE TABLE patients (id INTEGER PRIMARY KEY)" };
    const SECOND: Migration = Migration { version: 2, sql: "ALTER TABLE patients ADD name TEXT" };
    const ONE: Migrations = Migrations { component: "ward", steps: &[FIRST] };
    const TWO: Migrations = Migrations { component: "ward", steps: &[FIRST, SECOND] };

    fn open() -> Connection {
        Connection::open_in_memory().unwrap()
    }

    #[test]
    fn steps_are_applied_once_and_later_ones_on_top_of_the_rows_that_are_there() {
        let mut connection = open();
        apply(&mut connection, &[ONE]).unwrap();
        connection.execute("INSERT INTO patients (id) VALUES (7)", []).unwrap();
        apply(&mut connection, &[ONE]).unwrap();
        apply(&mut connection, &[TWO]).unwrap();
        let row: (i64, Option<String>) = connection
            .query_row("SELECT id, name FROM patients", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        assert_eq!(row, (7, None));
    }

    #[test]
    fn a_newer_schema_is_refused_in_words() {
        let mut connection = open();
        apply(&mut connection, &[TWO]).unwrap();
        let error = apply(&mut connection, &[ONE]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "schema of \"ward\" has version 2, this version of the program knows 1"
        );
    }

    #[test]
    fn a_step_that_changed_after_it_was_applied_is_refused() {
        const OTHER: Migration = Migration { version: 1, sql: "CREATE TABLE patients (id TEXT)" };
        let mut connection = open();
        apply(&mut connection, &[ONE]).unwrap();
        let other = Migrations { component: "ward", steps: &[OTHER] };
        let error = apply(&mut connection, &[other]).unwrap_err();
        assert!(matches!(error, Error::AlteredStep { version: 1, .. }), "{error:?}");
    }

    #[test]
    fn tables_that_something_else_altered_are_refused() {
        let mut connection = open();
        apply(&mut connection, &[ONE]).unwrap();
        connection.execute_batch("ALTER TABLE patients ADD ward TEXT").unwrap();
        let error = apply(&mut connection, &[ONE]).unwrap_err();
        assert!(matches!(error, Error::AlteredSchema), "{error:?}");
    }

    #[test]
    fn another_programs_database_is_refused_untouched() {
        let mut connection = open();
        connection.execute_batch("CREATE TABLE theirs (id INTEGER)").unwrap();
        let error = apply(&mut connection, &[ONE]).unwrap_err();
        assert!(matches!(error, Error::AlteredSchema), "{error:?}");
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 1);
    }

    #[test]
    fn tables_of_a_component_that_is_not_here_are_refused() {
        let mut connection = open();
        apply(&mut connection, &[ONE]).unwrap();
        let error = apply(&mut connection, &[]).unwrap_err();
        assert!(matches!(error, Error::UnknownComponent { .. }), "{error:?}");
    }

    #[test]
    fn a_step_that_fails_leaves_nothing_behind() {
        const BAD: Migration = Migration { version: 2, sql: "CREATE TABLE a (id); NONSENSE" };
        let mut connection = open();
        apply(&mut connection, &[ONE]).unwrap();
        let bad = Migrations { component: "ward", steps: &[FIRST, BAD] };
        assert!(apply(&mut connection, &[bad]).is_err());
        apply(&mut connection, &[TWO]).unwrap();
    }

    #[test]
    fn a_list_with_a_gap_is_refused() {
        let gap = Migrations { component: "ward", steps: &[SECOND] };
        let error = apply(&mut open(), &[gap]).unwrap_err();
        assert!(matches!(error, Error::Misnumbered { position: 1, version: 2, .. }), "{error:?}");
    }
}
