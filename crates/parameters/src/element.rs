//! Elements as numbers: widening to `f64` and rounding back, once, to nearest, ties to even.
//!
//! The half-precision conversions are written here instead of taken from the `half` crate, because
//! that crate's `f64` conversion drops the low 32 bits before it rounds, or rounds twice through
//! `f32` where the processor has an instruction for it; both can differ in the last place from the
//! single rounding that aggregation promises.

use crate::Dtype;

/// Converts between the stored bytes of one element and a number.
///
/// `SIZE` is the number of bytes, so that loops run over arrays and need no bounds checks.
pub trait Element<const SIZE: usize> {
    /// Reads one element; exact for every type but `i64` beyond 2⁵³, which is rounded to nearest.
    fn widen(bytes: [u8; SIZE]) -> f64;

    /// Rounds to the nearest element, ties to even; integers saturate at the ends of their range.
    fn narrow(value: f64) -> [u8; SIZE];

    /// Says whether these bytes are a value that may leave a node: finite, and 0 or 1 for `bool`.
    fn is_valid(bytes: [u8; SIZE]) -> bool;
}

/// Runs a loop in the widest registers that the processor has.
///
/// This program is built for every x86-64 processor, whose common registers hold two `f64`; AVX2's
/// hold four. The loop is compiled for both. Neither form fuses a product with a sum, so both give
/// the same bits. What the loop calls must be inlined, or it stays in the narrow form.
#[inline(always)]
#[expect(clippy::inline_always, reason = "only what is inlined is compiled for the wide registers")]
pub fn widest<Output>(work: impl FnOnce() -> Output) -> Output {
    #[cfg(target_arch = "x86_64")]
    if let Some(wide) = pulp::x86::V3::try_new() {
        return wide.vectorize(work);
    }
    work()
}

/// Marks IEEE 754 binary16 elements.
#[derive(Clone, Copy, Debug)]
pub struct Half;

/// Marks bfloat16 elements.
#[derive(Clone, Copy, Debug)]
pub struct BrainFloat;

impl Element<8> for f64 {
    #[inline]
    fn widen(bytes: [u8; 8]) -> f64 {
        Self::from_le_bytes(bytes)
    }

    #[inline]
    fn narrow(value: f64) -> [u8; 8] {
        value.to_le_bytes()
    }

    #[inline]
    fn is_valid(bytes: [u8; 8]) -> bool {
        Self::from_le_bytes(bytes).is_finite()
    }
}

impl Element<4> for f32 {
    #[inline]
    fn widen(bytes: [u8; 4]) -> f64 {
        f64::from(Self::from_le_bytes(bytes))
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "this cast is the one rounding")]
    fn narrow(value: f64) -> [u8; 4] {
        (value as Self).to_le_bytes()
    }

    #[inline]
    fn is_valid(bytes: [u8; 4]) -> bool {
        Self::from_le_bytes(bytes).is_finite()
    }
}

impl Element<2> for Half {
    /// Places the 15 bits of exponent and fraction in a binary32 and scales by 2¹¹², which is exact
    /// and turns subnormal halves into normal floats; infinities and NaN need their exponent back.
    #[inline]
    fn widen(bytes: [u8; 2]) -> f64 {
        let bits = u32::from(u16::from_le_bytes(bytes));
        let magnitude = bits & 0x7fff;
        let scaled = f32::from_bits(magnitude << 13) * f32::from_bits((127 + 112) << 23);
        let special = f32::from_bits((magnitude << 13) | 0x7f80_0000);
        let unsigned = if magnitude >= 0x7c00 { special } else { scaled };
        f64::from(f32::from_bits(unsigned.to_bits() | ((bits & 0x8000) << 16)))
    }

    #[inline]
    fn narrow(value: f64) -> [u8; 2] {
        narrow_to_16_bits(value, 10).to_le_bytes()
    }

    #[inline]
    fn is_valid(bytes: [u8; 2]) -> bool {
        u16::from_le_bytes(bytes) & 0x7c00 != 0x7c00
    }
}

impl Element<2> for BrainFloat {
    #[inline]
    fn widen(bytes: [u8; 2]) -> f64 {
        f64::from(f32::from_bits(u32::from(u16::from_le_bytes(bytes)) << 16))
    }

    #[inline]
    fn narrow(value: f64) -> [u8; 2] {
        narrow_to_16_bits(value, 7).to_le_bytes()
    }

    #[inline]
    fn is_valid(bytes: [u8; 2]) -> bool {
        u16::from_le_bytes(bytes) & 0x7f80 != 0x7f80
    }
}

impl Element<8> for i64 {
    #[inline]
    #[expect(clippy::cast_precision_loss, reason = "documented: rounded beyond 2⁵³")]
    fn widen(bytes: [u8; 8]) -> f64 {
        Self::from_le_bytes(bytes) as f64
    }

    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "rounded first; the cast saturates")]
    fn narrow(value: f64) -> [u8; 8] {
        (value.round_ties_even() as Self).to_le_bytes()
    }

    #[inline]
    fn is_valid(_: [u8; 8]) -> bool {
        true
    }
}

