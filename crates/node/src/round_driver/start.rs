//! The start of a round: where its turn has come at once, its acceptance and its first attempt are one commit.

use std::sync::Arc;

use protocol::{Phase, Timestamp, TrainRequest};
use round::{Action, Event, Outcome, Round};
use store::Transaction;
use tokio::sync::mpsc;

use super::{Message, RoundDriver};
use crate::registry::{self, datasets, rounds};
use crate::site::Site;
use crate::slots::Place;

/// A round that is recorded and not yet driven.
pub(crate) struct Begun {
    pub(crate) driver: RoundDriver,
    pub(crate) sender: mpsc::Sender<Message>,
    /// How many run or wait before it.
    pub(crate) queued_before: usize,
}

impl RoundDriver {
    /// Records a request, and its first attempt where there is a slot for it.
    ///
    /// # Errors
    ///
    /// Where the database cannot be written; nothing is recorded then.
    pub(crate) async fn accept(
        site: &Arc<Site>,
        request: TrainRequest,
    ) -> Result<Begun, registry::Error> {
        let now = site.clock.now();
        let place = site.slots.place();
        let queued_before = place.join();
        let (mut round, mut actions) = Round::start(&request, now);
        let turn = take_turn(site, &request, &place, &round, &actions, now);
        let attempt = turn.as_ref().map(|turn| turn.attempt.clone());
        let (id, recorded) = (request.round_id, request.clone());
        let write = move |transaction: &Transaction<'_>| -> Result<(), registry::Error> {
            rounds::accept(transaction, &recorded, now)?;
            attempt.map_or(Ok(()), |attempt| rounds::record(transaction, id, &attempt, now))
        };
        site.database.write(write).await?;
        if let Some(turn) = turn {
            let (started, following) = turn.round.handle(turn.attempt, now);
            round = started;
            actions.retain(|action| matches!(action, Action::ArmDeadline { .. }));
            actions.extend(following);
        }
        let (driver, sender) = Self::new(site, request, round, actions, place);
        Ok(Begun { driver, sender, queued_before })
    }

    /// Tells of an attempt that was recorded with the acceptance.
    pub(crate) fn announce_start(&self) {
        let attempt = self.round.attempt();
        if attempt > 0 {
            self.announce(&Event::AttemptStarted { attempt });
        }
    }
}

/// A round whose first attempt may begin once it is recorded.
struct Turn {
    round: Round,
    attempt: Event,
}

/// Does what lies between acceptance and attempt, where that needs no waiting; otherwise the driver does it.
fn take_turn(
    site: &Site,
    request: &TrainRequest,
    place: &Place,
    round: &Round,
    actions: &[Action],
    now: Timestamp,
) -> Option<Turn> {
    if site.config.pause_at == Some(Phase::Accept) {
        return None;
    }
    let Some(Action::Perform { ticket, phase: Phase::Accept }) = actions.first() else {
        return None;
    };
    let id = request.dataset_id;
    let look = |transaction: &Transaction<'_>| datasets::by_id(transaction, id);
    let found: Result<_, registry::Error> = site.database.read_blocking(look);
    // Whatever is wrong with it is the driver's to tell.
    found.ok().flatten()?;
    if !place.try_turn() {
        return None;
    }
    let found = Event::Answered { ticket: *ticket, outcome: Outcome::DatasetFound };
    let (round, actions) = round.clone().handle(found, now);
    let [Action::AwaitSlot { ticket }] = actions.as_slice() else { return None };
    let granted = Event::Answered { ticket: *ticket, outcome: Outcome::SlotGranted };
    let (round, actions) = round.handle(granted, now);
    let [Action::RecordAttempt { attempt }] = actions.as_slice() else { return None };
    Some(Turn { round, attempt: Event::AttemptStarted { attempt: *attempt } })
}
