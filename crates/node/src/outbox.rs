//! What waits to be sent to the coordinator.
//!
//! Messages are kept only while a line stands: whatever matters is offered again when the next one does, because its
//! owner hears of it. Scalars are kept across lines, up to a bound; the oldest go first.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::Scalar;
use protocol::wire::v1::node_message::Message;
use protocol::wire::{CARRIED_BYTES, v1};
use tokio::sync::{Notify, watch};

/// The node's side of the line, as its other parts see it.
#[derive(Debug)]
pub(crate) struct Outbox {
    queues: Mutex<Queues>,
    filled: Notify,
    line: watch::Sender<Line>,
    /// The largest update that the coordinator takes inside a reply.
    carried: AtomicU64,
}

/// Whether a line to the coordinator stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// None does.
    Down,
    /// One does; lines are numbered within a process.
    Up(u64),
}

#[derive(Debug, Default)]
struct Queues {
    is_open: bool,
    lines: u64,
    messages: VecDeque<Message>,
    scalars: VecDeque<Scalar>,
}

impl Outbox {
    pub(crate) fn new() -> Self {
        Self {
            queues: Mutex::default(),
            filled: Notify::new(),
            line: watch::Sender::new(Line::Down),
            carried: AtomicU64::new(0),
        }
    }

    /// Notes the largest update that the coordinator takes inside a reply.
    pub(crate) fn may_carry(&self, bytes: u64) {
        self.carried.store(bytes.min(CARRIED_BYTES), Ordering::Relaxed);
    }

    /// Whether an update of this length travels inside its reply.
    pub(crate) fn carries(&self, bytes: u64) -> bool {
        bytes <= self.carried.load(Ordering::Relaxed)
    }

    /// Queues a message; without a line, or with too many messages waiting, it is dropped.
    pub(crate) fn send(&self, message: Message) {
        let mut queues = self.queues();
        if queues.is_open && queues.messages.len() < MESSAGES {
            queues.messages.push_back(message);
            drop(queues);
            self.filled.notify_one();
        }
    }

    /// Queues a scalar; when too many wait, the oldest is dropped.
    pub(crate) fn send_scalar(&self, scalar: Scalar) {
        let mut queues = self.queues();
        if queues.scalars.len() == SCALARS {
            queues.scalars.pop_front();
        }
        queues.scalars.push_back(scalar);
        drop(queues);
        self.filled.notify_one();
    }

    /// Whether a line stands, and when that changes.
    pub(crate) fn line(&self) -> watch::Receiver<Line> {
        self.line.subscribe()
    }

    /// A line is being opened: from now on messages queue for it; those for an earlier one are forgotten.
    pub(crate) fn begin(&self) {
        let mut queues = self.queues();
        queues.is_open = true;
        queues.lines += 1;
        queues.messages.clear();
    }

    /// The line stands.
    pub(crate) fn open(&self) {
        let lines = self.queues().lines;
        self.line.send_replace(Line::Up(lines));
    }

    /// The line is down.
    pub(crate) fn close(&self) {
        self.queues().is_open = false;
        self.line.send_replace(Line::Down);
    }

    /// Takes what is to be sent next, waiting until there is something: messages first, then scalars in one.
    pub(crate) async fn next(&self) -> Message {
        loop {
            let filled = self.filled.notified();
            if let Some(message) = self.take() {
                return message;
            }
            filled.await;
        }
    }

    fn take(&self) -> Option<Message> {
        let mut queues = self.queues();
        if let Some(message) = queues.messages.pop_front() {
            return Some(message);
        }
        if queues.scalars.is_empty() {
            return None;
        }
        let count = queues.scalars.len().min(SCALARS_A_MESSAGE);
        let scalars = queues.scalars.drain(..count).map(Into::into).collect();
        Some(Message::Scalars(v1::Scalars { scalars }))
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        // Every change is one call that cannot panic half-way.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Messages that may wait; a line on which more wait is not one.
const MESSAGES: usize = 4_096;
/// Scalars that may wait.
const SCALARS: usize = 2_000;
/// Scalars in one message.
const SCALARS_A_MESSAGE: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn scalar(sequence: u64) -> Scalar {
        Scalar {
            round_id: "0197f3a0-0000-7000-8000-000000000001".parse().unwrap(),
            attempt: 1,
            sequence,
            train: true,
            test: false,
            test_on_local_updates: false,
            test_on_global_updates: false,
            metrics: vec![("loss".to_owned(), 0.5)],
            epoch: Some(1),
            iteration: 1,
            total_samples: 1,
            batch_samples: 1,
            num_batches: 1,
            num_samples_trained: 1,
        }
    }

    #[tokio::test]
    async fn the_oldest_scalars_are_dropped_first() {
        let outbox = Outbox::new();
        for sequence in 1..=(SCALARS as u64 + 5) {
            outbox.send_scalar(scalar(sequence));
        }
        let Message::Scalars(first) = outbox.next().await else { panic!("only scalars wait") };
        assert_eq!(first.scalars.len(), SCALARS_A_MESSAGE);
        assert_eq!(first.scalars[0].sequence, 6);
    }

    #[tokio::test]
    async fn a_message_overtakes_scalars_and_needs_a_line() {
        let outbox = Outbox::new();
        let message = Message::Availability(v1::Availability { paused: true });
        outbox.send(message.clone());
        outbox.send_scalar(scalar(1));
        outbox.begin();
        outbox.send(message);
        outbox.open();
        assert!(matches!(outbox.next().await, Message::Availability(_)));
        assert!(matches!(outbox.next().await, Message::Scalars(_)));
        assert_eq!(*outbox.line().borrow(), Line::Up(1));
    }
}
