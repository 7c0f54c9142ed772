//! Takes requests, starts a driver for each round, and tells drivers what the coordinator and the owner say.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::wire::v1::node_message::Message as ToCoordinator;
use protocol::wire::{self, v1};
use protocol::{ArtifactReference, Code, RoundId, TrainReply, TrainRequest};
use round::{Event, Round};
use store::Durability;
use store::artifact::Pin;
use store::clock::Wait;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::declined;
use crate::link::Welcome;
use crate::notice::Notice;
use crate::registry::{self, restores, rounds};
use crate::retention::Sweeper;
use crate::round_driver::{Message, RoundDriver};
use crate::round_log::chain;
use crate::site::Site;
use crate::slots::Place;

/// What the dispatcher is told.
#[derive(Debug)]
pub(crate) enum Command {
    /// A line to the coordinator stands.
    Connected(Welcome),
    /// The coordinator asks for a round.
    /// Short parameters come with it.
    Request(Box<TrainRequest>, Vec<u8>),
    /// The coordinator does not want a round any more.
    Cancel(RoundId),
    /// The coordinator holds a reply, or does not want it.
    Received(RoundId, Code),
    /// The owner ends a round; answered with whether it was there to be ended.
    CancelByOwner(RoundId, oneshot::Sender<bool>),
    /// The owner has withdrawn these grants.
    Revoked(Vec<u64>),
}

/// Owns the drivers of all open rounds.
pub(crate) struct Dispatcher {
    site: Arc<Site>,
    drivers: HashMap<RoundId, mpsc::Sender<Message>>,
    tasks: JoinSet<RoundId>,
    shutdown: CancellationToken,
}

impl Dispatcher {
    pub(crate) fn new(site: Arc<Site>, shutdown: CancellationToken) -> Self {
        Self { site, drivers: HashMap::new(), tasks: JoinSet::new(), shutdown }
    }

    /// Takes up the rounds that an earlier process left open.
    pub(crate) async fn restore(&mut self) -> Result<(), registry::Error> {
        let now = self.site.clock.now();
        let open = self.site.database.read(rounds::open).await?;
        for id in open {
            let records =
                self.site.database.read(move |transaction| rounds::records(transaction, id));
            let records: Result<_, registry::Error> = records.await;
            let records = match records {
                Ok(records) => records,
                Err(error) => {
                    let error = chain(&error);
                    tracing::error!(round = %id, error, "a round's journal cannot be read");
                    continue;
                }
            };
            let (driver, sender) = match RoundDriver::restore(&self.site, records, now) {
                Ok(restored) => restored,
                Err(error) => {
                    tracing::error!(round = %id, %error, "a round's journal cannot be taken up");
                    continue;
                }
            };
            tracing::info!(round = %id, "a round is taken up");
            self.adopt(id, driver, sender);
        }
        Ok(())
    }

