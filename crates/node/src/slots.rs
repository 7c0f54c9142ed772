//! The queue for the node's few slots: first come, first served.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// So many slots, and everybody who waits for one; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    inner: Arc<Inner>,
}

/// One round's place: out, in the line, or in a slot. Dropping it leaves.
#[derive(Debug)]
pub(crate) struct Place {
    inner: Arc<Inner>,
    number: u64,
}

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    moved: Notify,
}

#[derive(Debug)]
struct State {
    slots: usize,
    next: u64,
    line: BTreeSet<u64>,
    inside: BTreeSet<u64>,
}

impl Slots {
    pub(crate) fn new(slots: usize) -> Self {
        let state = State { slots, next: 0, line: BTreeSet::new(), inside: BTreeSet::new() };
        let inner = Inner { state: Mutex::new(state), moved: Notify::new() };
        Self { inner: Arc::new(inner) }
    }

    /// A place outside the line, numbered after all earlier ones.
    pub(crate) fn place(&self) -> Place {
        let mut state = self.inner.state();
        let number = state.next;
        state.next += 1;
        drop(state);
        Place { inner: Arc::clone(&self.inner), number }
    }

    /// How many run and how many wait.
    pub(crate) fn occupancy(&self) -> (usize, usize) {
        let state = self.inner.state();
        (state.inside.len(), state.line.len())
    }
}

impl Place {
    /// Joins the line at the place's number; nobody with a later one goes first. Tells how many are before it.
    pub(crate) fn join(&self) -> usize {
        let mut state = self.inner.state();
        if !state.inside.contains(&self.number) {
            state.line.insert(self.number);
        }
        state.inside.len() + state.line.range(..self.number).count()
    }

    /// Takes a slot if one is free and nobody is before; says whether it has one.
    pub(crate) fn try_turn(&self) -> bool {
        self.join();
        self.enter()
    }

    /// Waits for a slot.
    pub(crate) async fn turn(&self) {
        self.join();
        loop {
            let moved = self.inner.moved.notified();
            tokio::pin!(moved);
            // From here on no leaving is missed, even before the first poll of the wait.
            moved.as_mut().enable();
            if self.enter() {
                return;
            }
            moved.await;
        }
    }

    /// Leaves the slot or the line.
    pub(crate) fn leave(&self) {
        let mut state = self.inner.state();
        state.inside.remove(&self.number);
        state.line.remove(&self.number);
        drop(state);
        self.inner.moved.notify_waiters();
    }

    fn enter(&self) -> bool {
        let mut state = self.inner.state();
        if state.inside.contains(&self.number) {
            return true;
        }
        let is_first = state.line.first() == Some(&self.number);
        if !is_first || state.inside.len() >= state.slots {
            return false;
        }
        state.line.remove(&self.number);
        state.inside.insert(self.number);
        drop(state);
        // With several slots, the next in the line may enter, too.
        self.inner.moved.notify_waiters();
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.leave();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is one call that cannot panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    async fn is_refused(place: &Place) -> bool {
        timeout(Duration::from_millis(20), place.turn()).await.is_err()
    }

    #[tokio::test]
    async fn the_line_keeps_its_order_even_when_a_later_one_asks_first() {
        let slots = Slots::new(1);
        let (first, second) = (slots.place(), slots.place());
        assert_eq!(first.join(), 0);
        assert_eq!(second.join(), 1);
        assert!(is_refused(&second).await);
        first.turn().await;
        assert_eq!(slots.occupancy(), (1, 1));
        assert!(is_refused(&second).await);
        drop(first);
        second.turn().await;
    }

    #[tokio::test]
    async fn who_leaves_the_line_lets_the_next_one_in() {
        let slots = Slots::new(1);
        let (first, second) = (slots.place(), slots.place());
        first.join();
        second.join();
        let waiting = async { timeout(Duration::from_secs(5), second.turn()).await };
        let leaving = async { first.leave() };
        let (entered, ()) = tokio::join!(waiting, leaving);
        assert!(entered.is_ok());
    }
}
