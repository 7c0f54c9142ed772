//! What happened, in order, for machines that must be able to start again where they were.

use protocol::Timestamp;
use rusqlite::{OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::database::{self, Migration, Migrations, Transaction};

/// The journal's view inside a caller's transaction.
///
/// A machine is whatever its owner replays: a name, a run of events counted from 1 without a gap,
/// and at most one snapshot that stands for the events up to its sequence. A machine is open from
/// its first event until it is closed.
///
/// # Examples
///
/// ```
/// use protocol::Timestamp;
/// use store::journal::{self, Event, Journal};
/// use store::Database;
///
/// let folder = tempfile::tempdir()?;
/// let database = Database::open(&folder.path().join("journal.sqlite"), &[journal::MIGRATIONS])?;
/// let now = Timestamp::from_milliseconds(1);
/// database.write_blocking(move |transaction| {
///     let accepted = Event::new(now, "accepted", &"a body of any shape")?;
///     Journal::within(transaction).append("round/1", &[accepted])
/// })?;
/// let entries = database
///     .read_blocking(|transaction| Journal::within(transaction).replay("round/1", 1))?;
/// assert_eq!(entries[0].kind, "accepted");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Journal<'transaction> {
    transaction: &'transaction Transaction<'transaction>,
}

/// Something that happened, not yet in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// A word for people and for filters.
    pub kind: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// An event in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The event's place among its machine's, from 1.
    pub sequence: u64,
    /// When.
    pub at: Timestamp,
    /// A word for people and for filters.
    pub kind: String,
    /// JSON.
    pub body: Vec<u8>,
}

/// What stands for a machine's events up to a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The last event it stands for.
    pub sequence: u64,
    /// When it was taken.
    pub at: Timestamp,
    /// JSON.
    pub body: Vec<u8>,
}

/// All that is needed to start a machine again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The last snapshot, if one was taken.
    pub snapshot: Option<Snapshot>,
    /// The events after the snapshot, or all.
    pub entries: Vec<Entry>,
}

/// How much the journal holds of closed machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClosedSize {
    /// How many they are.
    pub machines: u64,
    /// The bytes of their events.
    pub bytes: u64,
    /// When the first of them was closed.
    pub oldest: Option<Timestamp>,
}

/// Why the journal refuses or cannot answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An event came for a machine that is closed.
    #[error("machine \"{machine}\" is closed")]
    Closed {
        /// The machine.
        machine: String,
    },
    /// A snapshot names an event that the machine does not have, or an older one than the last.
    #[error(
        "machine \"{machine}\" cannot take a snapshot after event {sequence}, its last is {last}"
    )]
    Snapshot {
        /// The machine.
        machine: String,
        /// The event the snapshot names.
        sequence: u64,
        /// The machine's last event.
        last: u64,
    },
    /// A body cannot be written as JSON, or is not what the reader takes it for.
    #[error("the body of a journal entry does not fit its type")]
    Body(#[from] serde_json::Error),
    /// The database failed.
    #[error(transparent)]
    Database(#[from] database::Error),
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(error.into())
    }
}

impl Event {
    /// Makes an event, writing its body as JSON.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Body`] for a body that JSON cannot hold.
    pub fn new(at: Timestamp, kind: &str, body: &impl Serialize) -> Result<Self, Error> {
        Ok(Self { at, kind: kind.to_owned(), body: serde_json::to_vec(body)? })
    }
}

impl Entry {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Body`] for a body of another shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl Snapshot {
    /// Reads the body.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Body`] for a body of another shape.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        Ok(serde_json::from_slice(&self.body)?)
    }
}

impl<'transaction> Journal<'transaction> {
    /// Uses the journal inside a transaction, together with the caller's own tables.
    pub fn within(transaction: &'transaction Transaction<'transaction>) -> Self {
        Self { transaction }
    }