    /// Serves commands until the shutdown, then gives running rounds their time to end.
    pub(crate) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut sweeper = Sweeper::default();
        sweeper.sweep(&self.site).await;
        let mut due = self.next_sweep();
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => break,
                command = commands.recv() => match command {
                    Some(command) => self.obey(command).await,
                    None => break,
                },
                Some(ended) = self.tasks.join_next() => self.forget(ended),
                () = &mut due => {
                    sweeper.sweep(&self.site).await;
                    due = self.next_sweep();
                }
            }
        }
        drop(commands);
        self.wind_up().await;
    }

    /// When old things are looked for again, by the node's clock.
    fn next_sweep(&self) -> Wait {
        let clock = &self.site.clock;
        clock.wait_until(clock.now().after(SWEEP))
    }

    async fn obey(&mut self, command: Command) {
        match command {
            Command::Connected(welcome) => self.connected(&welcome),
            Command::Request(request, parameters) => self.accept(*request, &parameters).await,
            Command::Cancel(round) => self.tell(round, Message::Unwanted),
            Command::Received(round, Code::RoundClosed) => {
                self.tell(round, Message::Told(Event::Closed));
            }
            Command::Received(round, _) => self.tell(round, Message::Told(Event::Acknowledged)),
            Command::Revoked(grants) => {
                for round in self.site.admitted_under(&grants) {
                    self.tell(round, Message::Told(Event::ApprovalRevoked));
                }
            }
            Command::CancelByOwner(round, answer) => {
                let is_open = self.drivers.contains_key(&round);
                self.tell(round, Message::Told(Event::CancelRequested));
                // Whoever asked may have gone.
                let _nobody_asks = answer.send(is_open);
            }
        }
    }

    fn connected(&mut self, welcome: &Welcome) {
        for round in &welcome.closed {
            self.tell(*round, Message::Unwanted);
        }
        let rounds: Vec<RoundId> = self.drivers.keys().copied().collect();
        for round in rounds {
            self.tell(round, Message::Told(Event::Connected));
        }
    }

    /// Takes a request, or answers at once where it is known or nothing can be taken.
    async fn accept(&mut self, request: TrainRequest, parameters: &[u8]) {
        let id = request.round_id;
        if self.drivers.get(&id).is_some_and(|driver| !driver.is_closed()) {
            return self.tell(id, Message::Told(Event::RequestedAgain));
        }
        let state = move |transaction: &store::Transaction<'_>| -> Result<_, registry::Error> {
            let reply = match rounds::reply(transaction, id)? {
                Some(reply) => Some((reply, rounds::kept_update(transaction, id)?)),
                None => None,
            };
            let is_spent = reply.is_none() && restores::is_spent(transaction, id)?;
            Ok((reply, is_spent, registry::is_paused(transaction)?))
        };
        match self.site.database.read_blocking(state) {
            Ok((Some((reply, update)), ..)) => self.send_reply(reply, update),
            Ok((None, true, _)) => {
                tracing::warn!(round = %id, "a request from before the restore is refused");
                self.send_reply(declined::refuse_spent(&self.site, &request).await, Vec::new());
            }
            Ok((None, false, false)) => self.start(request, parameters).await,
            Ok((None, false, true)) => self.decline(&request),
            Err(error) => {
                tracing::error!(error = chain(&error), "the journal cannot be read");
                self.decline(&request);
            }
        }
    }

    async fn start(&mut self, request: TrainRequest, parameters: &[u8]) {
        if self.drivers.len() >= MOST_ROUNDS {
            tracing::warn!(round = %request.round_id, "too many rounds are open");
            return self.decline(&request);
        }
        let id = request.round_id;
        let accepting = RoundDriver::accept(&self.site, request.clone());
        // While the disk writes the acceptance.
        let keeping = async { self.keep_parameters(&request.parameters, parameters) };
        let (accepted, kept) = tokio::join!(accepting, keeping);
        match accepted {
            Ok(begun) => {
                self.accepted(id, begun.queued_before);
                begun.driver.announce_start();
                self.adopt(id, begun.driver.holding(kept), begun.sender);
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "a request cannot be recorded");
                self.decline(&request);
            }
        }
    }

    /// Keeps parameters that came with a request; those that did not come, or not whole, are fetched.
    fn keep_parameters(&self, reference: &ArtifactReference, bytes: &[u8]) -> Option<Pin> {
        if !wire::is_carried(bytes, reference) {
            return None;
        }
        let store = self.site.carrier.store();
        // An earlier round's update may be the same file, and is deleted about now.
        let pin = store.pin(&reference.digest);
        if let Err(error) = store.put(bytes, &reference.digest, Durability::Process) {
            tracing::debug!(
                error = chain(&error),
                "parameters that came with a request are not kept"
            );
        }
        Some(pin)
    }

    fn accepted(&self, id: RoundId, queued_before: usize) {
        tracing::info!(round = %id, queued_before, "a round is accepted");
        self.site.notify(Notice::RoundAccepted { round_id: id });
        self.site.outbox.send(ToCoordinator::RoundProgress(v1::RoundProgress {
            round_id: id.to_string(),
            stage: "accepted".to_owned(),
            queued_before: u32::try_from(queued_before).unwrap_or(u32::MAX),
        }));
    }

    fn adopt(&mut self, id: RoundId, driver: RoundDriver, sender: mpsc::Sender<Message>) {
        self.drivers.insert(id, sender);
        self.tasks.spawn(async move {
            driver.run().await;
            id
        });
    }

    /// Nothing ran and nothing is recorded: the same request may be sent again.
    fn decline(&self, request: &TrainRequest) {
        let reply = declined::reply(&self.site, request, Code::NodeUnavailable);
        self.send_reply(reply, Vec::new());
    }

    fn send_reply(&self, reply: TrainReply, update_bytes: Vec<u8>) {
        let reply = v1::TrainReply { update_bytes, ..reply.into() };
        self.site.outbox.send(ToCoordinator::TrainReply(reply));
    }

    fn tell(&mut self, round: RoundId, message: Message) {
        let Some(driver) = self.drivers.get(&round) else {
            return tracing::debug!(%round, "a message names a round that is not open");
        };
        if driver.try_send(message).is_err() {
            // A driver takes messages at once unless it stands still for a test; what it misses comes again.
            tracing::warn!(%round, "a round does not take messages");
        }
    }

    fn forget(&mut self, ended: Result<RoundId, tokio::task::JoinError>) {
        match ended {
            Ok(round) => {
                self.drivers.remove(&round);
            }
            Err(error) => {
                tracing::error!(%error, "a round's driver ended by a defect; a restart takes it up");
                self.drivers.retain(|_, driver| !driver.is_closed());
            }
        }
    }

    /// Ends in bounded time: rounds that run may end, what does not is left to the next start.
    async fn wind_up(&mut self) {
        let grace = Duration::from_secs(self.site.config.shutdown_seconds);
        for driver in self.drivers.values() {
            drop(driver.try_send(Message::WindUp));
        }
        let ending = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, ending).await.is_err() {
            for driver in self.drivers.values() {
                drop(driver.try_send(Message::Abandon));
            }
            let ending = async { while self.tasks.join_next().await.is_some() {} };
            drop(tokio::time::timeout(LAST_GRACE, ending).await);
        }
        self.tasks.abort_all();
    }
}

