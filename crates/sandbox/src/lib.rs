//! Confined processes on Linux: what runs here sees what it was granted, and nothing else.
//!
//! Two ways lead in. [`run`] starts one program in a sandbox and waits for its end. A
//! [`ForkServer`] starts an interpreter once, lets it load its libraries, and then forks a confined
//! process from it for every [`Job`], which is ready in milliseconds. Both ask a *launcher* to do
//! it: a small process with one thread that calls [`launch`], so that the calling daemon never
//! forks itself. Behind the launcher a *warden* stays with the confined process, measures it, and
//! ends it when it oversteps.
//!
//! Every layer is required. What the machine lacks lowers the [`Level`], and no setting raises it
//! again; below the level that the caller demands nothing is started.
//!
//! This crate must never know training plans, datasets, codes or the network. Start reading at
//! `command.rs` and `fork_server.rs` for the caller's side, at `launch.rs` for the other.

#[cfg(not(target_os = "linux"))]
compile_error!("a sandbox is made of what the Linux kernel offers");

mod capture;
mod channel;
mod command;
mod control_groups;
mod error;
mod filter;
mod fork_server;
mod grants;
mod landlock;
mod launch;
mod launcher;
mod level;
mod limits;
mod message;
mod outcome;
mod probe;
mod self_test;
mod session;
mod system;
mod warden;

pub use command::{Command, run};
pub use error::Error;
pub use fork_server::{ForkServer, Job, JobOptions, ServerOptions};
pub use grants::interpreter_paths;
pub use launch::launch;
pub use launcher::Launcher;
pub use level::{Bounds, Facts, Level};
pub use limits::{Limit, Limits};
pub use outcome::{End, Outcome, Output, Stream};
pub use self_test::{Probe, Report, self_test};
