//! The state machines of Wardround: [`Round`], one execution at a node.
//!
//! This crate must never know tensors, tokio, tonic, files or the clock: a machine takes an event and the time, and
//! gives its next state with a list of actions for its driver.
//!
//! Start reading at [`Round::handle`].

pub mod experiment;
pub mod round;

pub use experiment::Experiment;
pub use round::{Action, Event, Export, Failure, Outcome, Round, Ticket, Validation, Verdict};
