//! The thread side of a database: jobs in order, grouped into commits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::checkpointer::Checkpointer;
use super::company::Company;
use super::{Error, Transaction};

/// Which kind of thread it is.
#[derive(Debug)]
pub(super) enum Service {
    /// Groups what waits into one transaction, with what only waits for company, and has the log copied now and then.
    Write(Checkpointer, Company),
    /// Gives every job a snapshot of its own, or it would miss commits acknowledged before it.
    Read,
}

/// A queued piece of work, whatever its types.
pub(super) trait Job: Send {
    /// Runs inside an open transaction; the answer waits for the commit.
    fn run(self: Box<Self>, connection: &Connection) -> Box<dyn Answer>;

    /// Answers without having run.
    fn refuse(self: Box<Self>, error: Error);
}

/// A result that is not yet known to be on the disk.
pub(super) trait Answer {
    /// Says whether there is something to commit.
    fn is_kept(&self) -> bool;

    /// Tells the caller, after the commit or in its failure.
    fn tell(self: Box<Self>, commit: Result<(), Arc<rusqlite::Error>>);
}

/// A closure and where its result goes.
pub(super) struct Work<W, T, E> {
    pub(super) work: W,
    pub(super) answer: oneshot::Sender<Result<T, E>>,
}

/// Runs jobs until the last sender is gone.
pub(super) fn serve(
    connection: &Connection,
    mut jobs: mpsc::Receiver<Box<dyn Job>>,
    mut service: Service,
) {
    while let Some(first) = jobs.blocking_recv() {
        run_group(connection, first, &mut jobs, &mut service);
    }
    // Nobody brings company any more.
    while let Some(last) = service.in_company() {
        run_group(connection, last, &mut jobs, &mut service);
    }
}

impl Service {
    /// A piece of work that only waits for company.
    fn in_company(&self) -> Option<Box<dyn Job>> {
        match self {
            Self::Write(_, company) => company.take(),
            Self::Read => None,
        }
    }
}

impl<W, T, E> Job for Work<W, T, E>
where
    T: Send + 'static,
    E: From<Error> + Send + 'static,
    W: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
{
    fn run(self: Box<Self>, connection: &Connection) -> Box<dyn Answer> {
        let Self { work, answer } = *self;
        let result = within_savepoint(connection, work);
        Box::new(Done { result, answer })
    }

    fn refuse(self: Box<Self>, error: Error) {
        // A caller that no longer waits needs no answer.
        drop(self.answer.send(Err(error.into())));
    }
}

struct Done<T, E> {
    result: Result<T, E>,
    answer: oneshot::Sender<Result<T, E>>,
}

impl<T, E: From<Error>> Answer for Done<T, E> {
    fn is_kept(&self) -> bool {
        self.result.is_ok()
    }

    fn tell(self: Box<Self>, commit: Result<(), Arc<rusqlite::Error>>) {
        let result = self.result.and_then(|value| match commit {
            Ok(()) => Ok(value),
            Err(error) => Err(not_committed(error).into()),
        });
        drop(self.answer.send(result));
    }
}

/// Does work that only reads, in a transaction of its own.
pub(super) fn read_now<W, T, E>(connection: &Connection, work: W) -> Result<T, E>
where
    E: From<Error>,
    W: FnOnce(&Transaction<'_>) -> Result<T, E>,
{
    execute(connection, "BEGIN DEFERRED").map_err(Error::from)?;
    let transaction = Transaction::on(connection);
    let result = catch_unwind(AssertUnwindSafe(|| work(&transaction)))
        .unwrap_or_else(|_| Err(Error::Panicked.into()));
    if let Err(error) = execute(connection, "COMMIT") {
        // Nothing was written; what matters is that the next read begins from a clean connection.
        if !connection.is_autocommit() {
            drop(connection.execute_batch("ROLLBACK"));
        }
        return result.and(Err(Error::from(error).into()));
    }
    result
}

fn run_group(
    connection: &Connection,
    first: Box<dyn Job>,
    jobs: &mut mpsc::Receiver<Box<dyn Job>>,
    service: &mut Service,
) {
    let (begin, limit) = match service {
        Service::Write(..) => ("BEGIN IMMEDIATE", GROUP_LIMIT),
        Service::Read => ("BEGIN DEFERRED", 1),
    };
    if let Err(error) = execute(connection, begin) {
        return first.refuse(not_committed(Arc::new(error)));
    }
    let mut answers = Vec::new();
    let mut next = Some(first);
    while let Some(job) = next {
        answers.push(job.run(connection));
        // On a full disk SQLite undoes the whole transaction: nothing may join what is left of it.
        let undone = connection.is_autocommit();
        let is_full = undone || answers.len() == limit;
        next = match is_full {
            true => None,
            false => service.in_company().or_else(|| jobs.try_recv().ok()),
        };
    }
    let commit = end(connection, answers.iter().any(|answer| answer.is_kept()));
    for answer in answers {
        answer.tell(commit.clone());
    }
    if let Service::Write(checkpointer, _) = service {
        checkpointer.note_commit();
    }
}

/// Executes a statement without result, which stays prepared.
fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn end(connection: &Connection, keep: bool) -> Result<(), Arc<rusqlite::Error>> {
    if connection.is_autocommit() {
        return Err(Arc::new(full()));
    }
    let ended = execute(connection, if keep { "COMMIT" } else { "ROLLBACK" });
    ended.map_err(|error| {
        // Whatever the failure, the next group begins from a clean connection.
        if !connection.is_autocommit() {
            drop(connection.execute_batch("ROLLBACK"));
        }
        Arc::new(error)
    })
}

/// Does work in a savepoint of its own.
pub(super) fn within_savepoint<W, T, E>(connection: &Connection, work: W) -> Result<T, E>
where
    E: From<Error>,
    W: FnOnce(&Transaction<'_>) -> Result<T, E>,
{
    execute(connection, "SAVEPOINT work").map_err(Error::from)?;
    let transaction = Transaction::on(connection);
    // The closure's writes are undone after a panic, so nothing half-done stays visible.
    let result = catch_unwind(AssertUnwindSafe(|| work(&transaction)))
        .unwrap_or_else(|_| Err(Error::Panicked.into()));
    let ended = match &result {
        Ok(_) => execute(connection, "RELEASE work"),
        Err(_) => connection.execute_batch("ROLLBACK TO work; RELEASE work"),
    };
    match ended {
        Err(error) if result.is_ok() => Err(Error::from(error).into()),
        _ => result,
    }
}

fn not_committed(error: Arc<rusqlite::Error>) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DiskFull) => Error::DiskFull,
        _ => Error::NotCommitted(error),
    }
}

/// The error that made SQLite undo a transaction went to the closure that met it; the others of
/// its group learn the usual cause.
fn full() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_FULL), None)
}

/// Most pieces of work in one commit, which bounds how long the first of them waits.
const GROUP_LIMIT: usize = 256;
