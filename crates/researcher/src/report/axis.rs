//! Axes: from values to places, with round numbers as ticks.

/// A stretch of values laid over a stretch of the drawing.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    /// The distance between two ticks.
    pub(super) step: f64,
    /// The values that have a tick.
    pub(super) ticks: Vec<f64>,
}

impl Axis {
    /// Covers all `values` with about `wanted` steps of 1, 2 or 5 times a power of ten.
    pub(super) fn around(
        values: impl Iterator<Item = f64>,
        wanted: f64,
        (from, to): (f64, f64),
    ) -> Self {
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
                (low.min(value), high.max(value))
            });
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let spread = if high - low > 0.0 { high - low } else { low.abs().max(1.0) * 0.1 };
        let step = round_step(spread / wanted);
        // The outermost values lie inside, so that no marker touches the frame.
        let is_share = low >= 0.0 && high <= 1.0;
        let low = ((low - spread * MARGIN) / step).floor() * step;
        let high = ((high + spread * MARGIN) / step).ceil() * step;
        // What lies between 0 and 1 cannot leave it, and the axis does not suggest it.
        let (low, high) = if is_share { (low.max(0.0), high.min(1.0)) } else { (low, high) };
        Self { low, high, from, to, step, ticks: ticks(low, high, step) }
    }

    /// Covers whole numbers from `first` to `last`, ticks at whole numbers only.
    pub(super) fn counting(first: u32, last: u32, wanted: f64, (from, to): (f64, f64)) -> Self {
        let (low, high) = (f64::from(first), f64::from(last.max(first + 1)));
        let step = round_step((high - low) / wanted).max(1.0);
        let start = (low / step).ceil() * step;
        Self { low, high, from, to, step, ticks: ticks(start, high, step) }
    }

    /// Where a value is drawn.
    pub(super) fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }
}

/// The smallest of 1, 2 and 5 times a power of ten that is at least `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= rough * (1.0 - 1e-9))
        .unwrap_or(10.0 * power)
}

fn ticks(low: f64, high: f64, step: f64) -> Vec<f64> {
    (0_u32..MOST_TICKS)
        .map(|index| low + f64::from(index) * step)
        .take_while(|tick| *tick <= high + step * 1e-6)
        .collect()
}

const MARGIN: f64 = 0.04;
const MOST_TICKS: u32 = 40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_around_the_values() {
        let axis = Axis::around([0.62, 0.98].into_iter(), 5.0, (100.0, 0.0));
        assert!((axis.step - 0.1).abs() < 1e-12);
        assert!(axis.ticks.len() >= 4);
        assert!(axis.place(0.62) < 100.0 && axis.place(0.98) > 0.0);
    }

    #[test]
    fn the_axis_of_a_share_ends_at_one() {
        let axis = Axis::around([0.6, 0.999].into_iter(), 5.0, (100.0, 0.0));
        assert!((axis.ticks[axis.ticks.len() - 1] - 1.0).abs() < 1e-9);
        assert!(axis.place(0.999) > 0.0);
    }

    #[test]
    fn one_value_and_none_still_make_an_axis() {
        for values in [vec![], vec![3.0], vec![0.0], vec![f64::NAN]] {
            let axis = Axis::around(values.into_iter(), 5.0, (0.0, 1.0));
            assert!(axis.place(0.5).is_finite());
            assert!((2..40).contains(&axis.ticks.len()));
        }
    }

    #[test]
    fn rounds_have_whole_ticks() {
        let axis = Axis::counting(0, 20, 8.0, (0.0, 1.0));
        assert_eq!(axis.ticks, [0.0, 5.0, 10.0, 15.0, 20.0]);
        assert_eq!(Axis::counting(0, 0, 8.0, (0.0, 1.0)).ticks, [0.0, 1.0]);
        assert_eq!(Axis::counting(1, 3, 8.0, (0.0, 1.0)).ticks, [1.0, 2.0, 3.0]);
    }
}
