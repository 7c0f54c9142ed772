//! Durable mechanisms: a database with one writer, an append-only journal, content-addressed
//! artifacts, a folder's lock and configuration, whole-file writes and the clock.
//!
//! This crate must never know what is stored in it: no experiment, round, plan or dataset has a
//! name here. A journal row is a machine's name and a body, an artifact is a digest and a size.
//!
//! Start reading at [`Database`], then [`Journal`] and [`ArtifactStore`].

pub mod artifact;
pub mod clock;
pub mod configuration;
pub mod database;
pub mod folder_lock;
pub mod journal;
pub mod whole_file;
mod write_back;

pub use artifact::ArtifactStore;
pub use clock::{Clock, ManualClock, SystemClock};
pub use database::{Database, Transaction};
pub use folder_lock::FolderLock;
pub use journal::Journal;
pub use rusqlite;
pub use whole_file::{Durability, write_whole};
