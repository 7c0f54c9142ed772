//! How long to wait before trying again.

use std::time::Duration;

use rand_chacha::rand_core::Rng;

/// Delays that double up to a bound, each shortened by chance so that many callers do not come
/// back in the same instant.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use rand_chacha::ChaCha8Rng;
/// use rand_chacha::rand_core::SeedableRng;
/// use transport::BackOff;
///
/// let rng = ChaCha8Rng::seed_from_u64(7);
/// let mut back_off = BackOff::new(Duration::from_millis(100), Duration::from_secs(5), rng);
/// let first = back_off.next_delay();
/// assert!(first >= Duration::from_millis(50) && first <= Duration::from_millis(100));
/// ```
#[derive(Clone, Debug)]
pub struct BackOff<R> {
    first: Duration,
    longest: Duration,
    attempt: u32,
    rng: R,
}

impl<R: Rng> BackOff<R> {
    /// Starts with delays of at most `first`, which grow to at most `longest`.
    pub fn new(first: Duration, longest: Duration, rng: R) -> Self {
        Self { first, longest, attempt: 0, rng }
    }

    /// Returns the next delay: between half and the whole of the bound, which then doubles.
    pub fn next_delay(&mut self) -> Duration {
        let bound = self.first.saturating_mul(1_u32 << self.attempt.min(31)).min(self.longest);
        self.attempt = self.attempt.saturating_add(1);
        let half = bound / 2;
        let span = u64::try_from((bound - half).as_nanos()).unwrap_or(u64::MAX);
        // The bias of the remainder is below 2^-20 for any delay under an hour: of no account here.
        let extra = if span == 0 { 0 } else { self.rng.next_u64() % (span.saturating_add(1)) };
        half + Duration::from_nanos(extra)
    }

    /// Returns how many delays were given since the start or the last reset.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// Starts again with short delays, after a success.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn back_off(seed: u64) -> BackOff<ChaCha8Rng> {
        let rng = ChaCha8Rng::seed_from_u64(seed);
        BackOff::new(Duration::from_millis(100), Duration::from_secs(3), rng)
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let delays = |seed| {
            let mut back_off = back_off(seed);
            (0..8).map(|_| back_off.next_delay()).collect::<Vec<_>>()
        };
        assert_eq!(delays(1), delays(1));
        assert_ne!(delays(1), delays(2));
    }

    #[test]
    fn each_delay_lies_between_half_and_all_of_a_bound_that_doubles_to_the_longest() {
        for seed in 0..200 {
            let mut back_off = back_off(seed);
            for attempt in 0..70_u32 {
                let bound =
                    Duration::from_millis(100 << attempt.min(10)).min(Duration::from_secs(3));
                let delay = back_off.next_delay();
                assert!(delay >= bound / 2 && delay <= bound, "attempt {attempt}: {delay:?}");
            }
        }
    }

    #[test]
    fn a_reset_starts_again_with_short_delays() {
        let mut back_off = back_off(1);
        for _ in 0..10 {
            back_off.next_delay();
        }
        assert_eq!(back_off.attempt(), 10);
        back_off.reset();
        assert!(back_off.next_delay() <= Duration::from_millis(100));
    }

    #[test]
    fn no_delay_at_all_is_possible() {
        let rng = ChaCha8Rng::seed_from_u64(1);
        let mut back_off = BackOff::new(Duration::ZERO, Duration::ZERO, rng);
        assert_eq!(back_off.next_delay(), Duration::ZERO);
    }
}
