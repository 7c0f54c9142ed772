//! The coordinator's server: it keeps the nodes' lines, drives experiments and keeps their files and history.
//!
//! This crate must never know datasets, training plans or engines: it has no edge to them, and what it carries for
//! them it does not open. The course of an experiment is decided in [`round::Experiment`]; here it is written down
//! and performed.
//!
//! Start reading at [`Coordinator::open`] and [`Coordinator::run`], then the director, the one task that changes
//! experiments: take what happened, commit it, perform what follows.

pub mod administration;
pub mod config;
pub mod service;

mod approval_desk;
mod approval_requests;
mod board;
mod bodies;
mod checkpoint;
mod director;
mod door;
mod enrolment_service;
mod history;
mod listing;
mod membership;
mod message;
mod node_service;
mod owners_word;
mod possession;
mod record;
mod registry;
mod researcher_service;
mod retention;
mod scalars;
mod shared;
mod shelf;
mod submission;
mod tables;
mod watching;
mod witness;

pub use config::{Config, init};
pub use record::Error as StorageError;
pub use service::{Coordinator, Error, Handle};
