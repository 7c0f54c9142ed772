//! Collecting the replies of one round, over its attempts. Awaiting replies and the final validation share it.
//!
//! An attempt ends when every one of its executions has an outcome, or at its deadline; never earlier, or the result
//! would depend on who was quick. What follows is decided in this order:
//!
//! 1. With `start = "all"`, a site whose owner has to decide again is waited for.
//! 2. `min_nodes` nodes have succeeded: the round is complete.
//! 3. Too few nodes are left that approve: back to awaiting approval.
//! 4. Some failures may end differently and a retry is left: a back-off, then another attempt for those sites.
//! 5. Paused, too few updates.

use std::collections::BTreeMap;

use protocol::code::Retry;
use protocol::{ArtifactReference, Code, Mode, NodeId, RoundId, Timestamp};
use serde::{Deserialize, Serialize};

use super::awaiting_approval::revocation;
use super::course::{Course, Deadline};
use super::site::{as_pairs, count_nodes};
use super::state::{State, Transition};
use super::upcoming::{Success, Upcoming};
use super::{
    Action, Aggregating, Announcement, Approval, AwaitingApproval, AwaitingReplies, Cancelled,
    Checkpointing, Event, FinalValidationRound, Ignored, Input, PauseReason, Reply, Request,
    Resumption, Site, SiteFailure, Start, Verdict, round_id,
};

/// The executions of one round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Collection {
    pub(super) round: u32,
    pub(super) attempt: u32,
    pub(super) retries: u32,
    /// The times the round went back to waiting for an approval.
    pub(super) returns: u32,
    #[serde(with = "as_pairs")]
    executions: BTreeMap<Site, Execution>,
    stage: Stage,
}

/// One site's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Execution {
    round_id: RoundId,
    outcome: Option<Outcome>,
    /// What a failure is about, in the site's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

impl Execution {
    fn new(round_id: RoundId, outcome: Option<Outcome>) -> Self {
        Self { round_id, outcome, detail: None }
    }
}

/// How a site's part ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    Success(Success),
    Failure(Code),
    /// The deadline came before a reply.
    Closed,
}

/// Whether an attempt runs or the next one is waited for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Stage {
    Collecting(Deadline),
    BackingOff(Deadline),
    /// Every outcome is in and what follows is decided.
    Ended,
}

impl Collection {
    /// Begins the next attempt of a round: every approved site without a success is asked.
    pub(super) fn begin(course: &mut Course, upcoming: Upcoming, now: Timestamp) -> Transition {
        let attempt = upcoming.attempts + 1;
        let mut executions = BTreeMap::new();
        let experiment_id = course.specification.experiment_id;
        for site in course.sites_with(&[Approval::Approved]) {
            let id = round_id::derive(experiment_id, upcoming.round, attempt, &site, now);
            executions.insert(site, Execution::new(id, None));
        }
        for (site, success) in upcoming.kept {
            let round_id = success.round_id;
            let outcome = Some(Outcome::Success(success));
            executions.insert(site, Execution::new(round_id, outcome));
        }
        let (round, retries, returns) = (upcoming.round, upcoming.retries, upcoming.returns);
        Self { round, attempt, retries, returns, executions, stage: Stage::Ended }
            .start(course, now)
    }

    pub(super) fn handle(self, course: &mut Course, event: Event, now: Timestamp) -> Transition {
        match event {
            Event::ReplyReceived { round_id, reply } => self.record(course, round_id, reply, now),
            Event::DeadlinePassed { ticket } => match self.stage {
                Stage::Collecting(deadline) if deadline.ticket == ticket => self.close(course, now),
                Stage::BackingOff(until) if until.ticket == ticket => self.retry(course, now),
                Stage::Collecting(_) | Stage::BackingOff(_) | Stage::Ended => {
                    self.ignore(course, Ignored::Stale)
                }
            },
            Event::PlanAnswered { site, code } => {
                let recorded = course.record_answer(&site, code);
                self.noted(course, recorded)
            }
            Event::PlanDecided { node, code } => {
                let recorded = course.record_decision(&node, code);
                self.noted(course, recorded)
            }
            Event::Restarted => self.rearm(course, now),
            Event::CancelRequested => course.cancel(Cancelled::new(self.open())),
            Event::StorageFilled => self.suspend(course, PauseReason::StorageFull),
            Event::ResearcherRevoked { researcher } => {
                self.suspend(course, PauseReason::ResearcherRevoked { researcher })
            }
            Event::Aggregated { .. }
            | Event::AggregationFailed { .. }
            | Event::Checkpointed { .. }
            | Event::CheckpointFailed { .. } => self.ignore(course, Ignored::Stale),
            Event::SitesConnected { .. } | Event::ResumeRequested => {
                self.ignore(course, Ignored::Unawaited)
            }
        }
    }

