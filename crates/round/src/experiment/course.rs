//! What every state of an experiment shares.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use protocol::code::Retry;
use protocol::{ArtifactReference, Code, Mode, NodeId, Timestamp};
use serde::{Deserialize, Serialize};

use super::site::{as_pairs, count_nodes};
use super::state::{State, Transition};
use super::{
    Action, Announcement, Approval, Cancelled, Failed, Ignored, Participant, PauseReason, Paused,
    Resumption, Site, Specification, Ticket,
};

/// The part of an experiment that outlives its states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Course {
    pub(super) specification: Specification,
    #[serde(with = "as_pairs")]
    pub(super) participants: BTreeMap<Site, Participant>,
    /// The newest global parameters.
    pub(super) model: ArtifactReference,
    /// The last round that the state machine has begun.
    pub(super) round: u32,
    last_ticket: Ticket,
}

/// An instant that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deadline {
    pub(super) ticket: Ticket,
    pub(super) at: Timestamp,
}

impl Course {
    pub(super) fn new(specification: Specification) -> Self {
        let model = specification.parameters.clone();
        let participants = BTreeMap::new();
        Self { specification, participants, model, round: 0, last_ticket: Ticket::FIRST }
    }

    /// A ticket that no action had before.
    pub(super) fn ticket(&mut self) -> Ticket {
        self.last_ticket = self.last_ticket.next();
        self.last_ticket
    }

    pub(super) fn deadline(&mut self, at: Timestamp) -> Deadline {
        Deadline { ticket: self.ticket(), at }
    }

    pub(super) fn needed(&self) -> usize {
        usize::try_from(self.specification.min_nodes.get()).unwrap_or(usize::MAX)
    }

    /// The mode of a round: the one after the rounds of training only validates.
    pub(super) fn mode(&self, round: u32) -> Mode {
        if round > NonZeroU32::get(self.specification.rounds) {
            Mode::Validate
        } else {
            Mode::Train
        }
    }

    pub(super) fn sites_with(&self, approvals: &[Approval]) -> Vec<Site> {
        let matching =
            self.participants.iter().filter(|(_, one)| approvals.contains(&one.approval));
        matching.map(|(site, _)| site.clone()).collect()
    }

    /// The different nodes with a site that has one of these approvals.
    pub(super) fn nodes_with(&self, approvals: &[Approval]) -> usize {
        count_nodes(&self.sites_with(approvals))
    }

    /// Takes an answer about the plan; says whether it changes anything.
    pub(super) fn record_answer(&mut self, site: &Site, code: Code) -> Result<(), Ignored> {
        let participant = self.participants.get_mut(site).ok_or(Ignored::UnknownSite)?;
        let approval = judge(code);
        // A site that cannot look just now takes nothing back.
        let decided = matches!(participant.approval, Approval::Approved | Approval::Pending);
        if participant.approval == approval || (decided && approval == Approval::Asked) {
            return Err(Ignored::Duplicate);
        }
        participant.approval = approval;
        Ok(())
    }

    /// Takes an owner's decision for every site of the node.
    pub(super) fn record_decision(&mut self, node: &NodeId, code: Code) -> Result<(), Ignored> {
        let sites: Vec<Site> =
            self.participants.keys().filter(|site| site.node == *node).cloned().collect();
        let mut known = Err(Ignored::UnknownSite);
        for site in &sites {
            match self.record_answer(site, code) {
                Ok(()) => known = Ok(()),
                Err(ignored) => known = known.or(Err(ignored)),
            }
        }
        known
    }

    /// Marks sites as asked and asks them.
    pub(super) fn ask(&mut self, sites: &[Site]) -> Vec<Action> {
        let mut actions = Vec::with_capacity(sites.len());
        for site in sites {
            let Some(participant) = self.participants.get_mut(site) else { continue };
            if participant.approval == Approval::Unasked {
                participant.approval = Approval::Asked;
            }
            let dataset_id = participant.dataset_id;
            actions.push(Action::AskApproval { site: site.clone(), dataset_id });
        }
        actions
    }

    pub(super) fn pause(&self, reason: PauseReason, resumption: Resumption) -> Transition {
        let announcement =
            Announcement::Paused { code: reason.code(), message: reason.to_string() };
        Transition::to(State::Paused(Paused::new(reason, resumption)))
            .with(Action::Announce(announcement))
    }

    pub(super) fn fail(&self, code: Code) -> Transition {
        let message = code.sentence().to_owned();
        Transition::to(State::Failed(Failed { code }))
            .with(Action::Announce(Announcement::Failed { code, message }))
    }

    /// Ends the experiment; `open` executions are told so, now and at every reconnection.
    pub(super) fn cancel(&self, open: Cancelled) -> Transition {
        let cancels = open.cancel_actions();
        Transition::to(State::Cancelled(open))
            .with(Action::Announce(Announcement::Cancelled))
            .with_all(cancels)
    }
}

impl Deadline {
    pub(super) fn action(self) -> Action {
        Action::SetDeadline { ticket: self.ticket, at: self.at }
    }
}

/// What an answer means for the site that gave it.
pub(super) fn judge(code: Code) -> Approval {
    if code.is_ok() {
        return Approval::Approved;
    }
    match code.retry() {
        Retry::NeedsApproval => Approval::Pending,
        // The site could not look: it is asked again when it reconnects or the coordinator restarts.
        Retry::MayHelp => Approval::Asked,
        Retry::CannotHelp => Approval::Refused,
    }
}
