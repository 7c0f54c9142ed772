//! Phases 3, 5 and 15: what is carried over the network.

use std::time::Duration;

use parameters::Reader;
use protocol::{ArtifactReference, Code, Phase};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use round::Outcome;
use transport::BackOff;

use super::super::bench::Bench;
use super::{Fault, Work, judge};
use crate::approval;
use crate::carrier::{Error, Fetched, blocking};
use crate::outbox::Line;
use crate::round_log::chain;

/// Phase 3: fetches and verifies the plan.
pub(super) async fn plan(work: &mut Work, bench: &mut Bench) -> Result<Outcome, Fault> {
    let runtime = work.request.runtime;
    if !approval::is_offered(runtime) {
        let text = format!("the node offers no runtime \"{}\"", runtime.as_str());
        return Err(Fault::new(Code::PlanUnsupportedRuntime, text));
    }
    judge::interpreter(work).await?;
    if approval::is_too_large(&work.request.plan) {
        // Not worth a transfer: the next phase, which judges bounds, refuses it by its declared size.
        return Ok(Outcome::PlanFetched);
    }
    let fetched = fetch(work, Phase::Plan, &work.request.plan.clone()).await;
    bench.plan = Some(fetched.map_err(|error| {
        let code = match error {
            Error::Mismatch { .. } => Code::PlanDigestMismatch,
            Error::Refused { .. }
            | Error::Unreachable { .. }
            | Error::Absent { .. }
            | Error::Store(_)
            | Error::Local { .. }
            | Error::Output(_) => Code::PlanUnavailable,
        };
        Fault::new(code, chain(&error))
    })?);
    Ok(Outcome::PlanFetched)
}

/// Phase 5: fetches and verifies the global parameters, and looks whether they are a parameters file.
pub(super) async fn parameters(work: &mut Work, bench: &mut Bench) -> Result<Outcome, Fault> {
    let fetched = received(work, Phase::Parameters).await?;
    let path = fetched.path.clone();
    let look = move || Reader::open(&path).map(drop);
    // A short file was written or read a moment ago: to look at its head takes no time.
    let opened = match work.request.parameters.size {
        0..=SHORT => look(),
        _ => blocking(look).await,
    };
    opened.map_err(|error| Fault::new(Code::ParametersInvalid, chain(&error)))?;
    bench.parameters = Some(fetched);
    Ok(Outcome::ParametersFetched)
}

/// The parameters with which the round begins.
pub(super) async fn received(work: &Work, phase: Phase) -> Result<Fetched, Fault> {
    let fetched = fetch(work, phase, &work.request.parameters.clone()).await;
    fetched.map_err(|error| Fault::new(Code::ParametersUnavailable, chain(&error)))
}

/// Phase 15: offers the update, or keeps a short one for the reply; a coordinator that cannot be reached is no failure.
pub(super) async fn upload(work: &mut Work, bench: &mut Bench) -> Result<Outcome, Fault> {
    let Some(export) = &work.export else {
        return Err(Fault::defect("there is no update to send"));
    };
    if work.site.outbox.carries(export.update.size) {
        let bytes = work.site.carrier.read(&export.update);
        bench.carried = Some(bytes.map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))?);
        return Ok(Outcome::Uploaded);
    }
    match work.site.carrier.deliver(&export.update).await {
        Ok(()) => Ok(Outcome::Uploaded),
        Err(error @ (Error::Refused { .. } | Error::Mismatch { .. })) => {
            work.write_log(Phase::Upload, &chain(&error));
            Ok(Outcome::UploadRefused)
        }
        Err(error @ Error::Unreachable { .. }) => {
            work.write_log(Phase::Upload, &chain(&error));
            Ok(Outcome::CoordinatorUnreachable)
        }
        Err(
            error @ (Error::Absent { .. }
            | Error::Store(_)
            | Error::Local { .. }
            | Error::Output(_)),
        ) => Err(Fault::new(Code::NodeInternal, chain(&error))),
    }
}

/// Waits a little, then for a line.
pub(super) async fn await_line(work: &Work) {
    tokio::time::sleep(PAUSE).await;
    let mut line = work.site.outbox.line();
    // The outbox lives as long as the site.
    drop(line.wait_for(|line| matches!(line, Line::Up(_))).await);
}

/// Fetches an artifact; while the coordinator cannot be reached the round waits for it, until its deadline.
async fn fetch(work: &Work, phase: Phase, reference: &ArtifactReference) -> Result<Fetched, Error> {
    let seed = u64::from(work.ticket.step);
    let mut back_off = BackOff::new(PAUSE, LONGEST_PAUSE, ChaCha8Rng::seed_from_u64(seed));
    loop {
        match work.site.carrier.fetch(reference).await {
            Err(error @ Error::Unreachable { .. }) => {
                work.write_log(phase, &chain(&error));
                tokio::time::sleep(back_off.next_delay()).await;
            }
            fetched => return fetched,
        }
    }
}

/// Bytes of a file that is looked at where no thread is woken for it.
const SHORT: u64 = 64 << 10;
/// The first pause after an unreachable coordinator.
const PAUSE: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
