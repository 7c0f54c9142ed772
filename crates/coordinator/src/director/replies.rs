//! Taking replies: each once, in time or late.

use protocol::wire::v1::coordinator_message::Message as ToNode;
use protocol::wire::{self, v1};
use protocol::{Code, Detail, NodeId, RoundId, TrainReply};
use round::experiment::{Action, Event, Reply, Verdict};
use store::Durability;
use transport::Caller;

use super::Director;
use super::commit::After;
use super::unreadable::find_reply;
use crate::message::Unreadable;
use crate::possession;
use crate::record::{Error, Place, Write, find_execution};
use crate::retention::is_full;

impl Director {
    /// Takes a reply, once; whatever comes of it, its node is told.
    pub(super) async fn reply(
        &mut self,
        node: NodeId,
        reply: Box<TrainReply>,
        carried: Vec<u8>,
    ) -> Result<(), Error> {
        let round_id = reply.round_id;
        if self.pending.replies.contains(&round_id) {
            // The same reply twice in one batch: the second is a duplicate once the first is on the disk.
            self.settle().await?;
        }
        let Some(place) =
            self.find_place(round_id).await?.filter(|place| place.agrees(&node, &reply))
        else {
            tracing::warn!(%node, %round_id, "reply to a request that was never made");
            self.acknowledge(&node, round_id, true);
            return Ok(());
        };
        if let Some(late) = place.replied {
            self.acknowledge(&node, round_id, late);
            return Ok(());
        }
        // What comes too late is told as it is, and nothing of it is kept.
        let is_late = !self.shared.board.wants(round_id) && came_with(&reply, &carried);
        let carried = self.keep_carried(&node, &reply, carried);
        let reply = match is_late || carried.is_some() || self.has_update(&node, &reply)? {
            true => reply,
            false => without_update(reply),
        };
        self.take_reply(node, place, reply, carried);
        Ok(())
    }

    /// Keeps an update that came with its reply; nothing where none did that its node may bring.
    ///
    /// Its bytes are written with the reply's row, and survive with it; its file is there to be read.
    fn keep_carried(
        &mut self,
        node: &NodeId,
        reply: &TrainReply,
        bytes: Vec<u8>,
    ) -> Option<Vec<u8>> {
        let update = reply.update.as_ref()?;
        let is_wanted =
            || self.shared.board.may_write(node, update) && wire::is_carried(&bytes, update);
        if !is_wanted() {
            return None;
        }
        let artifacts = &self.shared.artifacts;
        let pin = artifacts.pin(&update.digest);
        match artifacts.put(&bytes, &update.digest, Durability::Process) {
            Ok(()) => {
                self.pending.keep(pin);
                Some(bytes)
            }
            Err(error) => {
                let round_id = reply.round_id;
                tracing::error!(%node, %round_id, %error, "an update cannot be kept");
                if is_full(&error) {
                    self.storage_filled();
                }
                None
            }
        }
    }

    /// Whether a node has brought the update that its reply names: another's is not its own to name.
    fn has_update(&self, node: &NodeId, reply: &TrainReply) -> Result<bool, Error> {
        let Some(update) = &reply.update else { return Ok(true) };
        let caller = Caller::Node(node.clone());
        let has = |transaction: &store::Transaction<'_>| {
            possession::has(transaction, &caller, &update.digest)
        };
        let has = self.shared.database.read_blocking(has)?;
        if !has {
            let round_id = reply.round_id;
            tracing::warn!(%node, %round_id, "a reply names an update that its node has not brought");
        }
        Ok(has)
    }

    /// Finds where an execution belongs: one that is open is known, of any other the database knows.
    async fn find_place(&self, round_id: RoundId) -> Result<Option<Place>, Error> {
        if let Some((experiment_id, site, round)) = self.shared.board.open_execution(round_id) {
            return Ok(Some(Place { experiment_id, site, round, replied: None }));
        }
        let read =
            move |transaction: &store::Transaction<'_>| find_execution(transaction, round_id);
        self.shared.database.read(read).await
    }

    /// Ends an execution whose reply cannot be read as a failure of its node.
    pub(super) async fn unreadable(
        &mut self,
        node: NodeId,
        reply: Unreadable,
    ) -> Result<(), Error> {
        let found = find_reply(node.clone(), reply);
        match self.shared.database.read(found).await? {
            Some(reply) => self.reply(node, Box::new(reply), Vec::new()).await,
            None => {
                self.acknowledge(&node, reply.round_id, true);
                Ok(())
            }
        }
    }

    fn take_reply(
        &mut self,
        node: NodeId,
        place: Place,
        reply: Box<TrainReply>,
        carried: Option<Vec<u8>>,
    ) {
        let round_id = reply.round_id;
        // What happened before this reply is decided before it.
        while let Some((id, event)) = self.queue.pop_front() {
            self.advance(id, event);
        }
        let summary = Reply {
            code: reply.code,
            update: reply.update.clone(),
            sample_count: reply.sample_count,
            detail: reply.detail.as_ref().map(Detail::in_words),
        };
        let event = Event::ReplyReceived { round_id, reply: summary };
        let loss = self.shared.board.loss(place.experiment_id, round_id);
        let actions = self.advance(place.experiment_id, event);
        let collected = Action::SettleReply { round_id, verdict: Verdict::Collected };
        let late = !actions.contains(&collected);
        if let (true, Some(update)) = (late, &reply.update) {
            self.pending.after(After::Discard(update.digest));
        }
        let now = self.shared.clock.now();
        let carried = carried.filter(|_| !late);
        self.write(now, Write::Reply { site: place.site, reply, late, loss, carried });
        self.pending.replies.insert(round_id);
        self.pending.after(After::Acknowledge { node, round_id, late });
    }

    /// Tells a node that its reply is kept, or came late.
    pub(super) fn acknowledge(&self, node: &NodeId, round_id: RoundId, late: bool) {
        let code = if late { Code::RoundClosed } else { Code::Ok };
        let message = v1::ReplyReceived { round_id: round_id.to_string(), code: code.to_string() };
        self.shared.registry.send(node, ToNode::ReplyReceived(message));
    }
}

/// Whether the update that a reply names came with it.
fn came_with(reply: &TrainReply, carried: &[u8]) -> bool {
    reply.update.as_ref().is_some_and(|update| wire::is_carried(carried, update))
}

/// What a reply comes to whose update never came.
fn without_update(mut reply: Box<TrainReply>) -> Box<TrainReply> {
    reply.code = Code::ResultsUploadFailed;
    reply.update = None;
    reply.sample_count = 0;
    reply.metrics_before = None;
    reply.metrics_after = None;
    reply
}

impl Place {
    /// Whether a reply is from where the request went to.
    fn agrees(&self, node: &NodeId, reply: &TrainReply) -> bool {
        self.site.node == *node
            && reply.node_id == *node
            && reply.experiment_id == self.experiment_id
    }
}
