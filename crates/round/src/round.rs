//! The node's side: one execution of a training plan on one dataset.
//!
//! Start reading at [`Round::handle`], then follow the states in the order of the phases, from
//! [`AwaitingDataset`] to [`Delivered`].

mod action;
mod awaiting_acknowledgement;
mod awaiting_approval;
mod awaiting_arguments;
mod awaiting_attempt_record;
mod awaiting_coordinator;
mod awaiting_data;
mod awaiting_dataset;
mod awaiting_egress;
mod awaiting_export;
mod awaiting_export_check;
mod awaiting_initialisation;
mod awaiting_instance;
mod awaiting_load;
mod awaiting_parameters;
mod awaiting_plan;
mod awaiting_release;
mod awaiting_reply_record;
mod awaiting_slot;
mod awaiting_stop;
mod awaiting_training;
mod awaiting_upload;
mod awaiting_validation_after;
mod awaiting_validation_before;
mod context;
mod delivered;
mod event;
mod failure_codes;
mod order;
mod restart;
mod work;

#[cfg(test)]
mod environment;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reproduction;

use protocol::{Phase, RoundId, Timestamp, TrainRequest};
use serde::{Deserialize, Serialize};

pub use action::{Action, Note, Ticket, Verdict};
pub use awaiting_acknowledgement::AwaitingAcknowledgement;
pub use awaiting_approval::AwaitingApproval;
pub use awaiting_arguments::AwaitingArguments;
pub use awaiting_attempt_record::AwaitingAttemptRecord;
pub use awaiting_coordinator::AwaitingCoordinator;
pub use awaiting_data::AwaitingData;
pub use awaiting_dataset::AwaitingDataset;
pub use awaiting_egress::AwaitingEgress;
pub use awaiting_export::AwaitingExport;
pub use awaiting_export_check::AwaitingExportCheck;
pub use awaiting_initialisation::AwaitingInitialisation;
pub use awaiting_instance::AwaitingInstance;
pub use awaiting_load::AwaitingLoad;
pub use awaiting_parameters::AwaitingParameters;
pub use awaiting_plan::AwaitingPlan;
pub use awaiting_release::AwaitingRelease;
pub use awaiting_reply_record::AwaitingReplyRecord;
pub use awaiting_slot::AwaitingSlot;
pub use awaiting_stop::AwaitingStop;
pub use awaiting_training::AwaitingTraining;
pub use awaiting_upload::AwaitingUpload;
pub use awaiting_validation_after::AwaitingValidationAfter;
pub use awaiting_validation_before::AwaitingValidationBefore;
pub use context::{Context, Deadline};
pub use delivered::Delivered;
pub use event::{Event, Export, Failure, Outcome, Validation};
pub use failure_codes::{failure_codes, limit_codes};
pub use order::Order;
pub use restart::RestoreError;
pub use work::Work;

use work::Received;

/// One round at a node, in one of its states; each state says what it awaits.
///
/// The driver keeps the order *append the event where [`Round::records`] says so, commit, handle, perform the actions*.
/// Events may come late, twice or in any order. Whatever happens, exactly one [`Action::RecordReply`] is answered
/// by exactly one [`Event::Replied`] in the journal.
#[doc(alias = "run_model_training")]
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", content = "at", rename_all = "snake_case")]
#[expect(missing_docs, reason = "each state documents itself in its own file")]
pub enum Round {
    AwaitingDataset(AwaitingDataset),
    AwaitingSlot(AwaitingSlot),
    AwaitingAttemptRecord(AwaitingAttemptRecord),
    AwaitingArguments(AwaitingArguments),
    AwaitingPlan(AwaitingPlan),
    AwaitingApproval(AwaitingApproval),
    AwaitingParameters(AwaitingParameters),
    AwaitingInstance(AwaitingInstance),
    AwaitingInitialisation(AwaitingInitialisation),
    AwaitingLoad(AwaitingLoad),
    AwaitingData(AwaitingData),
    AwaitingValidationBefore(AwaitingValidationBefore),
    AwaitingTraining(AwaitingTraining),
    AwaitingValidationAfter(AwaitingValidationAfter),
    AwaitingExport(AwaitingExport),
    AwaitingExportCheck(AwaitingExportCheck),
    AwaitingEgress(AwaitingEgress),
    AwaitingRelease(AwaitingRelease),
    AwaitingUpload(AwaitingUpload),
    AwaitingCoordinator(AwaitingCoordinator),
    AwaitingStop(AwaitingStop),
    AwaitingReplyRecord(AwaitingReplyRecord),
    AwaitingAcknowledgement(AwaitingAcknowledgement),
    Delivered(Delivered),
}

