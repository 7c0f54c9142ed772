//! The experiment waits for somebody, for a reason that it can tell.
//!
//! - **Entry**: too few nodes, approvals or updates; a refused plan; a full disk; a researcher who is put out.
//! - **Events**: resume, cancel; answers and decisions about the plan are noted; late replies.
//! - **Exits**: where it came from, with fresh retries and what was collected; cancelled.
//! - **Deadline**: none; a paused experiment waits for ever.

use protocol::{ArtifactReference, RoundId, Timestamp};
use serde::{Deserialize, Serialize};

use super::course::Course;
use super::state::{State, Transition};
use super::{
    Action, Aggregating, Announcement, Approval, AwaitingApproval, Cancelled, Checkpointing,
    Collection, Event, Ignored, PauseReason, Selecting, Upcoming, Verdict,
};

/// The experiment waits for somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Paused {
    pub(super) reason: PauseReason,
    resumption: Resumption,
}

/// Where a paused experiment goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Resumption {
    /// With the choice of sites.
    Select,
    /// With the approvals of a round and then its next attempt.
    Collect(Upcoming),
    /// With an aggregation whose updates are there.
    Aggregate(Box<Collection>),
    /// With a checkpoint whose model is there.
    Checkpoint { round: u32, model: ArtifactReference, used: Vec<RoundId> },
}

impl Resumption {
    /// Goes on with a round; with the choice of sites where nothing was executed yet.
    pub(super) fn of(upcoming: Upcoming) -> Self {
        if upcoming.is_first() { Self::Select } else { Self::Collect(upcoming) }
    }

    pub(super) fn aggregate(collection: Collection) -> Self {
        Self::Aggregate(Box::new(collection))
    }

    fn verdict(&self, round_id: RoundId) -> Verdict {
        match self {
            Self::Select => Verdict::Late,
            Self::Collect(upcoming) => upcoming.verdict(round_id),
            Self::Aggregate(collection) => collection.verdict(round_id),
            Self::Checkpoint { used, .. } if used.contains(&round_id) => Verdict::Collected,
            Self::Checkpoint { .. } => Verdict::Late,
        }
    }
}

impl Paused {
    pub(super) fn new(reason: PauseReason, resumption: Resumption) -> Self {
        Self { reason, resumption }
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        match event {
            Event::ResumeRequested => self.resume(course, now),
            Event::CancelRequested => course.cancel(Cancelled::default()),
            Event::ReplyReceived { round_id, .. } => {
                let verdict = self.resumption.verdict(round_id);
                Transition::to(State::Paused(self)).with(Action::SettleReply { round_id, verdict })
            }
            Event::PlanAnswered { site, code } => {
                let recorded = course.record_answer(&site, code);
                self.noted(recorded)
            }
            Event::PlanDecided { node, code } => {
                let recorded = course.record_decision(&node, code);
                self.noted(recorded)
            }
            Event::DeadlinePassed { .. }
            | Event::Aggregated { .. }
            | Event::AggregationFailed { .. }
            | Event::Checkpointed { .. }
            | Event::CheckpointFailed { .. } => self.ignore(Ignored::Stale),
            Event::SitesConnected { .. }
            | Event::StorageFilled
            | Event::ResearcherRevoked { .. }
            | Event::Restarted => self.ignore(Ignored::Unawaited),
        }
    }

    fn resume(self, course: &mut Course, now: Timestamp) -> Transition {
        let resumed = vec![Action::Announce(Announcement::Resumed)];
        let transition = match self.resumption {
            Resumption::Select => Selecting::enter(course, now),
            Resumption::Collect(upcoming) => {
                // Whoever refused may have thought again while nobody asked.
                for participant in course.participants.values_mut() {
                    if participant.approval == Approval::Refused {
                        participant.approval = Approval::Unasked;
                    }
                }
                AwaitingApproval::enter(
                    course,
                    Upcoming { retries: 0, returns: 0, ..upcoming },
                    now,
                )
            }
            Resumption::Aggregate(collection) => Aggregating::enter(course, *collection),
            Resumption::Checkpoint { round, model, used } => {
                Checkpointing::enter(course, round, model, used)
            }
        };
        transition.after(resumed)
    }

    fn noted(self, recorded: Result<(), Ignored>) -> Transition {
        match recorded {
            Ok(()) => Transition::to(State::Paused(self)),
            Err(reason) => self.ignore(reason),
        }
    }

    fn ignore(self, reason: Ignored) -> Transition {
        Transition::ignore(State::Paused(self), reason)
    }
}