    /// Takes one success back, because its update turned out to be unusable, and decides again.
    pub(super) fn reject(
        mut self,
        course: &mut Course,
        site: &Site,
        code: Code,
        now: Timestamp,
    ) -> Transition {
        if let Some(execution) = self.executions.get_mut(site) {
            execution.outcome = Some(Outcome::Failure(code));
        }
        let (site, round) = (site.clone(), self.round);
        let announcement = Announcement::UpdateUnusable { site, round, code };
        self.conclude(course, now).after(vec![Action::Announce(announcement)])
    }

    /// The executions whose replies are awaited.
    pub(super) fn open(&self) -> BTreeMap<Site, RoundId> {
        let open = self.executions.iter().filter(|(_, execution)| execution.outcome.is_none());
        open.map(|(site, execution)| (site.clone(), execution.round_id)).collect()
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        match self.stage {
            Stage::Collecting(deadline) | Stage::BackingOff(deadline) => Some(deadline),
            Stage::Ended => None,
        }
    }

    /// The executions that succeeded, by site.
    pub(super) fn into_successes(self) -> BTreeMap<Site, Success> {
        let ended = self.executions.into_iter();
        ended.filter_map(|(site, execution)| Some((site, execution.success()?))).collect()
    }

    /// The updates in the order of aggregation.
    pub(super) fn inputs(&self) -> Vec<Input> {
        let inputs = self.successes().filter_map(|(site, success)| {
            let update = success.update.clone()?;
            let (site, round_id) = (site.clone(), success.round_id);
            Some(Input { site, round_id, update, sample_count: success.sample_count })
        });
        inputs.collect()
    }

    /// The executions that succeeded.
    pub(super) fn used(&self) -> Vec<RoundId> {
        self.successes().map(|(_, success)| success.round_id).collect()
    }

    /// Whether a reply is in time, without taking it.
    pub(super) fn verdict(&self, round_id: RoundId) -> Verdict {
        let execution = self.executions.values().find(|execution| execution.round_id == round_id);
        match execution.map(|execution| &execution.outcome) {
            Some(None | Some(Outcome::Success(_) | Outcome::Failure(_))) => Verdict::Collected,
            Some(Some(Outcome::Closed)) | None => Verdict::Late,
        }
    }

    /// The requests to a node that are open, to be sent again when it reconnects.
    pub(super) fn requests(&self, course: &Course, node: Option<&NodeId>) -> Vec<Action> {
        let Stage::Collecting(deadline) = self.stage else { return Vec::new() };
        let wanted = |site: &Site| node.is_none_or(|node| site.node == *node);
        let open = self.open().into_iter().filter(|(site, _)| wanted(site));
        open.filter_map(|(site, id)| self.request(course, site, id, deadline.at)).collect()
    }

    fn request(
        &self,
        course: &Course,
        site: Site,
        round_id: RoundId,
        deadline: Timestamp,
    ) -> Option<Action> {
        let dataset_id = course.participants.get(&site)?.dataset_id;
        let (round, mode) = (self.round, course.mode(self.round));
        let parameters: ArtifactReference = course.model.clone();
        Some(Action::SendRequest(Request {
            site,
            dataset_id,
            round_id,
            round,
            mode,
            parameters,
            deadline,
        }))
    }

    /// Sends what is open, with the whole time to answer.
    fn start(mut self, course: &mut Course, now: Timestamp) -> Transition {
        let open = self.open();
        if open.is_empty() {
            return self.conclude(course, now);
        }
        let deadline = course.deadline(now.after(course.specification.round_deadline));
        self.stage = Stage::Collecting(deadline);
        let announcement = Announcement::RoundStarted {
            round: self.round,
            attempt: self.attempt,
            mode: course.mode(self.round),
            sites: open.into_keys().collect(),
            deadline: deadline.at,
        };
        let requests = self.requests(course, None);
        self.stay(course)
            .with(deadline.action())
            .with(Action::Announce(announcement))
            .with_all(requests)
    }

