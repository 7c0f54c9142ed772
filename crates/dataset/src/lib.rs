//! Dataset descriptions, readers, splits and batch order.
//!
//! This crate must never know who asks and why: no plan, no researcher, no round, no network. It reads files,
//! says what is in them without saying what a cell holds, and orders rows.
//!
//! Start reading at [`describe`], which a data manager's command calls once for a dataset of any [`Kind`]; then
//! [`TabularSource`], which a round of a native plan reads from, and [`granted`], which writes what a plan in a sandbox
//! may read; then [`split()`](split::split) and [`Batches`].
//!
//! A [`LoadingPlan`] stands between what lies at a site and what a study expects: it is data, applied here.

pub mod batches;
mod cell;
mod delimited;
pub mod error;
mod exclusion;
mod folder;
pub mod format;
pub mod granted;
pub mod image;
mod image_folder;
mod interrupt;
mod kind;
pub mod limits;
pub mod loading_plan;
mod medical_folder;
pub mod nifti;
mod parquet_file;
pub mod permutation;
mod profile;
pub mod registered;
pub mod registration;
mod rows;
pub mod source;
pub mod split;
pub mod summary;
pub mod table;
mod unchanging;
mod view;
mod watch;

pub use batches::{Batches, LastBatch, Order};
pub use cell::MISSING_MARKERS;
pub use error::Error;
pub use exclusion::{ExclusionCount, Exclusions};
pub use folder::Listing;
pub use format::{Format, Options};
pub use image_folder::{Class, ImageFolder};
pub use interrupt::Interrupt;
pub use kind::{Kind, UnknownKind};
pub use loading_plan::{AttachedPlan, LoadingPlan};
pub use medical_folder::{Demographics, LeftOut, MedicalFolder, MedicalOptions, Modality};
pub use permutation::Generator;
pub use registered::{
    Changed, Comparison, Description, Glance, Registered, compare, describe, glance,
};
pub use registration::{Check, Registration, check, register};
pub use source::{Request, TabularSource};
pub use split::{Split, split};
pub use summary::{Presentation, summarize};
pub use table::{Categories, Column, Table};
pub use watch::{Progress, Watch};
