//! Seeded random numbers: the only source of randomness of this crate.
//!
//! A ChaCha stream cipher with 8 rounds, keyed with the 32 bytes of the seed; words are taken in the
//! order of RFC 8439's block layout, little-endian. What follows is part of the format: the same seed
//! must give the same model in every later version.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Draws numbers from one seed.
#[derive(Debug)]
pub(crate) struct Generator(ChaCha8Rng);

impl Generator {
    /// Starts stream `stream` of `seed`; different streams never overlap.
    pub(crate) fn new(seed: [u8; 32], stream: u64) -> Self {
        let mut cipher = ChaCha8Rng::from_seed(seed);
        cipher.set_stream(stream);
        Self(cipher)
    }

    /// A number from 0 to below 1: the upper 24 bits of one 32-bit word, divided by 2^24.
    pub(crate) fn fraction(&mut self) -> f32 {
        const UNIT: f32 = 1.0 / 16_777_216.0;
        #[expect(clippy::cast_precision_loss, reason = "24 bits fit an f32 exactly")]
        let upper = (self.0.next_u32() >> 8) as f32;
        upper * UNIT
    }

    /// Fills with numbers from `-bound` to below `bound`: `bound · (2 · fraction − 1)`, one
    /// 32-bit word each.
    pub(crate) fn fill_uniform(&mut self, values: &mut [f32], bound: f32) {
        values.fill_with(|| bound * (2.0 * self.fraction() - 1.0));
    }

    /// Fills with normal numbers of mean zero, in pairs by Box and Muller's transform in f64 (Annals
    /// of Mathematical Statistics 29, 1958): with `u`, `v` the upper 53 bits of two 64-bit words over
    /// 2^53, the pair is `deviation · √(−2 ln(1 − u)) · (cos 2πv, sin 2πv)`.
    /// Of the last pair of an odd count the second is dropped.
    pub(crate) fn fill_normal(&mut self, values: &mut [f32], deviation: f64) {
        for pair in values.chunks_mut(2) {
            let radius = deviation * (-2.0 * (-self.fine_fraction()).ln_1p()).sqrt();
            let (sine, cosine) = (std::f64::consts::TAU * self.fine_fraction()).sin_cos();
            for (value, part) in pair.iter_mut().zip([cosine, sine]) {
                #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is meant")]
                let rounded = (radius * part) as f32;
                *value = rounded;
            }
        }
    }

    fn fine_fraction(&mut self) -> f64 {
        const UNIT: f64 = 1.0 / 9_007_199_254_740_992.0;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit an f64 exactly")]
        let upper = (self.0.next_u64() >> 11) as f64;
        upper * UNIT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_and_stream_give_the_same_numbers_and_streams_differ() {
        let draw = |seed: u8, stream| {
            let mut values = [0.0; 5];
            Generator::new([seed; 32], stream).fill_normal(&mut values, 1.0);
            values
        };
        assert_eq!(draw(1, 0), draw(1, 0));
        assert_ne!(draw(1, 0), draw(1, 1));
        assert_ne!(draw(1, 0), draw(2, 0));
    }

    #[test]
    fn moments_are_those_of_the_distributions() {
        // Tolerances: five standard errors of each estimate for 100 000 draws.
        let count = 100_000_u32;
        let mut values = vec![0.0_f32; count as usize];
        let moments = |values: &[f32]| {
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / f64::from(count);
            let square = values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>()
                / f64::from(count);
            (mean, square)
        };
        let error = 1.0 / f64::from(count).sqrt();
        Generator::new([7; 32], 0).fill_normal(&mut values, 2.0);
        let (mean, variance) = moments(&values);
        assert!(mean.abs() < 5.0 * 2.0 * error, "{mean}");
        assert!((variance - 4.0).abs() < 5.0 * 4.0 * 2.0_f64.sqrt() * error, "{variance}");
        Generator::new([7; 32], 0).fill_uniform(&mut values, 3.0);
        let (mean, variance) = moments(&values);
        assert!(mean.abs() < 5.0 * 3.0_f64.sqrt() * error, "{mean}");
        assert!((variance - 3.0).abs() < 5.0 * 3.0 * 0.9 * error, "{variance}");
        assert!(values.iter().all(|value| (-3.0..3.0).contains(value)));
    }
}
