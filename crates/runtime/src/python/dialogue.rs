//! Requests and answers with one worker, and what becomes of a worker that fails.

use std::os::fd::BorrowedFd;

use protocol::{Code, Detail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::exception;
use super::frame::{self, Frame, Patience};
use super::indices::Indices;
use super::message::{self, Failed, Numbered, OrderAnswer, Reason, Request, Said};
use super::worker::{Cause, Confinement, Ending, Life, Worker};
use crate::Failure;
use crate::failure::with_causes;

/// A worker that is asked one thing after the other.
pub(super) struct Dialogue {
    worker: Box<dyn Worker>,
    lines: u32,
    /// The request's arguments: what a refused one is looked up in.
    arguments: Value,
    id: u64,
    step: Step,
    life: Life,
    ending: Option<Ending>,
}

/// What a worker is doing, which says how its failure is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Instantiate,
    Initialise,
    Load,
    Data,
    Validate,
    Train,
    Export,
}

impl Step {
    /// The code of a worker that ends in this step without a word.
    const fn code(self) -> Code {
        match self {
            Self::Instantiate => Code::PlanNotLoadable,
            Self::Initialise => Code::PlanInitFailed,
            Self::Load => Code::ParametersMismatch,
            Self::Data => Code::DataInvalid,
            Self::Validate | Self::Train => Code::TrainingFailed,
            Self::Export => Code::PlanExportFailed,
        }
    }
}

impl Dialogue {
    /// Speaks with a worker about a plan that has so many lines.
    pub(super) fn new(worker: Box<dyn Worker>, lines: u32) -> Result<Self, Failure> {
        frame::prepare(worker.socket()).map_err(|error| {
            Failure::new(Code::NodeInternal, format!("the worker's socket: {error}"))
        })?;
        let step = Step::Instantiate;
        Ok(Self {
            worker,
            lines,
            arguments: Value::Null,
            id: 0,
            step,
            life: Life::Alive,
            ending: None,
        })
    }

    /// How the worker is confined.
    pub(super) fn confinement(&self) -> Confinement {
        self.worker.confinement()
    }

    /// Tells what the plan is given, so that a refused argument can be named.
    pub(super) fn know(&mut self, arguments: Value) {
        self.arguments = arguments;
    }

    /// Asks and waits for the one answer.
    pub(super) fn ask<T: DeserializeOwned>(
        &mut self,
        step: Step,
        request: &Request<'_>,
        enclosed: Enclosed<'_>,
        patience: &mut Patience<'_>,
    ) -> Result<T, Failure> {
        self.begin(step, request, enclosed, patience)?;
        match self.next(patience)? {
            (Said::Done(done), _) => self.done(done),
            (other, _) => Err(self.broken(&format!("{other:?} where an answer is due"))),
        }
    }

    /// Asks something that has answers of several parts.
    pub(super) fn begin(
        &mut self,
        step: Step,
        request: &Request<'_>,
        enclosed: Enclosed<'_>,
        patience: &mut Patience<'_>,
    ) -> Result<(), Failure> {
        self.step = step;
        self.id += 1;
        let header = serde_json::to_vec(&Numbered { id: self.id, request })
            .map_err(|error| Failure::new(Code::NodeInternal, error.to_string()))?;
        let frame = Frame { header, payload: enclosed.payload };
        frame::send(self.worker.socket(), &frame, enclosed.descriptors, patience)
            .map_err(|error| self.lost(error))
    }

    /// Answers the worker's question for an order.
    pub(super) fn answer_order(
        &mut self,
        epoch: message::Epoch,
        seed: String,
        positions: &Indices,
        patience: &mut Patience<'_>,
    ) -> Result<(), Failure> {
        let header = serde_json::to_vec(&OrderAnswer { id: self.id, order: epoch, seed })
            .map_err(|error| Failure::new(Code::NodeInternal, error.to_string()))?;
        let frame = Frame { header, payload: Vec::new() };
        let descriptors = [positions.descriptor()];
        frame::send(self.worker.socket(), &frame, &descriptors, patience)
            .map_err(|error| self.lost(error))
    }

    /// Waits for what the worker says next; a failure that it tells ends it.
    pub(super) fn next(&mut self, patience: &mut Patience<'_>) -> Result<(Said, Vec<u8>), Failure> {
        let frame = frame::receive(self.worker.socket(), patience);
        let frame = frame.map_err(|error| self.lost(error))?;
        match message::parse(&frame.header, self.id) {
            Ok(Said::Failed(failed)) => Err(self.failed(&failed)),
            Ok(said) => Ok((said, frame.payload)),
            Err(text) => Err(self.broken(&text)),
        }
    }

    /// Reads the result of a request that is done.
    pub(super) fn done<T: DeserializeOwned>(&mut self, done: Value) -> Result<T, Failure> {
        message::parse_done(done).map_err(|text| self.broken(&text))
    }

