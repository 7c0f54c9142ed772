//! The inner loops of a weighted mean, one set for each element type.

use parameters::{
    Dtype,
    element::{BrainFloat, Element, Half, widest},
};

/// Holds the loops for one element type, chosen once per tensor.
///
/// Products and sums are separate operations: a fused multiply-add would give other bits where the
/// processor has one. All slices of one call hold the same number of elements.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// Adds weight · element to each sum.
    pub(crate) add: fn(f64, &[u8], &mut [f64]),
    /// Does what four calls of `add` in this order do, and touches the sums once instead of four
    /// times; they are twice as wide as an F32, so that is most of the memory traffic.
    pub(crate) add_four: fn([f64; 4], [&[u8]; 4], &mut [f64]),
    /// Divides each sum by the total weight and rounds it, once, to an element.
    pub(crate) finish: fn(f64, &[f64], &mut [u8]),
    /// Replaces each element that is not finite as `finish` would have made it, had the sums, which
    /// here are [`SHRUNK`], not left the range of `f64`.
    pub(crate) mend: fn(f64, &[f64], &mut [u8]),
}

impl Kernel {
    pub(crate) fn of(dtype: Dtype) -> Self {
        match dtype {
            Dtype::F64 => Self::with::<f64, 8>(),
            Dtype::F32 => Self::with::<f32, 4>(),
            Dtype::F16 => Self::with::<Half, 2>(),
            Dtype::Bf16 => Self::with::<BrainFloat, 2>(),
            Dtype::I64 => Self::with::<i64, 8>(),
            Dtype::I32 => Self::with::<i32, 4>(),
            Dtype::I16 => Self::with::<i16, 2>(),
            Dtype::I8 => Self::with::<i8, 1>(),
            Dtype::U8 => Self::with::<u8, 1>(),
            Dtype::Bool => Self::with::<bool, 1>(),
        }
    }

    fn with<E: Element<SIZE>, const SIZE: usize>() -> Self {
        Self {
            add: add::<E, SIZE>,
            add_four: add_four::<E, SIZE>,
            finish: finish::<E, SIZE>,
            mend: mend::<E, SIZE>,
        }
    }
}

fn add<E: Element<SIZE>, const SIZE: usize>(weight: f64, bytes: &[u8], sums: &mut [f64]) {
    widest(|| {
        for (sum, element) in sums.iter_mut().zip(bytes.as_chunks::<SIZE>().0) {
            *sum += weight * E::widen(*element);
        }
    });
}

fn add_four<E: Element<SIZE>, const SIZE: usize>(
    weights: [f64; 4],
    bytes: [&[u8]; 4],
    sums: &mut [f64],
) {
    let [a, b, c, d] = bytes.map(|bytes| bytes.as_chunks::<SIZE>().0);
    widest(|| {
        for ((((sum, a), b), c), d) in sums.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            let first = *sum + weights[0] * E::widen(*a);
            let second = first + weights[1] * E::widen(*b);
            let third = second + weights[2] * E::widen(*c);
            *sum = third + weights[3] * E::widen(*d);
        }
    });
}

fn finish<E: Element<SIZE>, const SIZE: usize>(total: f64, sums: &[f64], bytes: &mut [u8]) {
    widest(|| {
        for (element, sum) in bytes.as_chunks_mut::<SIZE>().0.iter_mut().zip(sums) {
            *element = E::narrow(*sum / total);
        }
    });
}

/// A mean lies between the smallest and the largest of its values; what rounding puts beyond the
/// largest number of all belongs on it.
fn mend<E: Element<SIZE>, const SIZE: usize>(total: f64, sums: &[f64], bytes: &mut [u8]) {
    for (element, sum) in bytes.as_chunks_mut::<SIZE>().0.iter_mut().zip(sums) {
        if !E::is_valid(*element) {
            *element = E::narrow((*sum / total / SHRUNK).clamp(f64::MIN, f64::MAX));
        }
    }
}

/// 2⁻⁶⁴: weights up to 2⁵³ times this keep every sum within the range of `f64`, and as a power of
/// two it changes no digit of large values.
pub(crate) const SHRUNK: f64 = 1.0 / (1_u128 << 64) as f64;

/// What a sum is before anything was added: the zero that leaves every number, −0 too, as it is.
pub(crate) const NOTHING: f64 = -0.0;
