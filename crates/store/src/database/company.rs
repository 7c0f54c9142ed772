//! Work that nobody waits for, until a commit comes that it can join.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::queue::Job;

/// Where such work waits; clones share it.
#[derive(Clone, Default)]
pub(super) struct Company {
    waiting: Arc<Mutex<VecDeque<Box<dyn Job>>>>,
}

impl Company {
    /// Adds a piece of work; whoever does sees to it that a commit comes.
    pub(super) fn join(&self, job: Box<dyn Job>) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
    }

    /// Takes the oldest.
    pub(super) fn take(&self) -> Option<Box<dyn Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

impl fmt::Debug for Company {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Company").finish_non_exhaustive()
    }
}
