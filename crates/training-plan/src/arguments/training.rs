//! The training group: how long a round trains, and how.

use std::num::NonZeroU64;

use super::Rule;
use super::reader::Reader;

/// The arguments of the training loop.
#[derive(Debug, Clone, PartialEq)]
pub struct Training {
    /// How long the loop runs.
    pub length: TrainingLength,
    /// Stop after the first batch (`dry_run`).
    pub dry_run: bool,
    /// One scalar every so many batches (`log_interval`).
    pub log_interval: NonZeroU64,
    /// Weight of the proximal term against the received parameters (`fedprox_mu`), at least 0.
    pub fedprox_mu: Option<f64>,
    /// Whether the researcher asks for a GPU (`use_gpu`).
    pub use_gpu: bool,
    /// Replaces the experiment's seed (`random_seed`).
    pub random_seed: Option<u64>,
    /// Whether buffers such as `BatchNorm` statistics travel (`share_persistent_buffers`).
    pub share_persistent_buffers: bool,
    /// The largest gradient norm of a step (`gradient_clip_norm`), above 0.
    pub gradient_clip_norm: Option<f64>,
}

/// How long a round trains; the two ways exclude each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrainingLength {
    /// Whole passes over the training subset.
    Epochs {
        /// Number of passes; with 0 the parameters return as they came.
        epochs: u64,
        /// Most batches taken from each pass (`batch_maxnum`); none means all.
        batch_maximum: Option<NonZeroU64>,
    },
    /// A number of optimizer steps, over as many epochs as they need (`num_updates`).
    Updates(NonZeroU64),
}

impl Default for Training {
    fn default() -> Self {
        Self {
            length: TrainingLength::Epochs { epochs: 1, batch_maximum: None },
            dry_run: false,
            log_interval: NonZeroU64::new(10).expect("10 is not zero"),
            fedprox_mu: None,
            use_gpu: false,
            random_seed: None,
            share_persistent_buffers: true,
            gradient_clip_norm: None,
        }
    }
}

impl Training {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let default = Self::default();
        Self {
            length: read_length(reader),
            dry_run: reader.boolean("dry_run", default.dry_run),
            log_interval: reader.positive("log_interval").unwrap_or(default.log_interval),
            fedprox_mu: reader.optional_number(
                "fedprox_mu",
                "a number of at least 0, or null",
                |mu| mu >= 0.0,
            ),
            use_gpu: reader.boolean("use_gpu", default.use_gpu),
            random_seed: reader
                .optional_integer("random_seed", "an integer from 0 to 2^64 - 1, or null"),
            share_persistent_buffers: reader
                .boolean("share_persistent_buffers", default.share_persistent_buffers),
            gradient_clip_norm: reader.optional_number(
                "gradient_clip_norm",
                "a number above 0, or null",
                |norm| norm > 0.0,
            ),
        }
    }
}

fn read_length(reader: &mut Reader<'_>) -> TrainingLength {
    let epochs = reader.integer("epochs", "an integer of at least 0", |_| true);
    let batch_maximum =
        reader.optional_integer("batch_maxnum", "an integer of at least 0, or null");
    let by_epochs = TrainingLength::Epochs {
        epochs: epochs.unwrap_or(1),
        batch_maximum: batch_maximum.and_then(NonZeroU64::new),
    };
    if !reader.has("num_updates") {
        return by_epochs;
    }
    for other in ["epochs", "batch_maxnum"] {
        if reader.has(other) {
            reader.refuse("num_updates", Rule::Excludes(other));
        }
    }
    reader
        .integer("num_updates", "an integer of at least 1, or null", |updates| updates >= 1)
        .and_then(NonZeroU64::new)
        .map_or(by_epochs, TrainingLength::Updates)
}
