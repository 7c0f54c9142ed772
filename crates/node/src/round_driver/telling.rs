//! What a driver tells: the coordinator, the program around the node, and the operator's log.

use protocol::Phase;
use protocol::wire::v1;
use protocol::wire::v1::node_message::Message as ToCoordinator;
use round::Event;
use round::round::Note;

use super::RoundDriver;
use crate::notice::Notice;
use crate::registry::{self, rounds};
use crate::round_log::{LogLine, chain};

impl RoundDriver {
    /// Tells the coordinator and the operator of a record.
    pub(super) fn announce(&self, event: &Event) {
        let round_id = self.request.round_id;
        match event {
            Event::AttemptStarted { attempt } => {
                self.site.notify(Notice::RoundStarted { round_id, attempt: *attempt });
                self.progress("started");
            }
            Event::Replied { reply } => {
                tracing::info!(round = %round_id, code = %reply.code, "a round has ended");
                self.site.notify(Notice::RoundEnded { round_id, code: reply.code });
            }
            Event::CancelRequested => self.write_log(self.round.phase(), "a cancel was asked for"),
            Event::ApprovalRevoked => {
                self.write_log(self.round.phase(), "the plan's grant was revoked");
            }
            Event::Accepted { .. }
            | Event::Answered { .. }
            | Event::DeadlinePassed
            | Event::Connected
            | Event::RequestedAgain
            | Event::Acknowledged
            | Event::Closed => {}
        }
    }

    pub(super) fn progress(&self, stage: &str) {
        self.site.outbox.send(ToCoordinator::RoundProgress(v1::RoundProgress {
            round_id: self.request.round_id.to_string(),
            stage: stage.to_owned(),
            queued_before: 0,
        }));
    }

    pub(super) fn send_reply(&self) {
        if let Some(reply) = &self.reply {
            let mut message = v1::TrainReply::from(reply.clone());
            if reply.update.is_some() {
                message.update_bytes = self.carried();
            }
            self.site.outbox.send(ToCoordinator::TrainReply(message));
        }
    }

    /// The update that travels inside the reply; nothing where it was brought.
    fn carried(&self) -> Vec<u8> {
        if let Some(bytes) = &self.carried {
            return bytes.clone();
        }
        let id = self.request.round_id;
        let kept =
            self.site.database.read_blocking(|transaction| rounds::kept_update(transaction, id));
        kept.unwrap_or_else(|error: registry::Error| {
            tracing::error!(round = %id, error = chain(&error), "a kept update cannot be read");
            Vec::new()
        })
    }

    pub(super) fn note(&self, note: Note) {
        tracing::debug!(round = %self.request.round_id, ?note, "an event changed nothing");
    }

    pub(super) fn write_log(&self, phase: Phase, text: &str) {
        self.log.write(&LogLine {
            at: self.site.clock.now(),
            attempt: self.round.attempt(),
            phase,
            text: text.to_owned(),
        });
    }
}
