//! Asking every site whether it runs the plan.
//!
//! - **Entry**: the selection; the end of every checkpoint, which passes through at once while everybody needed has
//!   approved; a reply that says the plan is not approved (any more); resumption.
//! - **Events**: answers and decisions about the plan; the deadline and the grace; restart, cancel, full disk,
//!   a researcher who is put out.
//! - **Exits**: awaiting replies (final validation after the last round), when all approved, or with
//!   `start = "quorum"` when `min_nodes` nodes have and nobody's answer is on its way; paused, when too many refused;
//!   cancelled.
//! - **Deadline**: `approval_deadline`, none by default, not re-armed by a restart; then paused, approvals missing.

use std::time::Duration;

use protocol::code::Retry;
use protocol::{Code, Timestamp};
use serde::{Deserialize, Serialize};

use super::course::{Course, Deadline, judge};
use super::state::{State, Transition};
use super::{
    Action, Announcement, Approval, Cancelled, Collection, Event, Ignored, PauseReason, Resumption,
    Start, Ticket, Upcoming,
};

/// Waiting for owners.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AwaitingApproval {
    upcoming: Upcoming,
    /// The approval deadline, where there is one.
    deadline: Option<Deadline>,
    /// When sites that could not answer are asked again.
    repetition: Option<Deadline>,
    grace: Grace,
}

/// Whether a quorum still waits for answers that are on their way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Grace {
    /// The quorum is not there, or nobody waits for it.
    Closed,
    /// The quorum is there; the others have until this deadline.
    Until(Deadline),
    /// The others had their time.
    Over,
}

impl AwaitingApproval {
    pub(super) fn enter(course: &mut Course, upcoming: Upcoming, now: Timestamp) -> Transition {
        course.round = upcoming.round;
        let wait = course.specification.approval_deadline;
        let deadline = wait.map(|wait| course.deadline(now.after(wait)));
        let state = Self { upcoming, deadline, repetition: None, grace: Grace::Closed };
        let mut actions = state.ask(course);
        // A round that begins at once needs no deadline for approvals.
        let transition = state.judge(course, now);
        if matches!(transition.state, State::AwaitingApproval(_)) {
            actions.extend(deadline.map(Deadline::action));
        }
        transition.after(actions)
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        match event {
            Event::PlanAnswered { site, code } => {
                let recorded = course.record_answer(&site, code);
                let unanswered = course.sites_with(&[Approval::Asked]).contains(&site);
                if unanswered && judge(code) == Approval::Asked && self.repetition.is_none() {
                    return self.repeat_later(course, now);
                }
                self.answered(course, recorded, now)
            }
            Event::PlanDecided { node, code } => {
                let recorded = course.record_decision(&node, code);
                self.answered(course, recorded, now)
            }
            Event::DeadlinePassed { ticket } => self.expire(course, ticket, now),
            Event::Restarted => self.rearm(course, now),
            Event::CancelRequested => course.cancel(Cancelled::default()),
            Event::StorageFilled => {
                course.pause(PauseReason::StorageFull, Resumption::of(self.upcoming))
            }
            Event::ResearcherRevoked { researcher } => {
                let reason = PauseReason::ResearcherRevoked { researcher };
                course.pause(reason, Resumption::of(self.upcoming))
            }
            Event::ReplyReceived { round_id, .. } => {
                let verdict = self.upcoming.verdict(round_id);
                Transition::to(State::AwaitingApproval(self))
                    .with(Action::SettleReply { round_id, verdict })
            }
            Event::Aggregated { .. }
            | Event::AggregationFailed { .. }
            | Event::Checkpointed { .. }
            | Event::CheckpointFailed { .. } => self.ignore(Ignored::Stale),
            Event::SitesConnected { .. } | Event::ResumeRequested => {
                self.ignore(Ignored::Unawaited)
            }
        }
    }

    pub(super) fn deadlines(&self) -> Vec<Deadline> {
        let grace = match self.grace {
            Grace::Until(grace) => Some(grace),
            Grace::Closed | Grace::Over => None,
        };
        [self.deadline, self.repetition, grace].into_iter().flatten().collect()
    }

    /// Asks everyone who has not said yes or no.
    fn ask(&self, course: &mut Course) -> Vec<Action> {
        let open = course.sites_with(&[Approval::Unasked, Approval::Asked, Approval::Pending]);
        course.ask(&open)
    }

    fn rearm(mut self, course: &mut Course, now: Timestamp) -> Transition {
        self.grace = Grace::Closed;
        self.repetition = None;
        self.deadline = self.deadline.map(|deadline| course.deadline(deadline.at));
        let mut actions = self.ask(course);
        actions.extend(self.deadline.map(Deadline::action));
        self.judge(course, now).after(actions)
    }

    fn repeat_later(mut self, course: &mut Course, now: Timestamp) -> Transition {
        let repetition = course.deadline(now.after(REPETITION));
        self.repetition = Some(repetition);
        Transition::to(State::AwaitingApproval(self)).with(repetition.action())
    }

