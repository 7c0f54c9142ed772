//! The Python runtime against real workers.
//!
//! Most tests speak with a plain Python process over a socket, because what they try is the protocol; the ones in
//! `sandboxed` have the worker confined, as every node has.
//! They need an interpreter with torch and scikit-learn: the variable `WARDROUND_TEST_PYTHON` names it, and a run
//! without one says that it left these tests out.

#[path = "python/support.rs"]
mod support;

#[path = "python/failures.rs"]
mod failures;
#[path = "python/rounds.rs"]
mod rounds;