    /// Appends events and returns the sequence of the last; the first event opens the machine.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Closed`] for a machine that is closed.
    pub fn append(&self, machine: &str, events: &[Event]) -> Result<u64, Error> {
        let mut last = self.open(machine)?;
        let mut insert = self.transaction.prepare_cached(
            "INSERT INTO journal_events (machine, sequence, at, kind, body) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?;
        for event in events {
            last += 1;
            let at = to_column(event.at.milliseconds());
            insert.execute(params![machine, to_column(last), at, event.kind, event.body])?;
        }
        self.transaction
            .prepare_cached("UPDATE journal_machines SET last = ?2 WHERE machine = ?1")?
            .execute(params![machine, to_column(last)])?;
        Ok(last)
    }

    /// Returns a machine's events from the one with sequence `from` on.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when it cannot be read.
    pub fn replay(&self, machine: &str, from: u64) -> Result<Vec<Entry>, Error> {
        let mut select = self.transaction.prepare_cached(
            "SELECT sequence, at, kind, body FROM journal_events \
             WHERE machine = ?1 AND sequence >= ?2 ORDER BY sequence",
        )?;
        let entries = select.query_map(params![machine, to_column(from)], entry)?;
        Ok(entries.collect::<rusqlite::Result<_>>()?)
    }

    /// Returns the last snapshot and the events after it.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when it cannot be read.
    pub fn restore(&self, machine: &str) -> Result<Restored, Error> {
        let snapshot = self.snapshot(machine)?;
        let from = snapshot.as_ref().map_or(1, |snapshot| snapshot.sequence + 1);
        Ok(Restored { snapshot, entries: self.replay(machine, from)? })
    }

    /// Keeps `body` as the machine's state after event `sequence`, in place of the last snapshot.
    ///
    /// The events stay until [`Journal::forget_before_snapshot`].
    ///
    /// # Errors
    ///
    /// Returns [`Error::Snapshot`] for an event that is not there.
    pub fn keep_snapshot(
        &self,
        machine: &str,
        sequence: u64,
        at: Timestamp,
        body: &impl Serialize,
    ) -> Result<(), Error> {
        let last = self.last_sequence(machine)?;
        let earlier = self.snapshot(machine)?.map_or(0, |snapshot| snapshot.sequence);
        if sequence > last || sequence < earlier {
            return Err(Error::Snapshot { machine: machine.to_owned(), sequence, last });
        }
        let body = serde_json::to_vec(body)?;
        let at = to_column(at.milliseconds());
        self.transaction
            .prepare_cached(
                "INSERT INTO journal_snapshots (machine, sequence, at, body) \
                 VALUES (?1, ?2, ?3, ?4) ON CONFLICT (machine) DO UPDATE SET \
                 sequence = excluded.sequence, at = excluded.at, body = excluded.body",
            )?
            .execute(params![machine, to_column(sequence), at, body])?;
        Ok(())
    }

    /// Returns the machine's last snapshot.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when it cannot be read.
    pub fn snapshot(&self, machine: &str) -> Result<Option<Snapshot>, Error> {
        let mut select = self.transaction.prepare_cached(
            "SELECT sequence, at, body FROM journal_snapshots WHERE machine = ?1",
        )?;
        let snapshot = select.query_row([machine], |row| {
            let at = Timestamp::from_milliseconds(from_column(row.get(1)?));
            Ok(Snapshot { sequence: from_column(row.get(0)?), at, body: row.get(2)? })
        });
        Ok(snapshot.optional()?)
    }

    /// Deletes the events that the last snapshot stands for and returns how many they were.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when they cannot be deleted.
    pub fn forget_before_snapshot(&self, machine: &str) -> Result<usize, Error> {
        let deleted = self.transaction.execute(
            "DELETE FROM journal_events WHERE machine = ?1 AND sequence <= \
             (SELECT sequence FROM journal_snapshots WHERE machine = ?1)",
            [machine],
        )?;
        Ok(deleted)
    }

    /// Returns the sequence of a machine's last event, 0 when it has none.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when it cannot be read.
    pub fn last_sequence(&self, machine: &str) -> Result<u64, Error> {
        let last = self
            .transaction
            .prepare_cached("SELECT last FROM journal_machines WHERE machine = ?1")?
            .query_row([machine], |row| row.get(0))
            .optional()?;
        Ok(last.map_or(0, from_column))
    }

    /// Closes a machine: it keeps its events and takes no more.
    ///
    /// Closing twice, or a machine that never was, changes nothing.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when it cannot be written.
    pub fn close(&self, machine: &str, at: Timestamp) -> Result<(), Error> {
        self.transaction.execute(
            "UPDATE journal_machines SET closed_at = ?2 WHERE machine = ?1 AND closed_at IS NULL",
            params![machine, to_column(at.milliseconds())],
        )?;
        Ok(())
    }

    /// Lists the open machines whose names start with `prefix`, in the order they were opened.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when they cannot be read.
    pub fn open_machines(&self, prefix: &str) -> Result<Vec<String>, Error> {
        self.names(
            "SELECT machine FROM journal_machines WHERE closed_at IS NULL \
             AND substr(machine, 1, length(?1)) = ?1 ORDER BY number",
            params![prefix],
        )
    }

    /// Lists the machines with this prefix that were closed before `before`, oldest first.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when they cannot be read.
    pub fn closed_before(&self, prefix: &str, before: Timestamp) -> Result<Vec<String>, Error> {
        self.names(
            "SELECT machine FROM journal_machines WHERE closed_at < ?2 \
             AND substr(machine, 1, length(?1)) = ?1 ORDER BY closed_at, number",
            params![prefix, to_column(before.milliseconds())],
        )
    }

    /// Lists the events of one kind of the closed machines with this prefix, each with the instant of the closing.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when they cannot be read.
    pub fn closed_entries(
        &self,
        prefix: &str,
        kind: &str,
    ) -> Result<Vec<(Entry, Timestamp)>, Error> {
        let mut select = self.transaction.prepare_cached(
            "SELECT sequence, at, kind, body, closed_at FROM journal_machines \
             JOIN journal_events USING (machine) WHERE closed_at IS NOT NULL \
             AND substr(machine, 1, length(?1)) = ?1 AND kind = ?2 ORDER BY closed_at, number",
        )?;
        let entries = select.query_map(params![prefix, kind], |row| {
            let closed = Timestamp::from_milliseconds(from_column(row.get(4)?));
            Ok((entry(row)?, closed))
        })?;
        Ok(entries.collect::<rusqlite::Result<_>>()?)
    }

    /// Counts the closed machines with this prefix, the bytes of their events, and gives the instant of the first
    /// closing.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when they cannot be read.
    pub fn closed_size(&self, prefix: &str) -> Result<ClosedSize, Error> {
        let size = self.transaction.query_row(
            "SELECT count(DISTINCT machine), coalesce(sum(length(body)), 0), min(closed_at) \
             FROM journal_machines LEFT JOIN journal_events USING (machine) \
             WHERE closed_at IS NOT NULL AND substr(machine, 1, length(?1)) = ?1",
            params![prefix],
            |row| {
                let oldest: Option<i64> = row.get(2)?;
                Ok(ClosedSize {
                    machines: from_column(row.get(0)?),
                    bytes: from_column(row.get(1)?),
                    oldest: oldest.map(|at| Timestamp::from_milliseconds(from_column(at))),
                })
            },
        )?;
        Ok(size)
    }

    /// Deletes all there is of a machine; its name may then be used again.
    ///
    /// # Errors
    ///
    /// Returns [`Error::Database`] when it cannot be written.
    pub fn remove(&self, machine: &str) -> Result<(), Error> {
        self.transaction.execute("DELETE FROM journal_machines WHERE machine = ?1", [machine])?;
        Ok(())
    }

    fn open(&self, machine: &str) -> Result<u64, Error> {
        self.transaction
            .prepare_cached(
                "INSERT INTO journal_machines (machine) VALUES (?1) ON CONFLICT DO NOTHING",
            )?
            .execute([machine])?;
        let (last, closed): (i64, bool) = self
            .transaction
            .prepare_cached(
                "SELECT last, closed_at IS NOT NULL FROM journal_machines WHERE machine = ?1",
            )?
            .query_row([machine], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if closed {
            return Err(Error::Closed { machine: machine.to_owned() });
        }
        Ok(from_column(last))
    }

    fn names(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Vec<String>, Error> {
        let mut select = self.transaction.prepare_cached(sql)?;
        let names = select.query_map(parameters, |row| row.get(0))?;
        Ok(names.collect::<rusqlite::Result<_>>()?)
    }
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        sequence: from_column(row.get(0)?),
        at: Timestamp::from_milliseconds(from_column(row.get(1)?)),
        kind: row.get(2)?,
        body: row.get(3)?,
    })
}

/// SQLite's integers are signed; no sequence and no instant reaches their end.
fn to_column(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn from_column(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// The journal's tables, for [`crate::Database::open`].
pub const MIGRATIONS: Migrations = Migrations {
    component: "journal",
    steps: &[Migration {
        version: 1,
        sql: "
            CREATE TABLE journal_machines (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                machine TEXT NOT NULL UNIQUE,
                last INTEGER NOT NULL DEFAULT 0,
                closed_at INTEGER
            );
            CREATE INDEX journal_machines_open ON journal_machines (number)
                WHERE closed_at IS NULL;
            CREATE TABLE journal_events (
                machine TEXT NOT NULL
                    REFERENCES journal_machines (machine) ON DELETE CASCADE,
                sequence INTEGER NOT NULL,
                at INTEGER NOT NULL,
                kind TEXT NOT NULL,
                body BLOB NOT NULL,
                PRIMARY KEY (machine, sequence)
            ) WITHOUT ROWID;
            CREATE TABLE journal_snapshots (
                machine TEXT PRIMARY KEY
                    REFERENCES journal_machines (machine) ON DELETE CASCADE,
                sequence INTEGER NOT NULL,
                at INTEGER NOT NULL,
                body BLOB NOT NULL
            );
        ",
    }],
};
