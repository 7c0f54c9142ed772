//! What a researcher's program uses: define an experiment, resolve it against the schemas of the
//! sites, submit, follow, fetch the model, and report.
//!
//! This crate must never know the insides of a coordinator or a node: it speaks the messages of
//! `protocol` and nothing else.
//!
//! Start reading at [`report::Report`].

pub mod history;
pub mod report;
