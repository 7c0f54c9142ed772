//! Which phases end sooner than a thread would be woken for them.

use protocol::{Phase, RuntimeKind};
use training_plan::arguments::{TrainingArguments, TrainingLength};

use super::super::super::bench::Bench;
use super::{Start, Work};

/// Whether a phase is known to end within a moment, so that it may be done where nothing else can meanwhile.
///
/// Only native plans are: what a program does is not known. Of a native plan it follows from the sizes of its files.
pub(super) fn is_short(work: &Work, bench: &Bench, phase: Phase, start: Option<&Start>) -> bool {
    let request = &work.request;
    let is_native = matches!(request.runtime, RuntimeKind::Native);
    if !is_native || request.parameters.size > SHORT_FILE || request.plan.size > SHORT_FILE {
        return false;
    }
    match phase {
        Phase::Instantiate => start.is_some(),
        Phase::Initialise | Phase::Load | Phase::Export => true,
        Phase::Data => has_short_data(bench),
        Phase::ValidateBefore | Phase::ValidateAfter => has_short_data(bench) && passes(work, 1),
        Phase::Train => has_short_data(bench) && trains_shortly(work, bench),
        _ => false,
    }
}

fn has_short_data(bench: &Bench) -> bool {
    let dataset = bench.session.as_ref().map(|session| &session.dataset);
    let length = dataset.and_then(|dataset| std::fs::metadata(&dataset.path).ok());
    length.is_some_and(|file| file.is_file() && file.len() <= SHORT_FILE)
}

fn trains_shortly(work: &Work, bench: &Bench) -> bool {
    let Some(arguments) = &bench.arguments else { return false };
    let rows = work.findings.sample_count;
    let steps = steps(arguments, rows);
    let batch = arguments.loader().batch_size.get().min(rows.max(1));
    steps <= SHORT_STEPS && passes(work, steps.saturating_mul(batch).div_ceil(rows.max(1)))
}

/// The steps of the optimizer that a training takes at most.
fn steps(arguments: &TrainingArguments, rows: u64) -> u64 {
    match arguments.training().length {
        TrainingLength::Updates(updates) => updates.get(),
        TrainingLength::Epochs { epochs, .. } => {
            let batches = rows.div_ceil(arguments.loader().batch_size.get());
            epochs.saturating_mul(batches)
        }
    }
}

/// Whether so many passes over all rows, each with every parameter, are few operations.
fn passes(work: &Work, passes: u64) -> bool {
    let rows = work.findings.sample_count.max(1);
    let parameters = work.request.parameters.size / 4;
    rows.saturating_mul(parameters).saturating_mul(passes) <= SHORT_WORK
}

/// Bytes of a file that is read, hashed and parsed within a moment.
const SHORT_FILE: u64 = 16 << 10;
/// Steps of the optimizer that are taken within a moment.
const SHORT_STEPS: u64 = 32;
/// Parameters times rows that are gone through within a moment.
const SHORT_WORK: u64 = 1 << 18;