    fn record(
        mut self,
        course: &mut Course,
        round_id: RoundId,
        reply: Reply,
        now: Timestamp,
    ) -> Transition {
        let verdict = self.verdict(round_id);
        let settle = Action::SettleReply { round_id, verdict };
        let open = self
            .executions
            .iter_mut()
            .find(|(_, execution)| execution.round_id == round_id && execution.outcome.is_none());
        let Some((site, execution)) = open else { return self.stay(course).with(settle) };
        let announcement = Announcement::Reply {
            site: site.clone(),
            round: self.round,
            code: reply.code,
            sample_count: reply.sample_count,
            detail: reply.detail.clone(),
        };
        if let (Some(approval), Some(participant)) =
            (revocation(reply.code), course.participants.get_mut(site))
        {
            participant.approval = approval;
        }
        execution.detail.clone_from(&reply.detail);
        execution.outcome = Some(Outcome::of(round_id, reply, course.mode(self.round)));
        let taken = vec![settle, Action::Announce(announcement)];
        if self.open().is_empty() {
            return self.conclude(course, now).after(taken);
        }
        self.stay(course).with_all(taken)
    }

    /// Ends the attempt at its deadline.
    fn close(mut self, course: &mut Course, now: Timestamp) -> Transition {
        let cancels = self.close_open();
        self.conclude(course, now).after(cancels)
    }

    fn close_open(&mut self) -> Vec<Action> {
        let mut cancels = Vec::new();
        for (site, execution) in &mut self.executions {
            if execution.outcome.is_none() {
                execution.outcome = Some(Outcome::Closed);
                let (node, round_id) = (site.node.clone(), execution.round_id);
                cancels.push(Action::CancelExecution { node, round_id });
            }
        }
        cancels
    }

    /// Decides what follows an attempt that has ended; the order is the one in the module's description.
    fn conclude(mut self, course: &mut Course, now: Timestamp) -> Transition {
        self.stage = Stage::Ended;
        let approved = course.nodes_with(&[Approval::Approved]);
        let pending = !course.sites_with(&[Approval::Pending]).is_empty();
        // A node that says yes when asked and no when it comes to it is not asked for ever.
        let may_return = self.returns < MOST_RETURNS;
        if pending && may_return && course.specification.start == Start::All {
            return self.await_approval(course, now);
        }
        if self.succeeded() >= course.needed() {
            return self.finish(course);
        }
        if approved < course.needed() && may_return {
            return self.await_approval(course, now);
        }
        if self.retries < course.specification.round_retries && self.can_improve(course) {
            return self.back_off(course, now);
        }
        let failures = self.failures();
        let (round, succeeded, needed) = (self.round, self.succeeded(), course.needed());
        let reason = PauseReason::TooFewUpdates { round, succeeded, needed, failures };
        course.pause(reason, Resumption::of(Upcoming::after(self)))
    }

    fn await_approval(mut self, course: &mut Course, now: Timestamp) -> Transition {
        self.returns += 1;
        AwaitingApproval::enter(course, Upcoming::after(self), now)
    }

    fn finish(self, course: &mut Course) -> Transition {
        match course.mode(self.round) {
            Mode::Train => Aggregating::enter(course, self),
            Mode::Validate => {
                let (round, used, model) = (self.round, self.used(), course.model.clone());
                Checkpointing::enter(course, round, model, used)
            }
        }
    }

    fn back_off(mut self, course: &mut Course, now: Timestamp) -> Transition {
        self.retries += 1;
        let until = course.deadline(now.after(course.specification.back_off(self.retries)));
        self.stage = Stage::BackingOff(until);
        let announcement = Announcement::Retrying {
            round: self.round,
            retry: self.retries,
            at: until.at,
            failures: self.failures(),
        };
        self.stay(course).with(until.action()).with(Action::Announce(announcement))
    }

    /// Begins another attempt: new ids for what may end differently, everything else stays as it is.
    fn retry(mut self, course: &mut Course, now: Timestamp) -> Transition {
        self.attempt += 1;
        let experiment_id = course.specification.experiment_id;
        let approved = course.sites_with(&[Approval::Approved]);
        for (site, execution) in &mut self.executions {
            if execution.may_improve() && approved.contains(site) {
                execution.round_id =
                    round_id::derive(experiment_id, self.round, self.attempt, site, now);
                execution.outcome = None;
                execution.detail = None;
            }
        }
        self.start(course, now)
    }

