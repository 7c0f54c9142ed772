//! The only place that reads the time.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protocol::Timestamp;
use tokio::sync::watch;

/// Tells the time and waits for it.
///
/// Everything that needs an instant takes a clock, so that a test can decide what time it is.
pub trait Clock: Debug + Send + Sync {
    /// Returns the present instant.
    fn now(&self) -> Timestamp;

    /// Returns a future that ends once [`Clock::now`] has reached `at`.
    fn wait_until(&self, at: Timestamp) -> Wait;
}

/// What [`Clock::wait_until`] returns.
pub type Wait = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 reads as 1970: deadlines then lie in the future, nothing panics.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_milliseconds(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
    }

    fn wait_until(&self, at: Timestamp) -> Wait {
        let clock = *self;
        Box::pin(async move {
            // Waits in slices: the system's clock may be set forward while we sleep.
            loop {
                let left = at.milliseconds().saturating_sub(clock.now().milliseconds());
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left.min(LONGEST_SLEEP))).await;
            }
        })
    }
}

/// A clock that stands still until it is told to move.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use protocol::Timestamp;
/// use store::{Clock, ManualClock};
///
/// let clock = ManualClock::at(Timestamp::from_milliseconds(1_000));
/// clock.advance(Duration::from_millis(500));
/// assert_eq!(clock.now(), Timestamp::from_milliseconds(1_500));
/// ```
#[derive(Clone, Debug)]
pub struct ManualClock {
    now: watch::Sender<u64>,
}

impl ManualClock {
    /// Creates a clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self { now: watch::Sender::new(now.milliseconds()) }
    }

    /// Moves the clock forward, waking whoever waited for an instant that has now come.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.now.send_modify(|now| *now = now.saturating_add(by));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_milliseconds(*self.now.borrow())
    }

    fn wait_until(&self, at: Timestamp) -> Wait {
        let mut now = self.now.subscribe();
        Box::pin(async move {
            if now.wait_for(|now| *now >= at.milliseconds()).await.is_err() {
                // The clock is gone and will never move again.
                std::future::pending::<()>().await;
            }
        })
    }
}

/// Longest slice of a wait on the system's clock, in milliseconds.
const LONGEST_SLEEP: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_when_the_clock_reaches_it_and_not_before() {
        let clock = ManualClock::at(Timestamp::from_milliseconds(10));
        let waiting = tokio::spawn(clock.wait_until(Timestamp::from_milliseconds(20)));
        clock.advance(Duration::from_millis(9));
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        clock.advance(Duration::from_millis(1));
        tokio::time::timeout(Duration::from_secs(5), waiting).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn waiting_for_an_instant_that_is_past_ends_at_once() {
        let clock = SystemClock;
        let wait = clock.wait_until(Timestamp::from_milliseconds(1));
        tokio::time::timeout(Duration::from_secs(5), wait).await.unwrap();
    }
}
