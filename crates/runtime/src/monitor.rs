//! What a runtime tells while it works, and what it is told.

use std::ops::ControlFlow;

use dataset::Interrupt;
use protocol::Code;

use crate::Failure;

/// Follows a runtime's work, and may end it.
pub trait Monitor {
    /// Takes a measurement. It must not block: training waits for it.
    fn measured(&mut self, measurement: Measurement);

    /// Tells whether the work shall end now; asked between batches, and between the parts of a file, so often that
    /// the work ends well within two seconds.
    fn interruption(&mut self) -> Option<Interruption>;
}

/// Nobody follows, and nobody ends the work.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unfollowed;

impl Monitor for Unfollowed {
    fn measured(&mut self, _: Measurement) {}

    fn interruption(&mut self) -> Option<Interruption> {
        None
    }
}

/// Why work ends before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// Somebody cancelled the round.
    Cancelled,
    /// The round's time is over.
    DeadlineExceeded,
    /// The plan has had all the time that its node gives it.
    TimeIsUp,
}

impl Interruption {
    /// The code that a round ends with.
    #[must_use]
    pub const fn code(self) -> Code {
        match self {
            Self::Cancelled => Code::Cancelled,
            Self::DeadlineExceeded => Code::DeadlineExceeded,
            Self::TimeIsUp => Code::LimitsTime,
        }
    }
}

/// Does work that asks again and again whether it shall end; `doing` says what for the node's log.
pub(crate) fn interruptibly<T>(
    monitor: &mut dyn Monitor,
    doing: &str,
    work: impl FnOnce(&mut Interrupt<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut found = None;
    let mut goes_on = || {
        found = monitor.interruption();
        found.map_or(ControlFlow::Continue(()), |_| ControlFlow::Break(()))
    };
    let done = work(&mut Interrupt::by(&mut goes_on));
    match found {
        Some(interruption) if done.is_err() => {
            Err(Failure::new(interruption.code(), format!("ended while {doing}")))
        }
        _ => done,
    }
}

/// What was measured at one moment of a round.
#[derive(Clone, Debug, PartialEq)]
pub struct Measurement {
    /// What the runtime was doing.
    pub stage: Stage,
    /// The values by name, in the plan's order; each is finite.
    pub metrics: Vec<(String, f64)>,
    /// The batch within the epoch, from 1.
    pub iteration: u64,
    /// Rows in the subset that is worked on.
    pub total_samples: u64,
    /// Rows in this batch.
    pub batch_samples: u64,
    /// Batches in an epoch.
    pub num_batches: u64,
    /// Rows trained on so far in this round.
    pub num_samples_trained: u64,
}

/// What a runtime is doing when it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It trains.
    Training {
        /// The epoch, from 1.
        epoch: u64,
    },
    /// It validates the received parameters.
    ValidatingGlobal,
    /// It validates the trained parameters.
    ValidatingLocal,
}