/// How the dispatcher places a round in the line for slots.
pub(crate) fn restored_place(site: &Site, round: &Round) -> Place {
    let place = site.slots.place();
    if matches!(round, Round::AwaitingDataset(_) | Round::AwaitingSlot(_)) {
        place.join();
    }
    place
}

/// Rounds that may be open at once, those that wait included.
const MOST_ROUNDS: usize = 1_000;
/// How often old things are looked for.
const SWEEP: Duration = Duration::from_secs(60 * 60);
/// How long abandoned rounds have to let go of their threads.
const LAST_GRACE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use protocol::{ArtifactReference, Digest, Mode, RuntimeKind};

    use super::*;
    use crate::carrier::Way;
    use crate::{Config, Folder};

    fn new_id() -> RoundId {
        RoundId::from_uuid(uuid::Uuid::now_v7())
    }

    fn request() -> TrainRequest {
        let nowhere = ArtifactReference::new(Digest::of(b"nowhere"), 7);
        TrainRequest {
            round_id: new_id(),
            experiment_id: "0197f3a0-0000-7000-8000-000000000002".parse().unwrap(),
            round: 1,
            researcher_id: "ada".parse().unwrap(),
            dataset_id: "0197f3a0-0000-7000-8000-000000000003".parse().unwrap(),
            mode: Mode::Train,
            model_args: serde_json::Map::new(),
            training_args: serde_json::Map::new(),
            seed: 42,
            plan: nowhere.clone(),
            runtime: RuntimeKind::Native,
            class: String::new(),
            columns: Vec::new(),
            parameters: nowhere,
            aggregator_args: serde_json::Map::new(),
            auxiliary_state: None,
            previous_state: None,
            time_left: Duration::from_secs(120),
            data_loading_plan: None,
        }
    }

    #[tokio::test]
    async fn a_request_above_the_most_open_rounds_is_declined() {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path());
        let address = "http://127.0.0.1:1".parse().unwrap();
        crate::init(&folder, &"north".parse().unwrap(), &address).unwrap();
        let config = Config::load(&folder, []).unwrap();
        let way = Way::Local(directory.path().to_owned());
        let clock = Arc::new(store::SystemClock);
        let site = crate::node::open_site(&folder, config, clock, way).unwrap();
        site.outbox.begin();
        let mut dispatcher = Dispatcher::new(Arc::clone(&site), CancellationToken::new());
        let (sender, _inbox) = mpsc::channel(1);
        let others: Vec<RoundId> = (0..MOST_ROUNDS).map(|_| new_id()).collect();
        dispatcher.drivers.extend(others.iter().map(|id| (*id, sender.clone())));

        let request = request();
        dispatcher.accept(request.clone(), &[]).await;
        let ToCoordinator::TrainReply(reply) = site.outbox.next().await else {
            panic!("the request is answered")
        };
        assert_eq!(reply.code, Code::NodeUnavailable.to_string());

        dispatcher.drivers.remove(&others[0]);
        dispatcher.accept(request, &[]).await;
        let ToCoordinator::RoundProgress(progress) = site.outbox.next().await else {
            panic!("the request is accepted")
        };
        assert_eq!(progress.stage, "accepted");
    }
}