impl Round {
    /// Starts a round whose [`Event::Accepted`] is in the journal since `now`.
    ///
    /// # Examples
    ///
    /// ```
    /// use protocol::{Timestamp, TrainRequest};
    /// use round::{Action, Round};
    ///
    /// # let request: TrainRequest = serde_json::from_value(serde_json::json!({
    /// #     "round_id": "0197f3a0-0000-7000-8000-000000000001",
    /// #     "experiment_id": "0197f3a0-0000-7000-8000-000000000002",
    /// #     "round": 1, "researcher_id": "ada",
    /// #     "dataset_id": "0197f3a0-0000-7000-8000-000000000003",
    /// #     "mode": "train", "seed": 42, "runtime": "native", "time_left": 60000,
    /// #     "plan": { "digest": format!("sha256:{}", "0".repeat(64)), "size": 1 },
    /// #     "parameters": { "digest": format!("sha256:{}", "0".repeat(64)), "size": 1 },
    /// # })).unwrap();
    /// let now = Timestamp::from_milliseconds(1_000);
    /// let (round, actions) = Round::start(&request, now);
    /// assert!(matches!(round, Round::AwaitingDataset(_)));
    /// assert!(matches!(actions[..], [Action::Perform { .. }, Action::ArmDeadline { at }]
    ///     if at.milliseconds() == 61_000));
    /// ```
    pub fn start(request: &TrainRequest, now: Timestamp) -> (Self, Vec<Action>) {
        AwaitingDataset::enter(Context::new(request, now)).into_parts()
    }

    /// Takes an event; gives the next state and what is to be done, in order.
    #[must_use]
    pub fn handle(self, event: Event, now: Timestamp) -> (Self, Vec<Action>) {
        let next = match self {
            Self::AwaitingDataset(state) => state.handle(event, now),
            Self::AwaitingSlot(state) => state.handle(event, now),
            Self::AwaitingAttemptRecord(state) => state.handle(event, now),
            Self::AwaitingArguments(state) => state.handle(event, now),
            Self::AwaitingPlan(state) => state.handle(event, now),
            Self::AwaitingApproval(state) => state.handle(event, now),
            Self::AwaitingParameters(state) => state.handle(event, now),
            Self::AwaitingInstance(state) => state.handle(event, now),
            Self::AwaitingInitialisation(state) => state.handle(event, now),
            Self::AwaitingLoad(state) => state.handle(event, now),
            Self::AwaitingData(state) => state.handle(event, now),
            Self::AwaitingValidationBefore(state) => state.handle(event, now),
            Self::AwaitingTraining(state) => state.handle(event, now),
            Self::AwaitingValidationAfter(state) => state.handle(event, now),
            Self::AwaitingExport(state) => state.handle(event, now),
            Self::AwaitingExportCheck(state) => state.handle(event, now),
            Self::AwaitingEgress(state) => state.handle(event, now),
            Self::AwaitingRelease(state) => state.handle(event, now),
            Self::AwaitingUpload(state) => state.handle(event, now),
            Self::AwaitingCoordinator(state) => state.handle(event, now),
            Self::AwaitingStop(state) => state.handle(event, now),
            Self::AwaitingReplyRecord(state) => state.handle(event, now),
            Self::AwaitingAcknowledgement(state) => state.handle(event, now),
            Self::Delivered(state) => state.handle(event, now),
        };
        next.into_parts()
    }

    /// Takes up a round in a new process, from the journal's records of it, each with the instant it was handled at.
    ///
    /// No export record: the next attempt, from the top; after the third, `node.interrupted`; none after the deadline.
    /// An export record: the file is looked at, then egress and upload. A reply record: the reply is sent again.
    ///
    /// # Errors
    ///
    /// [`RestoreError::NotAccepted`] where the records are not those of a round.
    pub fn restore(
        records: impl IntoIterator<Item = (Event, Timestamp)>,
        now: Timestamp,
    ) -> Result<(Self, Vec<Action>), RestoreError> {
        restart::restore(records, now).map(Next::into_parts)
    }

