//! Instants as they are journaled and sent.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Milliseconds since the Unix epoch.
///
/// Only a clock makes one from nothing; everything else is told the time, so that it can be replayed.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// Takes a count of milliseconds since the Unix epoch.
    pub const fn from_milliseconds(milliseconds: u64) -> Self {
        Self(milliseconds)
    }

    /// The count of milliseconds since the Unix epoch.
    pub const fn milliseconds(self) -> u64 {
        self.0
    }

    /// The instant so much later; the end of time where that overflows.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(milliseconds))
    }

    /// How long it is until `later`; nothing where that has passed.
    pub fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

/// As RFC 3339 writes it, in UTC and to the second; instants after the year 9999 as its last second.
impl fmt::Display for Timestamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = Duration::from_millis(self.0).min(LAST_FOUR_DIGIT_YEAR);
        humantime::format_rfc3339_seconds(UNIX_EPOCH + since).fmt(formatter)
    }
}

/// The last second of the year 9999, since the Unix epoch.
const LAST_FOUR_DIGIT_YEAR: Duration = Duration::from_secs(253_402_300_799);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_for_people() {
        let instant = |milliseconds| Timestamp::from_milliseconds(milliseconds).to_string();
        assert_eq!(instant(0), "1970-01-01T00:00:00Z");
        assert_eq!(instant(1_795_000_000_999), "2026-11-18T11:06:40Z");
        assert_eq!(instant(u64::MAX), "9999-12-31T23:59:59Z");
    }
}