    fn answered(
        self,
        course: &mut Course,
        recorded: Result<(), Ignored>,
        now: Timestamp,
    ) -> Transition {
        match recorded {
            Ok(()) => self.judge(course, now),
            Err(reason) => self.ignore(reason),
        }
    }

    fn judge(self, course: &mut Course, now: Timestamp) -> Transition {
        if let Some(reason) = self.refusal(course) {
            return course.pause(reason, Resumption::of(self.upcoming));
        }
        match self.readiness(course) {
            Readiness::Ready => Collection::begin(course, self.upcoming, now),
            Readiness::Answering => self.grant_grace(course, now),
            Readiness::Waiting => self.wait(course),
        }
    }

    /// Whether so many have refused that the others cannot suffice.
    fn refusal(&self, course: &Course) -> Option<PauseReason> {
        let refused = course.sites_with(&[Approval::Refused]);
        let possible = course.nodes_with(&[
            Approval::Unasked,
            Approval::Asked,
            Approval::Pending,
            Approval::Approved,
        ]);
        // Whoever wants everyone at the start is told of the first refusal; later the others may suffice.
        let everyone = course.specification.start == Start::All && self.upcoming.is_first();
        let hopeless = possible < course.needed() || (everyone && !refused.is_empty());
        (hopeless && !refused.is_empty()).then_some(PauseReason::PlanRefused { sites: refused })
    }

    fn readiness(&self, course: &Course) -> Readiness {
        let unanswered = course.nodes_with(&[Approval::Unasked, Approval::Asked]);
        let pending = course.nodes_with(&[Approval::Pending]);
        let enough = course.nodes_with(&[Approval::Approved]) >= course.needed();
        match course.specification.start {
            Start::All if unanswered + pending > 0 => Readiness::Waiting,
            Start::All | Start::Quorum if !enough => Readiness::Waiting,
            Start::Quorum if unanswered > 0 && self.upcoming.is_first() => match self.grace {
                Grace::Closed | Grace::Until(_) => Readiness::Answering,
                Grace::Over => Readiness::Ready,
            },
            Start::All | Start::Quorum => Readiness::Ready,
        }
    }

    /// Lets answers that are on their way arrive, so that a quorum of a connected federation is everyone.
    fn grant_grace(mut self, course: &mut Course, now: Timestamp) -> Transition {
        if let Grace::Until(_) = self.grace {
            return Transition::to(State::AwaitingApproval(self));
        }
        let grace = course.deadline(now.after(ANSWER_GRACE));
        self.grace = Grace::Until(grace);
        Transition::to(State::AwaitingApproval(self)).with(grace.action())
    }

    fn wait(self, course: &Course) -> Transition {
        let pending = course.sites_with(&[Approval::Pending]);
        let unanswered = course.sites_with(&[Approval::Unasked, Approval::Asked]);
        let approved = course.sites_with(&[Approval::Approved]);
        let announcement = Announcement::WaitingForApproval { pending, unanswered, approved };
        Transition::to(State::AwaitingApproval(self)).with(Action::Announce(announcement))
    }

    fn expire(mut self, course: &mut Course, ticket: Ticket, now: Timestamp) -> Transition {
        let is = |deadline: &Deadline| deadline.ticket == ticket;
        if self.repetition.as_ref().is_some_and(is) {
            self.repetition = None;
            let actions = self.ask(course);
            return Transition::to(State::AwaitingApproval(self)).with_all(actions);
        }
        match self.grace {
            Grace::Until(grace) if is(&grace) => {
                self.grace = Grace::Over;
                return self.judge(course, now);
            }
            Grace::Closed | Grace::Until(_) | Grace::Over => {}
        }
        if !self.deadline.as_ref().is_some_and(is) {
            return self.ignore(Ignored::Stale);
        }
        let sites = course.sites_with(&[Approval::Unasked, Approval::Asked, Approval::Pending]);
        course.pause(PauseReason::ApprovalsMissing { sites }, Resumption::of(self.upcoming))
    }

    fn ignore(self, reason: Ignored) -> Transition {
        Transition::ignore(State::AwaitingApproval(self), reason)
    }
}

/// Whether the round can begin.
enum Readiness {
    Ready,
    /// A quorum is there and some answers are not.
    Answering,
    Waiting,
}

/// What a reply says about its site's approval, if anything.
pub(super) fn revocation(code: Code) -> Option<Approval> {
    if code == Code::PlanRejected {
        return Some(Approval::Refused);
    }
    (code.retry() == Retry::NeedsApproval).then_some(Approval::Pending)
}

/// Long enough for an answer over a slow line that needs the plan first; short beside an owner's decision.
const ANSWER_GRACE: Duration = Duration::from_secs(5);
/// How long a site that could not look at the plan is left alone.
const REPETITION: Duration = Duration::from_secs(30);
