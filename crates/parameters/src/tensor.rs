//! One tensor held in memory.

use crate::{Dtype, Error, element::Operations, schema::checked_elements};

/// Holds the values of one tensor as the bytes that a file would hold.
///
/// Its bytes always fill its shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Tensor {
    /// Takes little-endian bytes, row by row.
    ///
    /// # Errors
    ///
    /// If the bytes do not fill the shape.
    pub fn new(dtype: Dtype, shape: &[usize], bytes: Vec<u8>) -> Result<Self, Error> {
        let elements = checked_elements(dtype, shape);
        if elements.map(|elements| elements * dtype.size()) != Some(bytes.len()) {
            let values = bytes.len() / dtype.size();
            return Err(Error::WrongValueCount { values, dtype, shape: shape.to_vec() });
        }
        Ok(Self { dtype, shape: shape.to_vec(), bytes })
    }

    /// Takes `f32` values, row by row.
    ///
    /// # Errors
    ///
    /// If the values do not fill the shape.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Result<Self, Error> {
        Self::new(Dtype::F32, shape, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// Takes numbers, row by row, and rounds each to the nearest element, ties to even.
    ///
    /// # Errors
    ///
    /// If the values do not fill the shape.
    pub fn from_f64(dtype: Dtype, shape: &[usize], values: &[f64]) -> Result<Self, Error> {
        let mut bytes = vec![0; values.len() * dtype.size()];
        (Operations::of(dtype).narrow)(values, &mut bytes);
        Self::new(dtype, shape, bytes)
    }

    /// Returns the type of the elements.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Returns the length of each dimension, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Returns the little-endian bytes, row by row.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the number of elements.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.bytes.len() / self.dtype.size()
    }

    /// Returns the values of a tensor whose type `f32` holds exactly.
    ///
    /// # Errors
    ///
    /// If the tensor is not of F32, F16 or BF16.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        match self.dtype {
            Dtype::F32 => Ok(self
                .bytes
                .as_chunks::<4>()
                .0
                .iter()
                .map(|element| f32::from_le_bytes(*element))
                .collect()),
            Dtype::F16 | Dtype::Bf16 =>
            {
                #[expect(clippy::cast_possible_truncation, reason = "16-bit floats fit exactly")]
                Ok(self.to_f64().into_iter().map(|value| value as f32).collect())
            }
            Dtype::F64
            | Dtype::I64
            | Dtype::I32
            | Dtype::I16
            | Dtype::I8
            | Dtype::U8
            | Dtype::Bool => Err(Error::NotFloat { dtype: self.dtype }),
        }
    }

    /// Returns the values as numbers; exact but for I64 beyond 2⁵³.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        let mut numbers = vec![0.0; self.elements()];
        (Operations::of(self.dtype).widen)(&self.bytes, &mut numbers);
        numbers
    }
}
