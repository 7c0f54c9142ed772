//! Count, mean and squared differences of some numbers.

/// What describes numbers so that those of several sites can be put together exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    pub(super) count: u64,
    pub(super) mean: f64,
    /// The sum of squared differences from the mean.
    pub(super) squares: f64,
}

impl Moments {
    /// Goes over the numbers twice: first for the mean, then for the differences from it.
    #[expect(clippy::cast_precision_loss, reason = "no dataset has 2^53 rows")]
    pub(super) fn of(numbers: &[f64]) -> Self {
        if numbers.is_empty() {
            return Self::default();
        }
        let count = numbers.len() as f64;
        let mean = sum(numbers.iter().copied()) / count;
        let squares = sum(numbers.iter().map(|number| (number - mean).powi(2)));
        // What rounding left of the mean shows in the differences, and is taken out again.
        let rest = sum(numbers.iter().map(|number| number - mean));
        let squares = (squares - rest * rest / count).max(0.0);
        Self { count: numbers.len() as u64, mean, squares }
    }

    /// Whether the numbers are within what can be put together with those of other sites.
    pub(super) fn can_be_combined(self) -> bool {
        self.mean.abs() <= LARGEST_MEAN && self.squares <= LARGEST_SQUARES
    }
}

/// Neumaier's sum: what each addition loses is added at the end.
fn sum(numbers: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
    for number in numbers {
        let next = sum + number;
        lost +=
            if sum.abs() >= number.abs() { (sum - next) + number } else { (number - next) + sum };
        sum = next;
    }
    sum + lost
}

/// The largest mean and squares that sites' numbers are combined of.
const LARGEST_MEAN: f64 = 1e140;
const LARGEST_SQUARES: f64 = 1e300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_mean_does_not_drown_a_small_deviation() {
        let numbers: Vec<f64> = (0..1_000).map(|place| 1e9 + f64::from(place % 2)).collect();
        let moments = Moments::of(&numbers);
        assert_eq!((moments.count, moments.mean, moments.squares), (1_000, 1e9 + 0.5, 250.0));
    }

    #[test]
    fn no_number_and_equal_numbers_have_no_spread() {
        assert_eq!(Moments::of(&[]), Moments::default());
        let equal = Moments::of(&[0.1; 7]);
        assert_eq!((equal.count, equal.squares), (7, 0.0));
        assert!((equal.mean - 0.1).abs() < 1e-16);
    }
}
