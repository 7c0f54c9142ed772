//! The steps themselves: what each phase does, and which code its failure has.

mod audited;
mod compute;
mod fetch;
mod judge;
mod release;
mod statistics;

use std::sync::Arc;

use protocol::{ArtifactReference, Code, Phase, TrainRequest};
use round::{Export, Failure, Outcome, Ticket};

use super::bench::{Bench, Findings};
use crate::round_log::{LogLine, RoundLog};
use crate::site::Site;
use crate::slots::Place;
use crate::stop_flag::StopFlag;

/// What a step is to do.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// One of the contract's phases.
    Phase(Phase),
    /// Wait for a slot.
    Slot,
    /// Wait for the coordinator.
    Coordinator,
    /// Wait for the owner of a held update.
    Release,
    /// Look whether an exported file survived.
    VerifyExport(ArtifactReference),
}

/// What a step needs beside the bench.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) site: Arc<Site>,
    pub(super) request: Arc<TrainRequest>,
    pub(super) place: Arc<Place>,
    pub(super) ticket: Ticket,
    pub(super) stop: StopFlag,
    pub(super) log: RoundLog,
    pub(super) export: Option<Export>,
    pub(super) findings: Findings,
}

/// How a step ended.
pub(super) struct Stepped {
    pub(super) outcome: Outcome,
    pub(super) bench: Option<Box<Bench>>,
    pub(super) findings: Findings,
}

/// Why a step failed: what the reply may say, and what only the node's own log says.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) failure: Box<Failure>,
    pub(crate) text: String,
}

impl Fault {
    pub(crate) fn new(failure: impl Into<Failure>, text: impl Into<String>) -> Self {
        Self { failure: Box::new(failure.into()), text: text.into() }
    }

    /// A step was asked for before the one that it needs: our own bug.
    pub(crate) fn defect(text: &str) -> Self {
        Self::new(Code::NodeInternal, text)
    }
}

/// Performs a step to its end; a fault is logged under the round and answered with its code.
pub(super) async fn perform(mut work: Work, step: Step, mut bench: Box<Bench>) -> Stepped {
    let phase = match &step {
        Step::Phase(phase) => *phase,
        Step::Slot => Phase::Accept,
        Step::Coordinator => Phase::Upload,
        Step::Release => Phase::Egress,
        Step::VerifyExport(_) => Phase::Export,
    };
    let done = match step {
        Step::Phase(phase) => match perform_phase(&mut work, phase, &mut bench).await {
            Ok(outcome) => audited::record(&work, outcome).await,
            Err(fault) => Err(fault),
        },
        Step::Slot => {
            work.place.turn().await;
            Ok(Outcome::SlotGranted)
        }
        Step::Coordinator => {
            fetch::await_line(&work).await;
            Ok(Outcome::CoordinatorReachable)
        }
        Step::Release => match release::await_owner(&work).await {
            Ok(outcome) => audited::record(&work, outcome).await,
            Err(fault) => Err(fault),
        },
        Step::VerifyExport(update) => Ok(judge::verify_export(&work, &update).await),
    };
    let outcome = done.unwrap_or_else(|fault| {
        work.write_log(phase, &fault.text);
        let round = work.request.round_id;
        tracing::warn!(%round, %phase, code = %fault.failure.code, "a step failed");
        Outcome::Failed { failure: *fault.failure }
    });
    Stepped { outcome, bench: Some(bench), findings: work.findings }
}

async fn perform_phase(
    work: &mut Work,
    phase: Phase,
    bench: &mut Box<Bench>,
) -> Result<Outcome, Fault> {
    match phase {
        Phase::Accept => judge::look_up_dataset(work),
        Phase::Arguments => judge::parse_arguments(work, bench),
        Phase::Plan => fetch::plan(work, bench).await,
        Phase::Approval => judge::approval(work, bench).await,
        Phase::Parameters => fetch::parameters(work, bench).await,
        Phase::Instantiate
        | Phase::Initialise
        | Phase::Load
        | Phase::Data
        | Phase::ValidateBefore
        | Phase::Train
        | Phase::ValidateAfter
        | Phase::Export => compute::perform(work, phase, bench).await,
        Phase::Egress => judge::egress(work, bench).await,
        Phase::Upload => fetch::upload(work, bench).await,
        Phase::Reply | Phase::Clean => Err(Fault::defect("the phase has no step of its own")),
    }
}

impl Work {
    pub(super) fn write_log(&self, phase: Phase, text: &str) {
        self.log.write(&LogLine {
            at: self.site.clock.now(),
            attempt: self.ticket.attempt,
            phase,
            text: text.to_owned(),
        });
    }
}
