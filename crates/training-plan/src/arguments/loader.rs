//! The loader group: how rows become batches.

use std::num::NonZeroU64;

use super::Rule;
use super::name;
use super::reader::Reader;

/// The arguments of the batches of the training subset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loader {
    /// Rows of a batch (`batch_size`).
    pub batch_size: NonZeroU64,
    /// Whether each epoch has its own order (`shuffle`); otherwise the dataset's order is kept.
    pub shuffle: bool,
    /// Whether a last, smaller batch is left out (`drop_last`).
    pub drop_last: bool,
}

impl Default for Loader {
    fn default() -> Self {
        let batch_size = NonZeroU64::new(48).expect("48 is not zero");
        Self { batch_size, shuffle: true, drop_last: false }
    }
}

impl Loader {
    /// Reads `loader_args`, and `batch_size` at the top level, which means the same.
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let mut loader = Self::default();
        let at_top = reader.positive("batch_size");
        let mut given_twice = false;
        if let Some(mut members) = reader.member("loader_args") {
            members.only(name::LOADER);
            given_twice = members.raw("batch_size").is_some();
            loader.batch_size = members.positive("batch_size").unwrap_or(loader.batch_size);
            loader.shuffle = members.boolean("shuffle", loader.shuffle);
            loader.drop_last = members.boolean("drop_last", loader.drop_last);
        }
        if reader.raw("batch_size").is_some() && given_twice {
            reader.refuse("batch_size", Rule::Excludes("loader_args.batch_size"));
        }
        loader.batch_size = at_top.unwrap_or(loader.batch_size);
        loader
    }
}
