//! What nodes say apart from replies: that they are there, what they offer, how their executions go on.

use protocol::wire::v1::coordinator_message::Message as ToNode;
use protocol::wire::{CARRIED_BYTES, v1};
use protocol::{Code, DatasetId, Digest, ExperimentId, NodeId, RoundId};
use round::experiment::{Event, Site, StateName};
use serde_json::json;

use super::commit::After;
use super::{Director, SOFTWARE};
use crate::approval_requests;
use crate::board::Stage;
use crate::message::{Arrival, Progress};
use crate::owners_word::OwnersWord;
use crate::record::{self, News, Write};
use crate::registry::Attendance;

impl Director {
    /// Takes a node in, unless its name is taken.
    pub(super) fn welcome(&mut self, arrival: Arrival) {
        let Arrival {
            node,
            connection,
            software,
            paused,
            datasets,
            open_rounds,
            line,
            cut,
            answer,
        } = arrival;
        let attendance = Attendance {
            connection,
            line,
            cut,
            software: software.clone(),
            paused,
            datasets: datasets.clone(),
        };
        if self.shared.registry.enter(node.clone(), attendance).is_err() {
            let _gone = answer.send(Err(Code::NodeNameTaken));
            return;
        }
        tracing::info!(%node, datasets = datasets.len(), "node connected");
        let now = self.shared.clock.now();
        self.write(now, Write::Node { node: node.clone(), software, paused, datasets });
        self.pending.after(After::Answer(answer));
        self.pending.after(After::Welcome { node, open_rounds });
    }

    /// Tells a node which of its open rounds are wanted, then what is open for it.
    pub(super) fn greet(&mut self, node: &NodeId, open_rounds: &[RoundId]) {
        let (wanted, closed): (Vec<RoundId>, Vec<RoundId>) =
            open_rounds.iter().copied().partition(|id| self.shared.board.wants(*id));
        let texts = |ids: &[RoundId]| ids.iter().map(RoundId::to_string).collect();
        let welcome = v1::Welcome {
            wire_version: protocol::WIRE_VERSION,
            software: SOFTWARE.to_owned(),
            wanted_rounds: texts(&wanted),
            closed_rounds: texts(&closed),
            largest_update_bytes: CARRIED_BYTES,
        };
        self.shared.registry.send(node, ToNode::Welcome(welcome));
        for live in self.shared.board.all() {
            for action in live.experiment.greet(node) {
                self.perform(live.experiment.id(), action);
            }
        }
        let asked =
            |transaction: &store::Transaction<'_>| approval_requests::of_node(transaction, node);
        let asked: Result<_, record::Error> = self.shared.database.read_blocking(asked);
        match asked {
            Ok(asked) => {
                for one in asked {
                    self.shared.registry.send(node, ToNode::AskApproval(one.request.question()));
                }
            }
            Err(error) => tracing::error!(%node, %error, "requests for approvals cannot be read"),
        }
    }

    /// Notes what a node says of itself.
    pub(super) fn note(&mut self, node: NodeId, change: impl FnOnce(&mut Attendance)) {
        let Some((software, paused, datasets)) = self.shared.registry.change(&node, change) else {
            return;
        };
        let now = self.shared.clock.now();
        self.write_later(now, Write::Node { node, software, paused, datasets });
        self.pending.after(After::FindSites);
    }

    /// Takes an answer to a question about a plan.
    pub(super) fn plan_answered(
        &mut self,
        node: &NodeId,
        (id, dataset_id): (ExperimentId, DatasetId),
        plan: Digest,
        word: OwnersWord,
    ) {
        let Some(live) = self.shared.board.get(id) else {
            // It may be a request for an approval, of which only its row knows.
            let write = Write::ApprovalAnswer { node: node.clone(), id, plan, word };
            return self.write(self.shared.clock.now(), write);
        };
        let mut participants = live.experiment.participants().iter();
        let asked = participants
            .find(|(site, participant)| site.node == *node && participant.dataset_id == dataset_id);
        if let (Some((site, _)), true) = (asked, live.submission.plan.digest == plan) {
            let code = word.code;
            // While rounds run it is a round that ends with the bound which is exceeded.
            let waits = matches!(
                live.experiment.state(),
                StateName::Selecting | StateName::AwaitingApproval | StateName::Paused
            );
            let is_news = waits || !word.has_lapsed();
            self.tell_word(id, site, word);
            if is_news {
                self.queue.push_back((id, Event::PlanAnswered { site: site.clone(), code }));
            }
        }
    }

    /// Takes an owner's decision about a plan.
    pub(super) fn plan_decided(&mut self, node: &NodeId, plan: Digest, word: OwnersWord) {
        for live in self.shared.board.all() {
            if live.submission.plan.digest == plan {
                let id = live.experiment.id();
                let own = live.experiment.participants().keys().filter(|site| site.node == *node);
                for site in own {
                    self.tell_word(id, site, word.clone());
                }
                let event = Event::PlanDecided { node: node.clone(), code: word.code };
                self.queue.push_back((id, event));
            }
        }
        let write = Write::ApprovalDecision { node: node.clone(), plan, word };
        self.write(self.shared.clock.now(), write);
    }

    /// Keeps what an owner tells a researcher, and tells watchers where it is news.
    fn tell_word(&mut self, id: ExperimentId, site: &Site, word: OwnersWord) {
        let mut fields = json!({ "site": site, "code": word.code, "note": word.note });
        if word.has_lapsed() {
            fields["approval"] = json!(word.status);
        }
        if self.shared.board.set_word(id, site, word) {
            let news = News::new("note", fields);
            self.write(self.shared.clock.now(), Write::News { experiment_id: id, news });
            self.pending.changed(id);
        }
    }

    /// Tells watchers how an execution goes on.
    pub(super) fn progress(&mut self, node: &NodeId, round_id: RoundId, progress: Progress) {
        let Some((id, site, round)) = self.shared.board.open_execution(round_id) else { return };
        if site.node != *node {
            return;
        }
        let (stage, name) = match progress {
            Progress::Accepted { .. } => (Stage::Queued, "queued"),
            Progress::Started => (Stage::Running, "started"),
            Progress::Held => (Stage::Held, "held"),
            Progress::Released => (Stage::Running, "released"),
        };
        if !self.shared.board.set_stage(id, round_id, stage) {
            return;
        }
        let mut fields = json!({ "site": site, "round": round });
        if let Progress::Accepted { queued_before } = progress {
            fields["queued_before"] = queued_before.into();
        }
        let news = News::new(name, fields);
        // Nothing hangs on it: it is written with whatever comes next.
        self.write_later(self.shared.clock.now(), Write::News { experiment_id: id, news });
        self.pending.changed(id);
    }
}