/// Implements [`Element`] for an integer that `f64` holds exactly.
macro_rules! exact_integer {
    ($integer:ty, $size:literal) => {
        impl Element<$size> for $integer {
            #[inline]
            fn widen(bytes: [u8; $size]) -> f64 {
                f64::from(Self::from_le_bytes(bytes))
            }

            #[inline]
            #[expect(
                clippy::cast_possible_truncation,
                reason = "rounded first; the cast saturates"
            )]
            #[allow(clippy::cast_sign_loss, reason = "only the unsigned instance loses a sign")]
            fn narrow(value: f64) -> [u8; $size] {
                (value.round_ties_even() as Self).to_le_bytes()
            }

            #[inline]
            fn is_valid(_: [u8; $size]) -> bool {
                true
            }
        }
    };
}

exact_integer!(i32, 4);
exact_integer!(i16, 2);
exact_integer!(i8, 1);
exact_integer!(u8, 1);

impl Element<1> for bool {
    #[inline]
    fn widen(bytes: [u8; 1]) -> f64 {
        f64::from(bytes[0])
    }

    /// Exactly one half is false: ties go to even.
    #[inline]
    fn narrow(value: f64) -> [u8; 1] {
        [u8::from(value > 0.5)]
    }

    #[inline]
    fn is_valid(bytes: [u8; 1]) -> bool {
        bytes[0] <= 1
    }
}

/// Holds the whole-slice operations of one element type, chosen once per tensor.
#[derive(Clone, Copy, Debug)]
pub struct Operations {
    /// Widens every element of the bytes into the numbers; both sides hold the same count.
    pub widen: fn(&[u8], &mut [f64]),
    /// Rounds every number into the bytes; both sides hold the same count.
    pub narrow: fn(&[f64], &mut [u8]),
    /// Returns the index of the first element that is not a valid value, see [`Element::is_valid`].
    pub first_invalid: fn(&[u8]) -> Option<usize>,
}

impl Operations {
    /// Returns the operations of an element type.
    #[must_use]
    pub fn of(dtype: Dtype) -> Self {
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
            widen: widen::<E, SIZE>,
            narrow: narrow::<E, SIZE>,
            first_invalid: first_invalid::<E, SIZE>,
        }
    }
}

fn widen<E: Element<SIZE>, const SIZE: usize>(bytes: &[u8], numbers: &mut [f64]) {
    widest(|| {
        for (number, element) in numbers.iter_mut().zip(bytes.as_chunks::<SIZE>().0) {
            *number = E::widen(*element);
        }
    });
}

fn narrow<E: Element<SIZE>, const SIZE: usize>(numbers: &[f64], bytes: &mut [u8]) {
    widest(|| {
        for (element, number) in bytes.as_chunks_mut::<SIZE>().0.iter_mut().zip(numbers) {
            *element = E::narrow(*number);
        }
    });
}

/// Looks at whole blocks without a branch per element, then for the place inside a bad block.
fn first_invalid<E: Element<SIZE>, const SIZE: usize>(bytes: &[u8]) -> Option<usize> {
    let elements = bytes.as_chunks::<SIZE>().0;
    let bad_block = widest(|| {
        elements.chunks(BLOCK).position(|block| {
            !block.iter().fold(true, |valid, element| valid & E::is_valid(*element))
        })
    })?;
    let start = bad_block * BLOCK;
    elements[start..].iter().position(|element| !E::is_valid(*element)).map(|index| start + index)
}

const BLOCK: usize = 256;

