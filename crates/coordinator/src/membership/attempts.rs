//! How often an address has tried and failed to enrol.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protocol::Timestamp;

/// Counts failures by address, for a minute each.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failures: Mutex<HashMap<IpAddr, (Timestamp, u32)>>,
}

impl Attempts {
    pub(super) fn may_try(&self, address: IpAddr, now: Timestamp) -> bool {
        match self.failures().get(&address) {
            Some((since, count)) => since.until(now) >= WINDOW || *count < MOST_FAILURES,
            None => true,
        }
    }

    pub(super) fn failed(&self, address: IpAddr, now: Timestamp) {
        let mut failures = self.failures();
        if failures.len() >= MOST_ADDRESSES {
            failures.retain(|_, (since, _)| since.until(now) < WINDOW);
        }
        let (since, count) = failures.entry(address).or_insert((now, 0));
        if since.until(now) >= WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<IpAddr, (Timestamp, u32)>> {
        // Every change is one call that cannot panic half-way.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const WINDOW: Duration = Duration::from_secs(60);

/// Failures of one address within a minute, after which it is not heard.
const MOST_FAILURES: u32 = 20;

/// Addresses above which those whose minute is over are forgotten.
const MOST_ADDRESSES: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_fails_too_often_waits_for_its_minute_and_nobody_else_does() {
        let attempts = Attempts::default();
        let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let now = Timestamp::from_milliseconds(1_000_000);
        for _ in 0..MOST_FAILURES {
            assert!(attempts.may_try(here, now));
            attempts.failed(here, now);
        }
        assert!(!attempts.may_try(here, now));
        assert!(attempts.may_try(there, now));
        assert!(attempts.may_try(here, now.after(WINDOW)));
    }
}
