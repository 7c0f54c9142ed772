//! Durations as people write them: a whole number and a unit.

use std::time::Duration;

use crate::document::{Error, Section};

/// Reads a duration of at least a millisecond and at most a year.
pub(super) fn read(section: Section<'_>, key: &str) -> Result<Option<Duration>, Error> {
    let Some(text) = section.text(key)? else { return Ok(None) };
    let found = parse(text).filter(|found| (SHORTEST..=LONGEST).contains(found));
    found.map(Some).ok_or_else(|| {
        let rule = format!("must be a duration from 1ms to 365d, found {text:?}");
        section.rule(key, rule).with_hint("write a whole number and ms, s, m, h or d: \"60s\"")
    })
}

fn parse(text: &str) -> Option<Duration> {
    let digits = text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let milliseconds = match &text[digits..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(milliseconds).map(Duration::from_millis)
}

const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_a_number_and_a_unit() {
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("2h"), Some(Duration::from_secs(7_200)));
        for text in ["", "s", "60", "1.5s", "-1s", " 1s", "1 s", "99999999999999999999s", "1w"] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
