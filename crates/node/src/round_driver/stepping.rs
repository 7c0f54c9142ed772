//! The step that runs: polled by its own driver, since a task for each step would cost two wakings of threads.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::steps::Stepped;

/// At most one step.
#[derive(Default)]
pub(super) struct Stepping {
    current: Option<BoxFuture<'static, Result<Stepped, Broken>>>,
}

/// Why a step ended without an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Broken {
    /// It was let go.
    Aborted,
    /// It panicked.
    Defect,
}

impl Stepping {
    /// Begins a step; it goes on while its end is awaited.
    pub(super) fn start(&mut self, step: impl Future<Output = Stepped> + Send + 'static) {
        // What a panic leaves half-done belongs to the step and goes with it.
        let step = AssertUnwindSafe(step).catch_unwind();
        self.current = Some(step.map(|ended| ended.map_err(|_| Broken::Defect)).boxed());
    }

    /// Lets the step go; its end is then that it was aborted.
    pub(super) fn abort(&mut self) {
        if self.current.is_some() {
            self.current = Some(std::future::ready(Err(Broken::Aborted)).boxed());
        }
    }

    /// Waits for the step's end, for ever where none runs. Nothing is lost where the wait is given up.
    pub(super) async fn end(&mut self) -> Result<Stepped, Broken> {
        let Some(step) = &mut self.current else { return std::future::pending().await };
        let ended = step.await;
        self.current = None;
        ended
    }
}
