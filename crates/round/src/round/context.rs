//! What every state of a round carries along.

use std::time::Duration;

use protocol::{ArtifactReference, Code, Mode, Phase, Timestamp, TrainRequest, Warning};
use serde::{Deserialize, Serialize};

use crate::round::failure_codes::Blame;
use crate::round::{
    Action, AwaitingReplyRecord, AwaitingStop, Failure, Next, Order, Ticket, Validation, Verdict,
};

/// Digests, counts and flags of one round; never a plan, a tensor or a metrics body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Context {
    pub(super) order: Order,
    pub(super) deadline: Deadline,
    pub(super) attempt: u32,
    pub(super) step: u32,
    pub(super) before: Validation,
    pub(super) after: Validation,
    pub(super) update: Option<ArtifactReference>,
    pub(super) refusals: u32,
    pub(super) cleaning: Cleaning,
    pub(super) warnings: Vec<Warning>,
}

/// When a round must have ended, and whether that still binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Deadline {
    /// The round ends at this instant.
    Running(Timestamp),
    /// An owner holds the update: so much was left, and nobody counts meanwhile.
    Held(Duration),
    /// The result exists and only the coordinator can say that it comes too late.
    Lifted,
}

/// Whether the driver has been asked to clean up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Cleaning {
    Due,
    Asked,
}

impl Context {
    pub(super) fn new(request: &TrainRequest, accepted_at: Timestamp) -> Self {
        let order = Order::new(request, accepted_at);
        Self {
            deadline: Deadline::Running(order.due),
            order,
            attempt: 0,
            step: 0,
            before: Validation::Skipped,
            after: Validation::Skipped,
            update: None,
            refusals: 0,
            cleaning: Cleaning::Due,
            warnings: Vec::new(),
        }
    }

    pub(super) fn trains(&self) -> bool {
        match self.order.mode {
            Mode::Train => true,
            Mode::Validate => false,
        }
    }

    pub(super) fn is_due(&self, now: Timestamp) -> bool {
        match self.deadline {
            Deadline::Running(at) => now >= at,
            Deadline::Held(_) | Deadline::Lifted => false,
        }
    }

    pub(super) fn next_ticket(&mut self) -> Ticket {
        self.step += 1;
        Ticket { attempt: self.attempt, step: self.step }
    }

    /// Asks for phase 17, where that has not been asked for yet.
    pub(super) fn clean_once(&mut self) -> Option<Action> {
        match std::mem::replace(&mut self.cleaning, Cleaning::Asked) {
            Cleaning::Due => Some(Action::Clean),
            Cleaning::Asked => None,
        }
    }

    /// Adds warnings, each once and in the order in which they came.
    pub(super) fn warn(&mut self, warnings: Vec<Warning>) {
        for warning in warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Ends the round as done.
    pub(super) fn succeed(self) -> Next {
        self.conclude(Code::Ok.into())
    }

    /// Ends the round with a code of the phase that failed; any other code is our own bug.
    pub(super) fn fail(self, phase: Phase, failure: Failure) -> Next {
        match Blame::of(phase, failure.code) {
            Blame::Phase => self.conclude(failure),
            Blame::Anywhere => self.halt(failure),
            Blame::Defect => self.halt(Code::NodeInternal.into()),
        }
    }

    /// Ends the round because a step answered something that it cannot answer.
    pub(super) fn fail_unexpected(self) -> Next {
        self.halt(Code::NodeInternal.into())
    }

    /// Ends the round once nothing of it runs any more.
    pub(super) fn halt(self, failure: Failure) -> Next {
        AwaitingStop::enter(self, failure)
    }

    /// Ends the round; nothing runs that could still touch it.
    pub(super) fn conclude(self, failure: Failure) -> Next {
        let update = self.update.clone().filter(|_| failure.code.is_ok());
        let verdict = Verdict {
            code: failure.code,
            detail: failure.detail,
            warnings: self.warnings.clone(),
            update,
        };
        AwaitingReplyRecord::enter(self, verdict)
    }
}
