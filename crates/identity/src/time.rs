//! The time as TLS asks for it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protocol::Timestamp;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;

/// Tells the time; clones ask the same clock.
#[derive(Clone)]
pub struct Time(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Time {
    /// Takes whatever tells the time.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The present instant.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Time")
    }
}

impl TimeProvider for Time {
    fn current_time(&self) -> Option<UnixTime> {
        Some(unix(self.now()))
    }
}

pub(crate) fn unix(at: Timestamp) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_millis(at.milliseconds()))
}
