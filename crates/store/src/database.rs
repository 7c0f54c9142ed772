//! A SQLite database with one writer, whose commits survive the loss of power.
//!
//! Work is a closure. It is queued, runs on the writer's thread inside a transaction, and its
//! result comes back once the commit is on the disk. What waits together is committed together:
//! many small writes cost one synchronisation. A closure that fails undoes its own writes only.

mod checkpointer;
mod company;
pub mod migrations;
mod queue;

use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, Params, Row};
use tokio::sync::{mpsc, oneshot};

use self::checkpointer::Checkpointer;
use self::company::Company;
pub use self::migrations::{Migration, Migrations};
use self::queue::{Job, Service, Work};

/// A handle to an open database; clones share it.
///
/// The database closes when the last handle is dropped, after everything queued is done.
///
/// # Examples
///
/// ```
/// use store::database::{Database, Error, Migration, Migrations};
///
/// const TABLES: Migrations = Migrations {
///     component: "example",
///     steps: &[Migration { version: 1, sql: "CREATE TABLE names (name TEXT PRIMARY KEY)" }],
/// };
///
/// let folder = tempfile::tempdir()?;
/// let database = Database::open(&folder.path().join("example.sqlite"), &[TABLES])?;
/// database.write_blocking(|transaction| -> Result<_, Error> {
///     Ok(transaction.execute("INSERT INTO names (name) VALUES ('north')", [])?)
/// })?;
/// let count = database.read_blocking(|transaction| -> Result<i64, Error> {
///     Ok(transaction.query_row("SELECT count(*) FROM names", [], |row| row.get(0))?)
/// })?;
/// assert_eq!(count, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Database {
    inner: Arc<Inner>,
}

/// A connection inside a transaction; what a closure is given.
///
/// It dereferences to [`rusqlite::Connection`]. The transaction is not the closure's to begin or
/// end: returning `Ok` keeps its writes, returning `Err` undoes them.
#[derive(Debug)]
pub struct Transaction<'connection> {
    connection: &'connection Connection,
}

/// Why a database could not be opened or a piece of work is undone.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened as a database.
    #[error("database {} cannot be opened", path.display())]
    Unopenable {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The file is damaged, or no database at all.
    #[error("database {} is damaged: {finding}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The first thing found wrong.
        finding: String,
    },
    /// The tables are not those of this version of the program.
    #[error("database {} is refused", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What is wrong with them.
        source: migrations::Error,
    },
    /// The disk is full; what was committed earlier is safe.
    #[error("the disk that holds the database is full")]
    DiskFull,
    /// The commit that this work was part of did not happen.
    #[error("the database did not commit")]
    NotCommitted(#[source] Arc<rusqlite::Error>),
    /// A statement failed.
    #[error("a database statement is not possible")]
    Statement(#[source] rusqlite::Error),
    /// The work itself panicked; its writes are undone.
    #[error("a piece of database work panicked")]
    Panicked,
    /// The database's thread cannot be started or has ended.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Statement(error),
        }
    }
}

impl Database {
    /// Opens the database at `path`, creating it if need be, checks it whole and brings its tables
    /// to the versions that `components` state.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Damaged`] for a file that does not pass SQLite's integrity check and
    /// [`Error::Schema`] for tables that are newer, altered or not ours.
    pub fn open(path: &Path, components: &[Migrations]) -> Result<Self, Error> {
        let mut connection = connect(path)?;
        check_integrity(&connection, path)?;
        migrations::apply(&mut connection, components)
            .map_err(|source| Error::Schema { path: path.to_owned(), source })?;
        synchronise_entry(path).map_err(|_| Error::Closed)?;
        let reader = connect_to_read(path)?;
        let looker = Mutex::new(connect_to_read(path)?);
        let (checkpointer, copier) = Checkpointer::start(connect_to_read(path)?)?;
        let company = Company::default();
        let writing = Service::Write(checkpointer, company.clone());
        let (write, writer) = start("store-writer", connection, writing)?;
        let (read, reader) = start("store-reader", reader, Service::Read)?;
        let threads = vec![writer, reader, copier];
        let path = path.to_owned();
        let inner = Inner { path, write: Some(write), read: Some(read), looker, company, threads };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Runs `work` in a transaction and returns its result once the commit is on the disk.
    ///
    /// Waits while the queue is full. Dropping the future after its first poll does not undo the
    /// work: it may still happen, with nobody told.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, whose writes are then undone, or one of the database's own.
    pub async fn write<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        ask(&self.inner.write, work).await
    }

