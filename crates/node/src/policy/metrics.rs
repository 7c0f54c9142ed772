//! Which measured values may leave, and how exactly.

use std::collections::BTreeMap;

use super::argument::Range;

/// The owner's rules on measured values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MetricRules {
    /// The names that may leave; without it, those that a plan declares.
    pub(crate) names: Option<Vec<String>>,
    /// Significant digits that may leave.
    pub(crate) digits: Option<u32>,
    /// Ranges that values are brought into.
    pub(crate) ranges: BTreeMap<String, Range>,
}

/// Whether the policy changed what leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Altered {
    /// A value stays, or leaves less exactly.
    Yes,
    /// All is as it was measured.
    No,
}

impl MetricRules {
    /// Whether everything that a plan declares leaves as it was measured.
    pub(crate) fn are_open(&self) -> bool {
        self.names.is_none() && self.digits.is_none() && self.ranges.is_empty()
    }

    /// Takes out what may not leave, and makes the rest as inexact as it must be.
    pub(crate) fn apply(&self, metrics: &mut Vec<(String, f64)>) -> Altered {
        if self.are_open() {
            return Altered::No;
        }
        let before = metrics.clone();
        if let Some(names) = &self.names {
            metrics.retain(|(name, _)| names.iter().any(|one| one.eq_ignore_ascii_case(name)));
        }
        for (name, value) in metrics.iter_mut() {
            *value = self.blur(name, *value);
        }
        if *metrics == before { Altered::No } else { Altered::Yes }
    }

    /// Rounds, then brings into the range: the end of a range is the owner's number and says nothing of the data.
    fn blur(&self, name: &str, value: f64) -> f64 {
        let rounded = self.digits.map_or(value, |digits| round(value, digits));
        let range = self.ranges.iter().find(|(one, _)| one.eq_ignore_ascii_case(name));
        range.map_or(rounded, |(_, range)| range.clamp(rounded))
    }
}

/// The nearest number with so many significant digits.
fn round(value: f64, digits: u32) -> f64 {
    let decimals = usize::try_from(digits.saturating_sub(1)).unwrap_or(usize::MAX);
    // The largest numbers have no neighbour above to be rounded to.
    let rounded =
        format!("{value:.decimals$e}").parse().ok().filter(|number: &f64| number.is_finite());
    rounded.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_are_rounded_to_significant_digits() {
        for (value, digits, expected) in [
            (0.123_456, 4, 0.1235),
            (123_456.0, 2, 120_000.0),
            (-0.009_99, 2, -0.01),
            (0.0, 3, 0.0),
            (0.95, 15, 0.95),
        ] {
            assert_eq!(round(value, digits), expected);
        }
    }

    #[test]
    fn only_listed_names_leave_whatever_their_case() {
        let names = Some(vec!["accuracy".to_owned()]);
        let rules = MetricRules { names, ..MetricRules::default() };
        let mut metrics = vec![("ACCURACY".to_owned(), 0.5), ("F1_SCORE".to_owned(), 0.6)];
        assert_eq!(rules.apply(&mut metrics), Altered::Yes);
        assert_eq!(metrics, [("ACCURACY".to_owned(), 0.5)]);
        assert_eq!(rules.apply(&mut metrics), Altered::No);
    }

    proptest! {
        #[test]
        fn what_leaves_is_in_its_range_and_has_no_digit_too_many(
            value in proptest::num::f64::NORMAL,
            digits in 1_u32..=15,
            low in -1e3_f64..0.0,
            width in 0.0_f64..1e3,
        ) {
            let range = Range { minimum: Some(low), maximum: Some(low + width) };
            let ranges = BTreeMap::from([("LOSS".to_owned(), range)]);
            let rules = MetricRules { names: None, digits: Some(digits), ranges };
            let mut metrics = vec![("loss".to_owned(), value), ("other".to_owned(), value)];
            rules.apply(&mut metrics);
            let (loss, other) = (metrics[0].1, metrics[1].1);
            prop_assert!((low..=low + width).contains(&loss));
            prop_assert_eq!(round(other, digits), other, "rounding again changes nothing");
            prop_assert!((other - value).abs() <= value.abs() * 10_f64.powi(1 - digits as i32));
            let once = metrics.clone();
            rules.apply(&mut metrics);
            prop_assert!(metrics[1] == once[1], "what was rounded stays");
        }
    }
}