    /// A worker that does not keep to the protocol is ended.
    pub(super) fn broken(&mut self, text: &str) -> Failure {
        let code = self.step.code();
        self.fail(code, &format!("the worker sent {}", shortened(text)))
    }

    /// How the worker ended, if it has.
    pub(super) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// Ends the worker, whatever it does, and tells how it ended.
    pub(super) fn end(&mut self) -> &Ending {
        let (worker, life) = (&mut self.worker, self.life);
        self.ending.get_or_insert_with(|| worker.end(life))
    }

    /// Ends the worker, and names why: what its confinement saw goes before what anybody says.
    pub(super) fn fail(&mut self, code: Code, text: &str) -> Failure {
        let step = self.step;
        let ending = self.end();
        let (code, why) = match &ending.cause {
            Cause::Ended => (code, text.to_owned()),
            Cause::Limit(limit) => {
                (limit.code(), format!("the worker reached its limit: {limit:?}"))
            }
            Cause::Violation(what) => {
                (Code::SandboxViolation, format!("the plan tried what no plan may do: {what}"))
            }
        };
        let mut local = format!("{why} (while the worker was asked to {step:?})");
        if !ending.output.is_empty() {
            local.push('\n');
            local.push_str(&ending.output);
        }
        Failure::new(code, local)
    }

    fn lost(&mut self, error: frame::Error) -> Failure {
        let text = with_causes(&error);
        if matches!(error, frame::Error::Gone) {
            self.life = Life::Going;
        }
        let code = match error {
            frame::Error::Interrupted(interruption) => interruption.code(),
            frame::Error::Late => Code::LimitsTime,
            frame::Error::TooLarge(_) => Code::DataInvalid,
            frame::Error::Gone | frame::Error::Malformed(_) => self.step.code(),
            frame::Error::Socket(_) => Code::NodeInternal,
        };
        let failure = self.fail(code, &text);
        // Whoever ended the work is told so, whatever the worker did meanwhile.
        let is_ended = matches!(code, Code::Cancelled | Code::DeadlineExceeded);
        if is_ended { Failure { code, ..failure } } else { failure }
    }

    fn failed(&mut self, failed: &Failed) -> Failure {
        let is_memory = failed.class.as_deref() == Some("MemoryError");
        let code = match failed.reason {
            _ if is_memory => Code::LimitsMemory,
            Reason::NotLoadable => Code::PlanNotLoadable,
            Reason::Init => Code::PlanInitFailed,
            Reason::Arguments => Code::ArgumentsInvalid,
            Reason::Mismatch => Code::ParametersMismatch,
            Reason::Data => Code::DataInvalid,
            Reason::NoTrainingSamples => Code::DataNoTrainingSamples,
            Reason::Metric | Reason::Training => Code::TrainingFailed,
            Reason::Diverged => Code::TrainingDiverged,
            Reason::Export => Code::PlanExportFailed,
            Reason::Defect => Code::NodeInternal,
        };
        let rule = failed.rule.as_deref().map_or_else(String::new, |rule| format!(": {rule}"));
        let key = failed.key.as_deref().map_or_else(String::new, |key| format!(" {key}"));
        let text = format!("the plan failed: {:?}{key}{rule}", failed.reason);
        let failure = match failed.reason {
            // A metric that cannot be computed ends no round: the worker goes on to train.
            Reason::Metric if !is_memory => Failure::new(code, shortened(&text)),
            _ => self.fail(code, &shortened(&text)),
        };
        let has_detail = failure.code == code && !is_memory;
        match self.detail(failed).filter(|_| has_detail) {
            Some(detail) => failure.with_detail(detail),
            None => failure,
        }
    }

    fn detail(&self, failed: &Failed) -> Option<Detail> {
        match failed.reason {
            Reason::NotLoadable
            | Reason::Init
            | Reason::Data
            | Reason::Training
            | Reason::Diverged
            | Reason::Metric
            | Reason::Export => exception::detail(failed, self.lines),
            Reason::Arguments => self.argument(failed.key.as_deref()?),
            Reason::Mismatch | Reason::NoTrainingSamples | Reason::Defect => None,
        }
    }

    /// Only an argument that was given is named, and the rule is in our words.
    fn argument(&self, key: &str) -> Option<Detail> {
        let value = key.split('.').try_fold(&self.arguments, |value, part| value.get(part))?;
        let rule = "is refused by the training plan".to_owned();
        Some(Detail::Argument { key: key.to_owned(), value: value.clone(), rule })
    }
}

/// What goes with a request.
#[derive(Debug, Default)]
pub(super) struct Enclosed<'a> {
    pub(super) payload: Vec<u8>,
    pub(super) descriptors: &'a [BorrowedFd<'a>],
}

/// A worker's text as the log takes it.
fn shortened(text: &str) -> String {
    text.chars().take(LONGEST_TEXT).collect()
}

/// Characters of a worker's text in a log's line.
const LONGEST_TEXT: usize = 2_000;
