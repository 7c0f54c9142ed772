//! Native training: models described by data, run on the CPU.
//!
//! A [`ModelDescription`] is a list of layers; a [`Model`] holds its parameters; a [`Trainer`] takes
//! one optimizer step for each batch it is given, under a [`Loss`], an [`Optimizer`] and a
//! [`Schedule`]. All randomness comes from seeds that the caller passes: the same seeds and batches
//! give the same bits on the same machine, whatever else runs on it.
//!
//! This crate must never know plans, files or the network: it is given numbers and gives numbers.
//! burn does the tensor arithmetic and is called from the module `backend` alone.
//!
//! Start reading at [`Trainer::step`].
//!
//! # Examples
//!
//! Logistic regression, from data to a probability:
//!
//! ```
//! use engine::{Batch, Loss, Model, ModelDescription, Optimizer, Trainer, TrainerSettings};
//! use serde_json::json;
//!
//! let description: ModelDescription = serde_json::from_value(json!({
//!     "inputs": 2, "init": "zeros", "layers": [{ "dense": { "units": 1 } }],
//! }))?;
//! let settings = json!({ "lr": 0.5 });
//! let optimizer = Optimizer::parse("sgd", settings.as_object().unwrap())?;
//! let mut trainer = Trainer::new(
//!     Model::new(&description)?,
//!     TrainerSettings::new(Loss::parse("binary_cross_entropy", &Default::default())?, optimizer),
//! )?;
//! let batch = Batch {
//!     features: &[0.0, 1.0, 1.0, 0.0],
//!     targets: &[1.0, 0.0],
//!     dropout_seed: [0; 32],
//! };
//! let first = trainer.step(&batch)?;
//! assert!(trainer.step(&batch)? < first);
//! let outputs = trainer.model().predict(&[0.0, 1.0])?;
//! let probability = trainer.loss().predictions(&outputs, 1)[0];
//! assert!(probability > 0.5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod allocator;
mod backend;
pub mod description;
mod fields;
mod generator;
mod layer;
pub mod loss;
pub mod model;
pub mod optimizer;
pub mod schedule;
pub mod trainer;
mod vector;

pub use description::{Initialisation, LayerDescription, ModelDescription};
pub use loss::Loss;
pub use model::Model;
pub use optimizer::Optimizer;
pub use schedule::Schedule;
pub use trainer::{Batch, Trainer, TrainerSettings};
