//! Named tensors over safetensors files.
//!
//! What it is for: reading parameter files that a stranger may have written ([`Reader`], with
//! [`Limits`]), writing parameter files whose bytes depend on nothing but their content
//! ([`Writer`], [`PositionedWriter`]), comparing what two files hold ([`Schema`]), and small models
//! held in memory ([`Parameters`]).
//!
//! What it must never know: aggregation strategies, training plans, the network, who sent a file.
//!
//! Where to start: [`Schema`] says what a file holds, [`header`] says what a file may look like,
//! [`Reader`] and [`Writer`] do the work.
//!
//! # Examples
//!
//! ```
//! use parameters::{Parameters, Tensor};
//!
//! let mut model = Parameters::new();
//! model.insert("layers.0.bias", Tensor::from_f32(&[2], &[0.5, -1.0])?)?;
//! let bytes = model.to_bytes(Some("a small model"))?;
//! let again = Parameters::from_bytes(&bytes)?;
//! assert_eq!(again.get("layers.0.bias").expect("it was inserted").to_f32()?, [0.5, -1.0]);
//! # Ok::<(), parameters::Error>(())
//! ```

pub mod element;
pub mod header;
pub mod mapped;
pub mod schema;

mod dtype;
mod error;
mod follower;
mod inspect;
mod owned;
mod pending_file;
mod positioned_writer;
mod reader;
mod tensor;
mod writer;

pub use crate::{
    dtype::Dtype,
    error::Error,
    header::Limits,
    owned::Parameters,
    pending_file::Durability,
    positioned_writer::PositionedWriter,
    reader::Reader,
    schema::{Schema, TensorSchema},
    tensor::Tensor,
    writer::Writer,
};
