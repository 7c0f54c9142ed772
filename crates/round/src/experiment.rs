//! The coordinator's side: one experiment, from the choice of its sites to its last model.
//!
//! ```text
//! Selecting → AwaitingApproval → AwaitingReplies → Aggregating → Checkpointing ─┬→ next round
//!                                                                              ├→ FinalValidation → Checkpointing
//! from any: Paused, Cancelled, Failed                                          └→ Completed
//! ```
//!
//! Each state has its own file, which says when it is entered, which events it accepts, where it leads and what
//! happens at its deadline. An event that changes nothing gives the one action [`Action::Ignore`] and need not be
//! journaled. Scalars and a node's progress are not events: they are shown, and decide nothing.

mod action;
mod aggregating;
mod announcement;
mod awaiting_approval;
mod awaiting_replies;
mod cancelled;
mod checkpointing;
mod collection;
mod completed;
mod course;
mod event;
mod failed;
mod final_validation;
mod pause;
mod paused;
mod round_id;
mod selecting;
mod site;
mod specification;
mod state;
mod ticket;
mod upcoming;

#[cfg(test)]
mod environment;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod reproduction;

use std::collections::BTreeMap;

use protocol::{ArtifactReference, Code, ExperimentId, NodeId, RoundId, Timestamp};
use serde::{Deserialize, Serialize};

pub use action::{Action, Ignored, Input, Request, Verdict};
pub use announcement::{Announcement, SiteFailure};
pub use event::{AggregationFault, Event, Reply};
pub use pause::PauseReason;
pub use site::{Approval, Candidate, Participant, Site};
pub use specification::{FinalValidation, Specification, Start};
pub use state::{StateName, UnknownState};
pub use ticket::Ticket;

use aggregating::Aggregating;
use awaiting_approval::AwaitingApproval;
use awaiting_replies::AwaitingReplies;
use cancelled::Cancelled;
use checkpointing::Checkpointing;
use collection::Collection;
use completed::Completed;
use course::{Course, Deadline};
use failed::Failed;
use final_validation::FinalValidationRound;
use paused::{Paused, Resumption};
use selecting::Selecting;
use state::{State, Transition};
use upcoming::Upcoming;

/// The state machine of one experiment.
///
/// It is a value: handling an event consumes it and gives the next one, with what the driver must do after the event
/// is committed. The same submission and the same events at the same instants give the same experiment, ids included.
/// Its serialized form is the snapshot that a replay may start from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    course: Course,
    state: State,
}

impl Experiment {
    /// Begins an experiment at the instant of its submission.
    pub fn submit(specification: Specification, now: Timestamp) -> (Self, Vec<Action>) {
        let mut course = Course::new(specification);
        let Transition { state, actions } = Selecting::enter(&mut course, now);
        (Self { course, state }, actions)
    }

    /// Takes one event.
    ///
    /// An event that is not awaited is not an error: it gives [`Action::Ignore`] with the reason, and the state stays.
    pub fn handle(self, event: Event, now: Timestamp) -> (Self, Vec<Action>) {
        let Self { mut course, state } = self;
        let Transition { state, actions } = match state {
            State::Selecting(state) => state.handle(&mut course, event, now),
            State::AwaitingApproval(state) => state.handle(&mut course, event, now),
            State::AwaitingReplies(state) => state.handle(&mut course, event, now),
            State::Aggregating(state) => state.handle(&mut course, event, now),
            State::Checkpointing(state) => state.handle(&mut course, event, now),
            State::FinalValidation(state) => state.handle(&mut course, event, now),
            State::Paused(state) => state.handle(&mut course, event, now),
            State::Completed(state) => state.handle(&event),
            State::Cancelled(state) => state.handle(&event),
            State::Failed(state) => state.handle(&event),
        };
        (Self { course, state }, actions)
    }

    /// What to do when a node has connected; it changes nothing and is no event.
    ///
    /// Open questions and requests are sent again, and so are the cancels of an experiment that was cancelled.
    pub fn greet(&self, node: &NodeId) -> Vec<Action> {
        match &self.state {
            State::Selecting(_) => vec![Action::FindSites],
            State::Cancelled(state) => state.cancels_at(node),
            State::AwaitingApproval(_) | State::Aggregating(_) | State::Checkpointing(_) => {
                self.questions(node)
            }
            State::AwaitingReplies(_) | State::FinalValidation(_) => {
                let mut actions = self.questions(node);
                let requests = self.collection().map(|one| one.requests(&self.course, Some(node)));
                actions.extend(requests.unwrap_or_default());
                actions
            }
            State::Paused(_) | State::Completed(_) | State::Failed(_) => Vec::new(),
        }
    }