/// Rounds to a 16-bit float with this many fraction bits, once, to nearest, ties to even.
///
/// The carry of a rounding runs from the fraction into the exponent, which is what the formats
/// intend: the largest finite value rounds up to infinity, the largest subnormal to a normal.
#[expect(clippy::cast_possible_truncation, reason = "every cast keeps bits known to fit")]
fn narrow_to_16_bits(value: f64, fraction_bits: u32) -> u16 {
    let bits = value.to_bits();
    let sign = ((bits >> 48) & 0x8000) as u16;
    let exponent_bits = 15 - fraction_bits;
    let infinity = ((1_u32 << exponent_bits) - 1) << fraction_bits;
    if !value.is_finite() {
        let quiet = if value.is_nan() { 1 << (fraction_bits - 1) } else { 0 };
        return sign | (infinity | quiet) as u16;
    }
    let bias = (1_i64 << (exponent_bits - 1)) - 1;
    let exponent = ((bits >> 52) & 0x7ff) as i64 - 1023 + bias;
    if exponent >= (1 << exponent_bits) - 1 {
        return sign | infinity as u16;
    }
    let subnormal_shift = (1 - exponent).clamp(0, 64) as u32;
    let shift = 52 - fraction_bits + subnormal_shift;
    // Beyond this shift less than half of the smallest subnormal is left. A subnormal f64 has no
    // implicit one, but lies so far below that it always ends here.
    if shift > 53 {
        return sign;
    }
    let significand = (bits & ((1 << 52) - 1)) | (1 << 52);
    let kept = significand >> shift;
    let remainder = significand & ((1 << shift) - 1);
    let tie = 1_u64 << (shift - 1);
    let rounded = kept + u64::from(remainder > tie || (remainder == tie && kept & 1 == 1));
    let exponent_field = ((exponent.max(1) - 1) as u64) << fraction_bits;
    sign | (exponent_field + rounded) as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value_of(bits: u16, fraction_bits: u32) -> f64 {
        match fraction_bits {
            10 => Half::widen(bits.to_le_bytes()),
            _ => BrainFloat::widen(bits.to_le_bytes()),
        }
    }

    /// Finds the nearest by comparing with both neighbours in exact arithmetic.
    fn nearest_by_search(value: f64, fraction_bits: u32, infinity: u16) -> u16 {
        let (mut low, mut high) = (0_u16, infinity);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if value_of(middle, fraction_bits) <= value { low = middle } else { high = middle }
        }
        // The step above the largest finite value is as wide as the step below it.
        let below = value_of(low, fraction_bits);
        let above = if high == infinity {
            2.0 * below - value_of(low - 1, fraction_bits)
        } else {
            value_of(high, fraction_bits)
        };
        match (value - below).partial_cmp(&(above - value)).expect("both are numbers") {
            std::cmp::Ordering::Less => low,
            std::cmp::Ordering::Greater => high,
            std::cmp::Ordering::Equal => low + (low & 1),
        }
    }

    #[test]
    fn every_16_bit_float_survives_widening_and_narrowing() {
        for bits in 0..=u16::MAX {
            let bytes = bits.to_le_bytes();
            if Half::is_valid(bytes) {
                assert_eq!(Half::narrow(Half::widen(bytes)), bytes, "half {bits:#06x}");
            } else {
                assert!(!Half::widen(bytes).is_finite());
                assert!(!Half::is_valid(Half::narrow(Half::widen(bytes))));
            }
            if BrainFloat::is_valid(bytes) {
                assert_eq!(BrainFloat::narrow(BrainFloat::widen(bytes)), bytes, "{bits:#06x}");
            } else {
                assert!(!BrainFloat::is_valid(BrainFloat::narrow(BrainFloat::widen(bytes))));
            }
        }
    }

    #[test]
    fn a_tie_broken_only_by_the_last_bit_of_an_f64_rounds_up() {
        // One half-step above 1 in binary16 is a tie; the next f64 above it is not. Rounding
        // through f32 first would lose the difference.
        let tie = 1.0 + 2.0_f64.powi(-11);
        assert_eq!(Half::narrow(tie), 0x3c00_u16.to_le_bytes());
        assert_eq!(Half::narrow(f64::from_bits(tie.to_bits() + 1)), 0x3c01_u16.to_le_bytes());
        let tie = 1.0 + 2.0_f64.powi(-8);
        assert_eq!(BrainFloat::narrow(tie), 0x3f80_u16.to_le_bytes());
        assert_eq!(BrainFloat::narrow(f64::from_bits(tie.to_bits() + 1)), 0x3f81_u16.to_le_bytes());
    }

    #[test]
    fn integers_round_ties_to_even_and_saturate() {
        assert_eq!(i8::narrow(2.5), [2]);
        assert_eq!(i8::narrow(3.5), [4]);
        assert_eq!(i8::narrow(-2.5), (-2_i8).to_le_bytes());
        assert_eq!(u8::narrow(300.0), [255]);
        assert_eq!(i64::narrow(i64::widen(i64::MAX.to_le_bytes())), i64::MAX.to_le_bytes());
        assert_eq!(bool::narrow(0.5), [0]);
        assert_eq!(bool::narrow(0.500_001), [1]);
    }

    #[test]
    fn the_first_invalid_element_is_found_across_blocks() {
        let mut values = vec![1.0_f32; 1000];
        values[700] = f32::INFINITY;
        values[900] = f32::NAN;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert_eq!((Operations::of(Dtype::F32).first_invalid)(&bytes), Some(700));
        assert_eq!((Operations::of(Dtype::F32).first_invalid)(&bytes[..2800]), None);
        assert_eq!((Operations::of(Dtype::Bool).first_invalid)(&[0, 1, 2]), Some(2));
    }

    proptest! {
        #[test]
        fn half_narrowing_is_the_nearest_value(value in 0.0..70_000.0_f64) {
            let expected = nearest_by_search(value, 10, 0x7c00).to_le_bytes();
            prop_assert_eq!(Half::narrow(value), expected);
        }

        #[test]
        fn small_half_narrowing_is_the_nearest_value(value in 0.0..1e-4_f64) {
            let expected = nearest_by_search(value, 10, 0x7c00).to_le_bytes();
            prop_assert_eq!(Half::narrow(value), expected);
        }

        #[test]
        fn brain_float_narrowing_is_the_nearest_value(bits in 0_u64..0x47f0_0000_0000_0000) {
            let value = f64::from_bits(bits);
            let expected = nearest_by_search(value, 7, 0x7f80).to_le_bytes();
            prop_assert_eq!(BrainFloat::narrow(value), expected);
        }
    }
}
