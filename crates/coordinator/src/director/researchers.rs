//! What researchers want of experiments.

use std::sync::Arc;

use identity::Member;
use protocol::{Code, ExperimentId, ResearcherId};
use round::Experiment;
use round::experiment::{Action, Event};
use serde_json::json;
use store::Transaction;
use tokio::sync::oneshot;

use super::Director;
use super::commit::After;
use crate::board::Live;
use crate::membership;
use crate::message::Command;
use crate::record::{self, News, Write};
use crate::submission::Submission;

impl Director {
    /// Takes a new experiment; one that is under way already may be submitted again.
    pub(super) fn submit(
        &mut self,
        submission: Submission,
        answer: oneshot::Sender<Result<(), Code>>,
    ) {
        let id = submission.experiment_id;
        if let Some(live) = self.shared.board.get(id) {
            let same = *live.submission == submission;
            let _gone = answer.send(if same { Ok(()) } else { Err(Code::ExperimentInvalid) });
            return;
        }
        if self.shared.board.count() >= self.shared.config.open_experiments {
            let _gone = answer.send(Err(Code::CoordinatorBusy));
            return;
        }
        match self.is_out(&submission.researcher_id) {
            Ok(false) => {}
            // It was on its way when its researcher was put out.
            Ok(true) => {
                let _gone = answer.send(Err(Code::IdentityRefused));
                return;
            }
            Err(error) => {
                tracing::error!(%error, "the members cannot be read");
                let _gone = answer.send(Err(Code::CoordinatorInternal));
                return;
            }
        }
        let now = self.shared.clock.now();
        let (experiment, actions) = Experiment::submit(submission.specification.clone(), now);
        let news = News::new(
            "submitted",
            json!({
                "name": submission.name,
                "researcher": submission.researcher_id,
                "rounds": submission.specification.rounds,
                "seed": submission.seed,
                "plan": submission.plan.digest,
            }),
        );
        self.write(now, Write::Submission(Box::new(submission.clone())));
        self.write(now, Write::News { experiment_id: id, news });
        self.prepare(&experiment, &actions, now);
        self.pending.pauses |= self.is_pause(experiment.state());
        self.pending.after(After::Answer(answer));
        let submission = Arc::new(submission);
        self.shared.board.put(Live {
            submission,
            experiment,
            executions: Default::default(),
            words: Default::default(),
        });
    }

    /// Pauses whatever somebody runs who was put out: the nodes stop working on it, and nothing is lost.
    pub(super) fn researcher_revoked(&mut self, researcher: &ResearcherId) {
        for live in self.shared.board.all() {
            if live.submission.researcher_id == *researcher {
                let event = Event::ResearcherRevoked { researcher: researcher.clone() };
                self.queue.push_back((live.experiment.id(), event));
            }
        }
    }

    /// Whether a researcher was put out. Over plain loopback there are no members.
    pub(super) fn is_out(&self, researcher: &ResearcherId) -> Result<bool, record::Error> {
        if self.shared.config.insecure_loopback {
            return Ok(false);
        }
        let member = Member::Researcher(researcher.clone());
        let look = |transaction: &Transaction<'_>| membership::is_out(transaction, &member);
        self.shared.database.read_blocking(look)
    }

    /// Cancels or resumes an experiment.
    pub(super) fn command(
        &mut self,
        id: ExperimentId,
        command: Command,
        answer: oneshot::Sender<Result<(), Code>>,
    ) {
        let event = match command {
            Command::Cancel => Event::CancelRequested,
            Command::Resume => Event::ResumeRequested,
        };
        let actions = self.advance(id, event);
        if matches!(actions.as_slice(), [] | [Action::Ignore(_)]) {
            let _gone = answer.send(Err(Code::ExperimentState));
        } else {
            self.pending.after(After::Answer(answer));
        }
    }
}
