//! Whoever waits for a command: is told how far it is, and may go away before it ends.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use dataset::Progress;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::audit::Actor;

/// The side of the work.
#[derive(Clone)]
pub(crate) struct Onlooker {
    actor: Actor,
    progress: Arc<watch::Sender<Progress>>,
    gone: CancellationToken,
}

/// The side of whoever waits; the work ends soon after this is dropped.
pub(crate) struct Follower {
    progress: watch::Receiver<Progress>,
    gone: CancellationToken,
    _guard: DropGuard,
}

impl Onlooker {
    /// Both sides.
    pub(crate) fn new(actor: Actor) -> (Self, Follower) {
        let (sender, receiver) = watch::channel(Progress::default());
        let gone = CancellationToken::new();
        let guard = gone.clone().drop_guard();
        let follower = Follower { progress: receiver, gone: gone.clone(), _guard: guard };
        (Self { actor, progress: Arc::new(sender), gone }, follower)
    }

    /// Who it is, as the operating system says.
    pub(crate) fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Whether somebody still waits.
    pub(crate) fn goes_on(&self) -> ControlFlow<()> {
        if self.gone.is_cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Says how far the work is.
    pub(crate) fn tell(&self, progress: Progress) {
        self.progress.send_replace(progress);
    }
}

impl Follower {
    /// Does not wait any more.
    pub(crate) fn leave(&self) {
        self.gone.cancel();
    }

    /// What is new, looked for a few times a second; never ends where nothing is.
    pub(crate) async fn next(&mut self) -> Progress {
        let mut ticks = interval(PAUSE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        loop {
            ticks.tick().await;
            if self.progress.has_changed().unwrap_or(false) {
                return *self.progress.borrow_and_update();
            }
        }
    }
}

/// How often progress is told.
const PAUSE: Duration = Duration::from_millis(200);
