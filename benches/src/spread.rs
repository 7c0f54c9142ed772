//! A measurement's median and extremes.

use std::fmt;
use std::time::Duration;

/// Repeated measurements of one thing, in seconds.
#[derive(Debug, Clone)]
pub struct Spread {
    seconds: Vec<f64>,
}

impl Spread {
    /// Sorts measurements.
    ///
    /// # Panics
    ///
    /// Panics where there are none.
    pub fn new(seconds: impl IntoIterator<Item = f64>) -> Self {
        let mut seconds: Vec<f64> = seconds.into_iter().collect();
        assert!(!seconds.is_empty(), "there are measurements");
        seconds.sort_by(f64::total_cmp);
        Self { seconds }
    }

    /// Sorts durations.
    ///
    /// # Panics
    ///
    /// Panics where there are none.
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        Self::new(durations.into_iter().map(|one| one.as_secs_f64()))
    }

    /// The middle one.
    pub fn median(&self) -> f64 {
        self.seconds[self.seconds.len() / 2]
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ends = [self.seconds[0], self.seconds[self.seconds.len() - 1]];
        let [least, most] = ends.map(|one| one * 1e3);
        let (count, median) = (self.seconds.len(), self.median() * 1e3);
        write!(formatter, "median {median:.1} ms ({least:.1}..{most:.1}, {count} times)")
    }
}
