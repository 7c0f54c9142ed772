//! Whole federations as real processes on loopback, for tests.
//!
//! A test says which hospitals there are, what a researcher submits and who is killed when; the processes are the
//! `wardround` program that users run, driven through its command line only. This crate must never reach into a
//! daemon's memory or replace a part of it: what cannot be seen from outside is tested in the crates.
//!
//! Every wait has a deadline and panics with what it waited for. Processes are killed when their owner is dropped,
//! and with the test's thread. Start reading at [`Federation`].

mod coordinator;
mod event_lines;
mod experiment;
mod federation;
mod hospital;
mod process;
mod program;
mod small_disk;

pub use coordinator::Coordinator;
pub use experiment::{Experiment, ExperimentFile, PythonPlan};
pub use federation::{Federation, share};
pub use hospital::Hospital;
pub use process::Daemon;
pub use program::{Answer, Program};
pub use small_disk::SmallDisk;

/// How long anything may take that should happen at once, on a busy machine.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(40);
