//! The coordinator in this process, with scripted nodes that speak the real stream over loopback.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod aggregations;
mod batches;
mod databases;
mod experiments;
mod federation;
mod files;
mod hostile;
mod identities;
mod late;
mod limits;
mod possession;
mod restarts;
mod strangers;
mod support;
mod troubles;