    /// Whether the result of an execution is still awaited.
    pub fn wants(&self, round_id: RoundId) -> bool {
        self.open_executions().values().any(|open| *open == round_id)
    }

    /// The executions whose replies are awaited.
    pub fn open_executions(&self) -> BTreeMap<Site, RoundId> {
        self.collection().map(Collection::open).unwrap_or_default()
    }

    /// The instants that are waited for; every other deadline that was set is stale.
    pub fn deadlines(&self) -> Vec<(Ticket, Timestamp)> {
        let deadlines: Vec<Deadline> = match &self.state {
            State::Selecting(state) => vec![state.deadline()],
            State::AwaitingApproval(state) => state.deadlines(),
            State::AwaitingReplies(_) | State::FinalValidation(_) => {
                self.collection().and_then(Collection::deadline).into_iter().collect()
            }
            State::Aggregating(_)
            | State::Checkpointing(_)
            | State::Completed(_)
            | State::Paused(_)
            | State::Cancelled(_)
            | State::Failed(_) => Vec::new(),
        };
        deadlines.into_iter().map(|deadline| (deadline.ticket, deadline.at)).collect()
    }

    /// Which experiment this is.
    pub fn id(&self) -> ExperimentId {
        self.course.specification.experiment_id
    }

    /// What it was submitted with.
    pub fn specification(&self) -> &Specification {
        &self.course.specification
    }

    /// The state it is in.
    pub fn state(&self) -> StateName {
        self.state.name()
    }

    /// The round that is under way or was last, from 1; 0 before the first, never more than there are.
    pub fn round(&self) -> u32 {
        self.course.round.min(self.course.specification.rounds.get())
    }

    /// The round that is under way or was last, the final validation counted as one more round.
    pub fn running_round(&self) -> u32 {
        self.course.round
    }

    /// The newest global parameters.
    pub fn model(&self) -> &ArtifactReference {
        &self.course.model
    }

    /// The selected sites, with what their owners say.
    pub fn participants(&self) -> &BTreeMap<Site, Participant> {
        &self.course.participants
    }

    /// Why it is paused, where it is.
    pub fn pause_reason(&self) -> Option<&PauseReason> {
        match &self.state {
            State::Paused(state) => Some(&state.reason),
            State::Selecting(_)
            | State::AwaitingApproval(_)
            | State::AwaitingReplies(_)
            | State::Aggregating(_)
            | State::Checkpointing(_)
            | State::FinalValidation(_)
            | State::Completed(_)
            | State::Cancelled(_)
            | State::Failed(_) => None,
        }
    }

    /// The code of an experiment that is paused, cancelled or failed.
    pub fn code(&self) -> Option<Code> {
        match &self.state {
            State::Paused(state) => Some(state.reason.code()),
            State::Failed(state) => Some(state.code),
            State::Cancelled(_) => Some(Code::Cancelled),
            State::Selecting(_)
            | State::AwaitingApproval(_)
            | State::AwaitingReplies(_)
            | State::Aggregating(_)
            | State::Checkpointing(_)
            | State::FinalValidation(_)
            | State::Completed(_) => None,
        }
    }

    fn collection(&self) -> Option<&Collection> {
        match &self.state {
            State::AwaitingReplies(state) => Some(&state.collection),
            State::FinalValidation(state) => Some(&state.collection),
            State::Selecting(_)
            | State::AwaitingApproval(_)
            | State::Aggregating(_)
            | State::Checkpointing(_)
            | State::Completed(_)
            | State::Paused(_)
            | State::Cancelled(_)
            | State::Failed(_) => None,
        }
    }

    /// Asks a node again about the plan, for each of its sites that has not said yes or no.
    fn questions(&self, node: &NodeId) -> Vec<Action> {
        let sites = self.course.participants.iter().filter(|(site, participant)| {
            site.node == *node
                && matches!(participant.approval, Approval::Asked | Approval::Pending)
        });
        let questions = sites.map(|(site, participant)| Action::AskApproval {
            site: site.clone(),
            dataset_id: participant.dataset_id,
        });
        questions.collect()
    }
}