    /// After a restart: the whole time again, and what is open is sent again.
    fn rearm(mut self, course: &mut Course, now: Timestamp) -> Transition {
        match self.stage {
            Stage::Collecting(_) => {
                let deadline = course.deadline(now.after(course.specification.round_deadline));
                self.stage = Stage::Collecting(deadline);
                let requests = self.requests(course, None);
                self.stay(course).with(deadline.action()).with_all(requests)
            }
            Stage::BackingOff(until) => {
                let until = course.deadline(until.at);
                self.stage = Stage::BackingOff(until);
                self.stay(course).with(until.action())
            }
            Stage::Ended => self.conclude(course, now),
        }
    }

    fn suspend(mut self, course: &mut Course, reason: PauseReason) -> Transition {
        let cancels = self.close_open();
        let resumption = Resumption::of(Upcoming::after(self));
        course.pause(reason, resumption).after(cancels)
    }

    fn noted(self, course: &Course, recorded: Result<(), Ignored>) -> Transition {
        match recorded {
            Ok(()) => self.stay(course),
            Err(reason) => self.ignore(course, reason),
        }
    }

    fn successes(&self) -> impl Iterator<Item = (&Site, &Success)> {
        self.executions.iter().filter_map(|(site, execution)| match &execution.outcome {
            Some(Outcome::Success(success)) => Some((site, success)),
            Some(Outcome::Failure(_) | Outcome::Closed) | None => None,
        })
    }

    /// The different nodes that succeeded.
    fn succeeded(&self) -> usize {
        count_nodes(self.successes().map(|(site, _)| site))
    }

    fn can_improve(&self, course: &Course) -> bool {
        let approved = course.sites_with(&[Approval::Approved]);
        let mut executions = self.executions.iter();
        executions.any(|(site, execution)| execution.may_improve() && approved.contains(site))
    }

    fn failures(&self) -> Vec<SiteFailure> {
        let failures = self.executions.iter().filter_map(|(site, execution)| {
            let code = match execution.outcome.as_ref()? {
                Outcome::Success(_) => return None,
                Outcome::Failure(code) => *code,
                Outcome::Closed => Code::DeadlineExceeded,
            };
            Some(SiteFailure { site: site.clone(), code, detail: execution.detail.clone() })
        });
        failures.collect()
    }

    fn stay(self, course: &Course) -> Transition {
        Transition::to(match course.mode(self.round) {
            Mode::Train => State::AwaitingReplies(AwaitingReplies::new(self)),
            Mode::Validate => State::FinalValidation(FinalValidationRound::new(self)),
        })
    }

    fn ignore(self, course: &Course, reason: Ignored) -> Transition {
        self.stay(course).with(Action::Ignore(reason))
    }
}

impl Execution {
    /// Whether asking again can end differently.
    fn may_improve(&self) -> bool {
        match &self.outcome {
            Some(Outcome::Failure(code)) => code.retry() == Retry::MayHelp,
            Some(Outcome::Closed) => true,
            Some(Outcome::Success(_)) | None => false,
        }
    }

    fn success(self) -> Option<Success> {
        match self.outcome {
            Some(Outcome::Success(success)) => Some(success),
            Some(Outcome::Failure(_) | Outcome::Closed) | None => None,
        }
    }
}

impl Outcome {
    fn of(round_id: RoundId, reply: Reply, mode: Mode) -> Self {
        let Reply { code, update, sample_count, .. } = reply;
        match (code.is_ok(), mode, &update) {
            (false, _, _) => Self::Failure(code),
            // A training round without an update is a defect of the node, whatever it says.
            (true, Mode::Train, None) => Self::Failure(Code::NodeInternal),
            // One site's count must not make the sum of all sites' counts inexact.
            (true, _, _) if sample_count > MOST_SAMPLES => Self::Failure(Code::NodeInternal),
            (true, Mode::Train | Mode::Validate, _) => {
                Self::Success(Success { round_id, update, sample_count })
            }
        }
    }
}

/// Far more changes of mind than any owner has within a round.
const MOST_RETURNS: u32 = 10;
/// What each of ten thousand sites may count so that the sum is still exact as a float.
const MOST_SAMPLES: u64 = (1 << 53) / 10_000;