    /// Whether an event must be in the journal before it is handled: true for the acceptance, the attempt, the export,
    /// the reply, its delivery and a cancel that comes in time, and for none of them out of its place.
    pub fn records(&self, event: &Event) -> bool {
        match event {
            Event::Accepted { .. } => false,
            Event::AttemptStarted { attempt } => {
                matches!(self, Self::AwaitingAttemptRecord(state) if state.awaits(*attempt))
            }
            Event::Answered { ticket, outcome: Outcome::Exported { .. } } => {
                matches!(self, Self::AwaitingExport(state) if state.0.ticket == *ticket)
            }
            Event::Answered { .. }
            | Event::ApprovalRevoked
            | Event::DeadlinePassed
            | Event::Connected
            | Event::RequestedAgain => false,
            Event::CancelRequested => self.is_undecided(),
            Event::Replied { .. } => matches!(self, Self::AwaitingReplyRecord(_)),
            Event::Acknowledged | Event::Closed => {
                matches!(self, Self::AwaitingAcknowledgement(_))
            }
        }
    }

    /// The id under which everything of this round is idempotent.
    pub fn id(&self) -> RoundId {
        self.context().order.round_id
    }

    /// The facts of the request that the round keeps.
    pub fn order(&self) -> &Order {
        &self.context().order
    }

    /// The attempt that runs or ran last; 0 before the first.
    pub fn attempt(&self) -> u32 {
        self.context().attempt
    }

    /// When the round must have ended, and whether that still binds.
    pub fn deadline(&self) -> Deadline {
        self.context().deadline
    }

    /// The phase that is awaited.
    pub fn phase(&self) -> Phase {
        match (self, self.work()) {
            (_, Some(work)) => work.phase,
            (Self::AwaitingAttemptRecord(_), None) => Phase::Accept,
            (Self::Delivered(_), None) => Phase::Clean,
            (_, None) => Phase::Reply,
        }
    }

    /// Whether the reply is delivered and nothing remains to be done.
    pub fn is_delivered(&self) -> bool {
        matches!(self, Self::Delivered(_))
    }

    /// Whether neither a verdict nor the end of the round has been reached.
    fn is_undecided(&self) -> bool {
        self.work().is_some() || matches!(self, Self::AwaitingAttemptRecord(_))
    }
}

/// A state to go to and what to do on the way.
struct Next {
    round: Round,
    actions: Vec<Action>,
}

impl Next {
    fn to(round: Round) -> Self {
        Self { round, actions: Vec::new() }
    }

    fn then(mut self, action: Action) -> Self {
        self.actions.push(action);
        self
    }

    fn then_all(mut self, actions: impl IntoIterator<Item = Action>) -> Self {
        self.actions.extend(actions);
        self
    }

    fn note(self, note: Note) -> Self {
        self.then(Action::Note { note })
    }

    fn into_parts(self) -> (Round, Vec<Action>) {
        (self.round, self.actions)
    }
}

impl Round {
    fn context(&self) -> &Context {
        self.place().0
    }

    fn work(&self) -> Option<&Work> {
        self.place().1
    }

    /// What the state carries, and the step that it awaits where that is one with a ticket of its own.
    fn place(&self) -> (&Context, Option<&Work>) {
        let work = match self {
            Self::AwaitingAttemptRecord(state) => return (&state.0, None),
            Self::AwaitingStop(state) => return (&state.context, None),
            Self::AwaitingReplyRecord(state) => return (&state.context, None),
            Self::AwaitingAcknowledgement(state) => return (&state.context, None),
            Self::Delivered(state) => return (&state.context, None),
            Self::AwaitingDataset(state) => &state.0,
            Self::AwaitingSlot(state) => &state.0,
            Self::AwaitingArguments(state) => &state.0,
            Self::AwaitingPlan(state) => &state.0,
            Self::AwaitingApproval(state) => &state.0,
            Self::AwaitingParameters(state) => &state.0,
            Self::AwaitingInstance(state) => &state.0,
            Self::AwaitingInitialisation(state) => &state.0,
            Self::AwaitingLoad(state) => &state.0,
            Self::AwaitingData(state) => &state.0,
            Self::AwaitingValidationBefore(state) => &state.0,
            Self::AwaitingTraining(state) => &state.0,
            Self::AwaitingValidationAfter(state) => &state.0,
            Self::AwaitingExport(state) => &state.0,
            Self::AwaitingExportCheck(state) => &state.0,
            Self::AwaitingEgress(state) => &state.0,
            Self::AwaitingRelease(state) => &state.0,
            Self::AwaitingUpload(state) => &state.0,
            Self::AwaitingCoordinator(state) => &state.0,
        };
        (&work.context, Some(work))
    }
}
