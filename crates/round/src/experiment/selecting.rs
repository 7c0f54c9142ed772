//! Choosing the sites.
//!
//! - **Entry**: submission, or resumption of an experiment that has no round yet.
//! - **Events**: the connected sites; the deadline; restart, cancel, full disk, a researcher who is put out.
//! - **Exits**: awaiting approval, with every matching site that is connected once there are `min_nodes` nodes;
//!   paused; cancelled.
//! - **Deadline**: `selection_deadline` from the entry, not re-armed by a restart; then paused, too few nodes.

use protocol::Timestamp;
use serde::{Deserialize, Serialize};

use super::course::{Course, Deadline};
use super::site::count_nodes;
use super::state::{State, Transition};
use super::{
    Action, Announcement, Approval, AwaitingApproval, Cancelled, Candidate, Event, Ignored,
    Participant, PauseReason, Resumption, Upcoming,
};

/// Waiting for enough matching nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selecting {
    deadline: Deadline,
    /// The matching nodes that were connected at the last report.
    connected: usize,
}

impl Selecting {
    pub(super) fn enter(course: &mut Course, now: Timestamp) -> Transition {
        course.participants.clear();
        let deadline = course.deadline(now.after(course.specification.selection_deadline));
        Self { deadline, connected: 0 }.wait()
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        match event {
            Event::SitesConnected { candidates } => self.choose(course, candidates, now),
            Event::DeadlinePassed { ticket } if ticket == self.deadline.ticket => {
                let needed = course.needed();
                let reason = PauseReason::TooFewNodes { connected: self.connected, needed };
                course.pause(reason, Resumption::Select)
            }
            Event::Restarted => {
                let deadline = course.deadline(self.deadline.at);
                Self { deadline, ..self }.wait()
            }
            Event::CancelRequested => course.cancel(Cancelled::default()),
            Event::StorageFilled => course.pause(PauseReason::StorageFull, Resumption::Select),
            Event::ResearcherRevoked { researcher } => {
                course.pause(PauseReason::ResearcherRevoked { researcher }, Resumption::Select)
            }
            Event::ReplyReceived { round_id, .. } => {
                Transition::to(State::Selecting(self)).with(Action::settle_late(round_id))
            }
            Event::DeadlinePassed { .. }
            | Event::Aggregated { .. }
            | Event::AggregationFailed { .. }
            | Event::Checkpointed { .. }
            | Event::CheckpointFailed { .. } => self.ignore(Ignored::Stale),
            Event::PlanAnswered { .. } | Event::PlanDecided { .. } => {
                self.ignore(Ignored::UnknownSite)
            }
            Event::ResumeRequested => self.ignore(Ignored::Unawaited),
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.deadline
    }

    fn choose(
        mut self,
        course: &mut Course,
        candidates: Vec<Candidate>,
        now: Timestamp,
    ) -> Transition {
        let connected = count_nodes(candidates.iter().map(|candidate| &candidate.site));
        let needed = course.needed();
        if connected < needed {
            self.connected = connected;
            return Transition::to(State::Selecting(self))
                .with(Action::Announce(Announcement::WaitingForNodes { connected, needed }));
        }
        for Candidate { site, dataset_id } in candidates {
            let participant = Participant { dataset_id, approval: Approval::Unasked };
            course.participants.insert(site, participant);
        }
        let sites = course.participants.keys().cloned().collect();
        let selected = Action::Announce(Announcement::Selected { sites });
        AwaitingApproval::enter(course, Upcoming::first(), now).after(vec![selected])
    }

    fn wait(self) -> Transition {
        let deadline = self.deadline.action();
        Transition::to(State::Selecting(self)).with(deadline).with(Action::FindSites)
    }

    fn ignore(self, reason: Ignored) -> Transition {
        Transition::ignore(State::Selecting(self), reason)
    }
}
