//! What a researcher's program uses: define an experiment, resolve it against the schemas of the
//! sites, submit, follow, fetch the model, and report.
//!
//! This crate must never know the insides of a coordinator or a node: it speaks the messages of
//! `protocol` and nothing else.
//!
//! Start reading at [`Definition`], then [`Client`], then [`report::Report`].

mod chance;
pub mod client;
pub mod definition;
pub mod error;
pub mod event;
pub mod first_parameters;
pub mod follower;
pub mod history;
pub mod membership;
pub mod overview;
pub mod report;
mod submission;

pub use client::Client;
pub use definition::{Definition, Resolved};
pub use error::Error;
pub use event::{Event, Occurrence};
pub use first_parameters::first_parameters;
pub use follower::Follower;
pub use transport::{Caller, Identity};
