//! How often an address has tried and failed to enrol.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
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
        match self.failures().get(&place(address)) {
            Some((since, count)) => is_over(*since, now) || *count < MOST_FAILURES,
            None => true,
        }
    }

    pub(super) fn failed(&self, address: IpAddr, now: Timestamp) {
        let mut failures = self.failures();
        if failures.len() >= MOST_ADDRESSES {
            failures.retain(|_, (since, _)| !is_over(*since, now));
        }
        if failures.len() >= MOST_ADDRESSES {
            // Whoever has so many addresses is not stopped by counting them, and takes no memory for it.
            failures.clear();
        }
        let (since, count) = failures.entry(place(address)).or_insert((now, 0));
        if is_over(*since, now) {
            (*since, *count) = (now, 0);
        }
        *count += 1;
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<IpAddr, (Timestamp, u32)>> {
        // Every change is one call that cannot panic half-way.
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is counted together: one address of the old kind, or the part of a new one that one customer has.
fn place(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => {
            Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into()
        }
    }
}

/// Whether a minute is over. One that begins in the future was counted by a clock that has been set back since, and
/// would keep an address out until that time comes.
fn is_over(since: Timestamp, now: Timestamp) -> bool {
    now < since || since.until(now) >= WINDOW
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

    #[test]
    fn a_customer_with_very_many_addresses_is_one_and_nobody_fills_the_memory() {
        let attempts = Attempts::default();
        let now = Timestamp::from_milliseconds(1_000_000);
        for last in 0..MOST_FAILURES {
            attempts.failed(IpAddr::V6(Ipv6Addr::from_bits(u128::from(last))), now);
        }
        let other = IpAddr::V6(Ipv6Addr::from_bits(u128::from(u64::MAX)));
        assert!(!attempts.may_try(other, now));
        for address in 0..30_000_u32 {
            attempts.failed(IpAddr::V4(address.into()), now);
        }
        assert!(attempts.failures().len() <= MOST_ADDRESSES);
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_its_minute() {
        let attempts = Attempts::default();
        let here = "192.0.2.1".parse().unwrap();
        let [late, now] = [1_000_000_000, 1_000_000].map(Timestamp::from_milliseconds);
        for _ in 0..MOST_FAILURES {
            attempts.failed(here, late);
        }
        assert!(!attempts.may_try(here, late));
        assert!(attempts.may_try(here, now));
        for _ in 0..MOST_FAILURES {
            attempts.failed(here, now);
        }
        assert!(!attempts.may_try(here, now), "and it still counts");
    }
}
