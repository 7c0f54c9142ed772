//! The order in which training rows are visited, cut into batches.

use std::num::NonZeroUsize;

use crate::permutation::Generator;

/// How the rows of one epoch are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As in the dataset.
    Dataset,
    /// Shuffled by [`Generator`] from this seed.
    Shuffled([u8; 32]),
}

/// What becomes of a last batch that is not full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastBatch {
    /// It is used as it is.
    Keep,
    /// Its rows are left out of this epoch.
    Drop,
}

/// The batches of one epoch.
///
/// # Examples
///
/// ```
/// use dataset::{Batches, LastBatch, Order};
///
/// let size = 2.try_into()?;
/// let batches = Batches::new(&[3, 5, 8], size, Order::Dataset, LastBatch::Keep);
/// assert_eq!(batches.iter().collect::<Vec<_>>(), [&[3, 5][..], &[8]]);
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batches {
    order: Vec<usize>,
    size: NonZeroUsize,
}

impl Batches {
    /// Orders the training rows and cuts them into batches of `size` rows.
    pub fn new(train: &[usize], size: NonZeroUsize, order: Order, last: LastBatch) -> Self {
        let mut rows = train.to_vec();
        if let Order::Shuffled(seed) = order {
            Generator::new(seed).shuffle(&mut rows);
        }
        if last == LastBatch::Drop {
            rows.truncate(rows.len() - rows.len() % size);
        }
        Self { order: rows, size }
    }

    /// Goes over the batches, each a list of row indexes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[usize]> + DoubleEndedIterator {
        self.order.chunks(self.size.get())
    }

    /// The number of batches.
    pub fn count(&self) -> usize {
        self.order.len().div_ceil(self.size.get())
    }

    /// The number of rows in all batches together.
    pub fn rows(&self) -> usize {
        self.order.len()
    }
}
