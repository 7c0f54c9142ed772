//! Permutations that are the same on every machine, in every version and in every language.
//!
//! The words come from ChaCha with 8 rounds: the seed is the 32-byte key, the block counter (64 bits) starts
//! at 0 and the stream id (64 bits) is 0. The key stream is cut into 64-bit words, each little-endian.
//!
//! A draw below `bound` takes the next word `w`, throws it away and takes another while
//! `w ≥ 2⁶⁴ − (2⁶⁴ mod bound)`, and gives `w mod bound`: no value is likelier than another.
//!
//! The shuffle is Fisher–Yates from the end: for `i` from `n − 1` down to 1, draw `j` below `i + 1` and swap the
//! elements at `i` and `j`. `tests/fixtures/make_golden.py` says the same in Python.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// Draws integers and shuffles from one seed.
///
/// # Examples
///
/// ```
/// let mut rows = [0, 1, 2, 3, 4];
/// dataset::Generator::new([0; 32]).shuffle(&mut rows);
/// assert_eq!(rows, [2, 0, 1, 4, 3]);
/// ```
#[derive(Debug, Clone)]
pub struct Generator(ChaCha8Rng);

impl Generator {
    /// Starts at the first word of the seed's key stream.
    pub fn new(seed: [u8; 32]) -> Self {
        Self(ChaCha8Rng::from_seed(seed))
    }

    /// Draws an integer from 0 to `bound` − 1, each as likely as the others.
    ///
    /// # Panics
    ///
    /// With a bound of 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // 2⁶⁴ mod bound, computed without 2⁶⁴.
        let excess = (u64::MAX % bound + 1) % bound;
        loop {
            let word = self.0.next_u64();
            if word <= u64::MAX - excess {
                return word % bound;
            }
        }
    }

    /// Brings the elements into a random order.
    pub fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            let bound = u64::try_from(last + 1).expect("a length fits 64 bits");
            let chosen = usize::try_from(self.below(bound)).expect("it is below a length");
            elements.swap(last, chosen);
        }
    }
}
