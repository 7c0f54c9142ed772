//! Copying the log into the database beside the commits, so that none of them waits for it.

use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::mpsc;

use super::Error;

/// The writer's end: it counts commits and wakes the thread that copies.
#[derive(Debug)]
pub(super) struct Checkpointer {
    wake: mpsc::Sender<()>,
    commits: u32,
}

impl Checkpointer {
    /// Starts the thread; it ends with the value, after what it has begun.
    pub(super) fn start(connection: Connection) -> Result<(Self, JoinHandle<()>), Error> {
        let (wake, woken) = mpsc::channel(1);
        let thread = thread::Builder::new()
            .name("store-copier".to_owned())
            .spawn(move || copy(&connection, woken))
            .map_err(|_| Error::Closed)?;
        Ok((Self { wake, commits: 0 }, thread))
    }

    /// Has the log copied once there is enough of it.
    pub(super) fn note_commit(&mut self) {
        self.commits += 1;
        if self.commits >= COMMITS {
            self.commits = 0;
            // A thread that is still busy will be woken again later.
            let _busy = self.wake.try_send(());
        }
    }
}

fn copy(connection: &Connection, mut woken: mpsc::Receiver<()>) {
    while woken.blocking_recv().is_some() {
        // It copies what no reader needs and waits for nobody; the rest is left for the next time.
        let copied = connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()));
        if let Err(error) = copied {
            tracing::warn!(%error, "the log is not copied into the database");
        }
    }
}

/// Commits between two copies: a few hundred kilobytes of log.
const COMMITS: u32 = 128;
