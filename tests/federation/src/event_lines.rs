//! The JSON lines that a process prints, as they come.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Every line so far, and a way to wait for the next.
#[derive(Debug, Clone)]
pub(crate) struct EventLines(Arc<(Mutex<State>, Condvar)>);

#[derive(Debug, Default)]
struct State {
    lines: Vec<Value>,
    has_ended: bool,
}

/// Why a line that was waited for did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// The process closed its output.
    Ended,
    /// The deadline passed.
    Late,
}

impl EventLines {
    /// Reads lines on a thread of its own, which ends with what is read.
    pub(crate) fn read(source: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let writer = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                writer.state().lines.push(line);
                writer.0.1.notify_all();
            }
            writer.state().has_ended = true;
            writer.0.1.notify_all();
        });
        lines
    }

    /// All lines so far.
    pub(crate) fn all(&self) -> Vec<Value> {
        self.state().lines.clone()
    }

    /// Waits for the first line that matches, among those that came already too; the first `skipped` do not count.
    pub(crate) fn wait(
        &self,
        skipped: usize,
        patience: Duration,
        matches: impl Fn(&Value) -> bool,
    ) -> Result<Value, Missing> {
        let deadline = Instant::now() + patience;
        let mut state = self.state();
        let mut seen = skipped;
        loop {
            if let Some(found) = state.lines[seen..].iter().find(|line| matches(line)) {
                return Ok(found.clone());
            }
            seen = state.lines.len();
            if state.has_ended {
                return Err(Missing::Ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Missing::Late);
            }
            let woken = self.0.1.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = woken.0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
