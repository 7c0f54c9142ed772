//! Looking at values without keeping them: finiteness and norm.

use crate::{Dtype, Error, element::Operations, schema::TensorSchema};

/// Checks the values of a chunk that begins at this element of the tensor.
pub(crate) fn check_chunk(tensor: &TensorSchema, start: usize, bytes: &[u8]) -> Result<(), Error> {
    match (Operations::of(tensor.dtype).first_invalid)(bytes) {
        Some(index) => Err(Error::NotFinite { name: tensor.name.clone(), index: start + index }),
        None => Ok(()),
    }
}

/// Sums squares in a fixed order: element `i` of a chunk goes to lane `i mod 8`, and the lanes are
/// added from the first to the last at the end.
///
/// Eight lanes let the processor add in parallel without the compiler reordering anything.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Norm {
    lanes: [f64; LANES],
}

impl Norm {
    /// Adds a chunk; all but the last chunk of a tensor hold a multiple of eight elements.
    pub(crate) fn add(&mut self, dtype: Dtype, bytes: &[u8]) {
        if !dtype.is_float() {
            return;
        }
        let widen = Operations::of(dtype).widen;
        let mut numbers = [0.0; BLOCK];
        for block in bytes.chunks(BLOCK * dtype.size()) {
            let numbers = &mut numbers[..block.len() / dtype.size()];
            widen(block, numbers);
            for group in numbers.chunks(LANES) {
                for (lane, number) in self.lanes.iter_mut().zip(group) {
                    *lane += number * number;
                }
            }
        }
    }

    /// Adds the difference of two chunks of the same tensor.
    pub(crate) fn add_difference(&mut self, dtype: Dtype, bytes: &[u8], others: &[u8]) {
        if !dtype.is_float() {
            return;
        }
        let widen = Operations::of(dtype).widen;
        let (mut numbers, mut subtrahends) = ([0.0; BLOCK], [0.0; BLOCK]);
        let size = BLOCK * dtype.size();
        for (block, other) in bytes.chunks(size).zip(others.chunks(size)) {
            let length = block.len() / dtype.size();
            let (numbers, subtrahends) = (&mut numbers[..length], &mut subtrahends[..length]);
            widen(block, numbers);
            widen(other, subtrahends);
            for (group, others) in numbers.chunks(LANES).zip(subtrahends.chunks(LANES)) {
                for ((lane, number), other) in self.lanes.iter_mut().zip(group).zip(others) {
                    let difference = number - other;
                    *lane += difference * difference;
                }
            }
        }
    }

    pub(crate) fn value(&self) -> f64 {
        self.lanes.iter().sum::<f64>().sqrt()
    }
}

const LANES: usize = 8;
const BLOCK: usize = 512;