    /// Does what [`Database::write`] does, with the next commit that comes within a moment, or else alone: for what
    /// nobody waits for.
    ///
    /// # Errors
    ///
    /// As [`Database::write`].
    pub async fn write_in_company<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (answer, mut answered) = oneshot::channel();
        let queue = self.inner.write.as_ref().ok_or(Error::Closed)?;
        self.inner.company.join(Box::new(Work { work, answer }));
        if let Ok(answer) = tokio::time::timeout(LONGEST_WAIT, &mut answered).await {
            return answer.map_err(|_| Error::Closed)?;
        }
        let (nothing, _unanswered) = oneshot::channel();
        let nothing = Work { work: |_: &Transaction<'_>| Ok::<(), Error>(()), answer: nothing };
        queue.send(Box::new(nothing)).await.map_err(|_| Error::Closed)?;
        answered.await.map_err(|_| Error::Closed)?
    }

    /// Does what [`Database::write`] does, for callers outside an asynchronous runtime.
    ///
    /// # Errors
    ///
    /// As [`Database::write`].
    ///
    /// # Panics
    ///
    /// Panics when called from within an asynchronous task.
    pub fn write_blocking<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        ask_blocking(&self.inner.write, work)
    }

    /// Runs `work` on a connection that cannot write and sees every commit acknowledged before.
    ///
    /// Readers do not wait for writers.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, or one of the database's own.
    pub async fn read<T, E, W>(&self, work: W) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        W: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        ask(&self.inner.read, work).await
    }

    /// Does what [`Database::read`] does, on the calling thread.
    ///
    /// Work that reads a few rows by their keys may be done so within an asynchronous task: it takes less time than
    /// to hand it to another thread and to wait for the answer. Whatever reads more is for callers outside.
    ///
    /// # Errors
    ///
    /// As [`Database::read`].
    pub fn read_blocking<T, E, W>(&self, work: W) -> Result<T, E>
    where
        E: From<Error>,
        W: FnOnce(&Transaction<'_>) -> Result<T, E>,
    {
        // Work that panics is caught, and its transaction is ended all the same.
        let connection = self.inner.looker.lock().unwrap_or_else(PoisonError::into_inner);
        queue::read_now(&connection, work)
    }

    /// Copies the database as it is at one moment into a file that is not there yet; nobody waits for it.
    ///
    /// # Errors
    ///
    /// Returns [`Error::DiskFull`] or what SQLite says; what is left of the copy then is of no use.
    pub fn copy_to(&self, to: &Path) -> Result<(), Error> {
        let unopenable = |source| Error::Unopenable { path: self.inner.path.clone(), source };
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(&self.inner.path, flags).map_err(unopenable)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(unopenable)?;
        connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
        Ok(())
    }

    /// Returns the database's file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }
}

impl<'connection> Transaction<'connection> {
    pub(crate) fn on(connection: &'connection Connection) -> Self {
        Self { connection }
    }

    /// Does `work`, and where it fails undoes its own writes only: the transaction goes on.
    ///
    /// # Errors
    ///
    /// Returns the error of `work`, or one of the database's own. After [`Error::DiskFull`] nothing is left of the
    /// transaction, and the closure that holds it must fail too.
    pub fn attempt<T, E: From<Error>>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        queue::within_savepoint(self.connection, work)
    }

    /// Executes one statement, which stays prepared, and returns how many rows it changed.
    ///
    /// # Errors
    ///
    /// Returns what SQLite says of the statement.
    pub fn execute(&self, sql: &str, parameters: impl Params) -> rusqlite::Result<usize> {
        self.connection.prepare_cached(sql)?.execute(parameters)
    }

    /// Reads the one row of a statement, which stays prepared.
    ///
    /// # Errors
    ///
    /// Returns what SQLite says of the statement, or that there is no row.
    pub fn query_row<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        self.connection.prepare_cached(sql)?.query_row(parameters, read)
    }
}

impl Deref for Transaction<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        self.connection
    }
}

