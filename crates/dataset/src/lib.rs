//! Dataset descriptions, readers, splits and batch order.
//!
//! This crate must never know who asks and why: no plan, no researcher, no round, no network. It reads files,
//! says what is in them without saying what a cell holds, and orders rows.
//!
//! Start reading at [`register`], which a data manager's command calls once, then [`TabularSource`], which a
//! round reads from, then [`split()`](split::split) and [`Batches`].
//!
//! A data loading plan, a node's own instructions that turn a dataset into what a training plan expects, stands
//! between [`TabularSource`] and [`Table`]. Tables need none, so there is none here yet; readers of images and
//! of medical folders bring them.

pub mod batches;
mod cell;
mod delimited;
pub mod error;
pub mod format;
mod interrupt;
pub mod limits;
mod parquet_file;
pub mod permutation;
mod profile;
pub mod registration;
pub mod source;
pub mod split;
pub mod summary;
pub mod table;
mod unchanging;

pub use batches::{Batches, LastBatch, Order};
pub use cell::MISSING_MARKERS;
pub use error::Error;
pub use format::{Format, Options};
pub use interrupt::Interrupt;
pub use permutation::Generator;
pub use registration::{Check, Registration, check, register};
pub use source::{Request, TabularSource};
pub use split::{Split, split};
pub use summary::{Presentation, summarize};
pub use table::{Categories, Column, Table};