/// Where work waits for its thread.
type Queue = mpsc::Sender<Box<dyn Job>>;

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    write: Option<Queue>,
    read: Option<Queue>,
    /// For reads on the calling threads, one at a time.
    looker: Mutex<Connection>,
    company: Company,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.write = None;
        self.read = None;
        for thread in self.threads.drain(..) {
            // The last handle may have been inside a closure, and so end on the thread itself.
            if thread.thread().id() != thread::current().id() && thread.join().is_err() {
                tracing::error!(database = %self.path.display(), "a database thread panicked");
            }
        }
    }
}

fn connect(path: &Path) -> Result<Connection, Error> {
    let unopenable = |source| Error::Unopenable { path: path.to_owned(), source };
    let connection = Connection::open(path).map_err(unopenable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unopenable)?;
    let mode = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0))
        .map_err(|source| damaged_or(path, source))?;
    if mode != "wal" {
        let finding = format!("it stays in journal mode \"{mode}\" instead of \"wal\"");
        return Err(Error::Damaged { path: path.to_owned(), finding });
    }
    connection.execute_batch(SETTINGS).map_err(unopenable)?;
    keep_statements(&connection).map_err(unopenable)?;
    Ok(connection)
}

fn connect_to_read(path: &Path) -> Result<Connection, Error> {
    let unopenable = |source| Error::Unopenable { path: path.to_owned(), source };
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(unopenable)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(unopenable)?;
    connection.execute_batch(SETTINGS).map_err(unopenable)?;
    connection.execute_batch("PRAGMA query_only = ON").map_err(unopenable)?;
    keep_statements(&connection).map_err(unopenable)?;
    Ok(connection)
}

/// Has statements stay as they were prepared, and one plan serve all values: else SQLite prepares again for new ones.
fn keep_statements(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED_STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

fn damaged_or(path: &Path, source: rusqlite::Error) -> Error {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase | rusqlite::ErrorCode::DatabaseCorrupt) => {
            Error::Damaged { path: path.to_owned(), finding: source.to_string() }
        }
        _ => Error::Unopenable { path: path.to_owned(), source },
    }
}

fn check_integrity(connection: &Connection, path: &Path) -> Result<(), Error> {
    let finding = connection
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))
        .map_err(|source| damaged_or(path, source))?;
    if finding == "ok" {
        return Ok(());
    }
    Err(Error::Damaged { path: path.to_owned(), finding })
}

/// SQLite synchronises the database; its name in the folder is ours to synchronise.
fn synchronise_entry(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            crate::whole_file::synchronise_folder(folder)
        }
        _ => crate::whole_file::synchronise_folder(Path::new(".")),
    }
}

fn start(
    name: &str,
    connection: Connection,
    service: Service,
) -> Result<(Queue, JoinHandle<()>), Error> {
    let (sender, jobs) = mpsc::channel(QUEUE_LENGTH);
    let thread = thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || queue::serve(&connection, jobs, service))
        .map_err(|_| Error::Closed)?;
    Ok((sender, thread))
}

async fn ask<T, E, W>(queue: &Option<Queue>, work: W) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    W: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let queue = queue.as_ref().ok_or(Error::Closed)?;
    queue.send(Box::new(Work { work, answer })).await.map_err(|_| Error::Closed)?;
    answered.await.map_err(|_| Error::Closed)?
}

fn ask_blocking<T, E, W>(queue: &Option<Queue>, work: W) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    W: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    let (answer, answered) = oneshot::channel();
    let queue = queue.as_ref().ok_or(Error::Closed)?;
    queue.blocking_send(Box::new(Work { work, answer })).map_err(|_| Error::Closed)?;
    answered.blocking_recv().map_err(|_| Error::Closed)?
}

/// How long a statement waits for another process that has the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long what nobody waits for may wait for company.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// Pieces of work that may wait; whoever brings more waits for a place.
const QUEUE_LENGTH: usize = 1024;

/// Statements that stay prepared: all that a component has, since preparing costs more than most of them.
const PREPARED_STATEMENTS: usize = 128;

/// The checkpointer keeps the log short; where it does not keep up, the writer helps at this many pages. What only a
/// statement needs, to undo itself, is kept in memory: a file for it would be made and deleted with each.
const SETTINGS: &str = "
    PRAGMA wal_autocheckpoint = 8000;
    PRAGMA synchronous = FULL;
    PRAGMA temp_store = MEMORY;
    PRAGMA foreign_keys = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA journal_size_limit = 67108864;
";
