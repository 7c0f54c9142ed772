//! Phases 1, 2, 4 and 14: what the node decides without running the plan.

use std::sync::Arc;

use protocol::{ArtifactReference, Code, Detail, Phase, RuntimeKind, Timestamp, TrainRequest};
use round::{Failure, Outcome, Validation};
use serde_json::Value;
use training_plan::arguments::TrainingArguments;

use super::super::bench::Bench;
use super::{Fault, Work, fetch, release, statistics};
use crate::approval::{self, Question};
use crate::carrier::blocking;
use crate::devices::DeviceOptions;
use crate::egress::{self, Declaration};
use crate::grant::{Grant, Verdict};
use crate::policy::{Asked, Denial, Terms};
use crate::registry::plans::{self, KnownPlan};
use crate::registry::pythons::{self, Interpreter};
use crate::registry::{self, datasets, grants, rounds};
use crate::round_log::chain;

/// Phase 1: whether the dataset is one of the node's.
pub(super) fn look_up_dataset(work: &Work) -> Result<Outcome, Fault> {
    dataset(work)?;
    Ok(Outcome::DatasetFound)
}

/// The dataset that the request names.
pub(super) fn dataset(work: &Work) -> Result<datasets::Dataset, Fault> {
    let id = work.request.dataset_id;
    let found = work.site.database.read_blocking(|transaction| datasets::by_id(transaction, id));
    let found =
        found.map_err(|error: registry::Error| Fault::new(Code::NodeInternal, chain(&error)))?;
    found.ok_or_else(|| Fault::new(Code::DataUnknown, format!("dataset {id} is not registered")))
}

/// The interpreter that a Python plan runs on; a node without one does not offer the runtime.
pub(super) async fn interpreter(work: &Work) -> Result<Option<Interpreter>, Fault> {
    match work.request.runtime {
        RuntimeKind::Native | RuntimeKind::Statistics => return Ok(None),
        RuntimeKind::Python => {}
    }
    let wanted = work.site.config.python.python.clone();
    let found = work
        .site
        .database
        .read(move |transaction| pythons::chosen(transaction, wanted.as_deref()))
        .await
        .map_err(|error: registry::Error| Fault::new(Code::NodeInternal, chain(&error)))?;
    if found.is_some() {
        return Ok(found);
    }
    let text = "no Python interpreter is registered, or none is chosen among several: add one with \
                `wardround node python add PATH`, and choose with the key `python` of node.toml";
    Err(Fault::new(Code::PlanUnsupportedRuntime, text))
}

/// Phase 2: parses the training arguments.
pub(super) fn parse_arguments(work: &mut Work, bench: &mut Bench) -> Result<Outcome, Fault> {
    let terms = terms(work, bench)?;
    refuse_unavailable(&work.request)?;
    let given = Value::Object(work.request.training_args.clone());
    let arguments = TrainingArguments::parse(&given).map_err(|error| {
        let failure = Failure { code: Code::ArgumentsInvalid, detail: Some(error.detail()) };
        Fault::new(failure, error.to_string())
    })?;
    let wanted = |is_on| if is_on { Validation::Wanted } else { Validation::Skipped };
    let mut warnings = arguments.warnings();
    let devices = if terms.gpu { work.site.config.devices } else { DeviceOptions::default() };
    let choice = devices.choose(arguments.training().use_gpu, crate::devices::USABLE_GPUS);
    if devices.gpu_only && choice.device == crate::devices::Device::Processor {
        tracing::error!(
            "the node runs every round on its GPU, and there is none: using the processor"
        );
    }
    warnings.extend(choice.warnings);
    work.findings.warnings.clone_from(&warnings);
    let outcome = Outcome::ArgumentsParsed {
        before: wanted(arguments.validation().on_global_updates),
        after: wanted(arguments.validation().on_local_updates),
        warnings,
    };
    bench.arguments = Some(arguments);
    Ok(outcome)
}

/// What this version cannot do is refused, never ignored.
fn refuse_unavailable(request: &TrainRequest) -> Result<(), Fault> {
    let named = [
        ("aggregator_args", !request.aggregator_args.is_empty()),
        ("auxiliary_state", request.auxiliary_state.is_some()),
        ("previous_state", request.previous_state.is_some()),
    ];
    let Some((key, _)) = named.into_iter().find(|(_, is_given)| *is_given) else { return Ok(()) };
    let detail = Detail::Argument {
        key: key.to_owned(),
        value: Value::Null,
        rule: "is not available in this version".to_owned(),
    };
    let failure = Failure { code: Code::ArgumentsInvalid, detail: Some(detail) };
    Err(Fault::new(failure, format!("{key} is not available in this version")))
}

/// Phase 4: the owner's word on the plan; a plan that is new is listed for a decision.
pub(super) async fn approval(work: &mut Work, bench: &mut Bench) -> Result<Outcome, Fault> {
    let terms = admit(work, bench)?;
    let (site, request) = (Arc::clone(&work.site), Arc::clone(&work.request));
    if approval::is_too_large(&request.plan) {
        let text =
            format!("plan {} is declared with {} bytes", request.plan.digest, request.plan.size);
        let limit = training_plan::bundle::LARGEST as u64;
        return Err(beyond("plan_bytes", limit, request.plan.size, text));
    }
    let asked = KnownPlan {
        researcher_id: Some(request.researcher_id.clone()),
        experiment_id: Some(request.experiment_id),
        ..KnownPlan::seen(request.plan.clone(), request.runtime, site.clock.now())
    };
    let question = Question::of_round(&request, arguments(bench)?);
    let verdict = match approval::judge(&site, asked, &question).await {
        Err(Code::NodeUnavailable) => {
            let text = format!("plan {}: too many others wait for a decision", request.plan.digest);
            let limit = u64::from(plans::MOST_PENDING);
            return Err(beyond("pending_plans", limit, limit + 1, text));
        }
        Err(code) => return Err(Fault::new(code, format!("plan {}: {code}", request.plan.digest))),
        Ok(Verdict::Admitted(grant)) if grant.rounds.is_some() => {
            let counted = approval::count(&site, grant, &question, request.round_id).await;
            counted.map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))?
        }
        Ok(verdict) => verdict,
    };
    let Verdict::Admitted(grant) = verdict else { return Err(refusal(&request, &verdict)) };
    work.findings.grant = Some(grant.number);
    work.findings.grant_digest = Some(grant.digest());
    site.admit(request.round_id, grant.number);
    let terms = narrowed(&terms, &grant);
    statistics::charge(work, &terms).await?;
    bench.terms = Some(terms);
    Ok(Outcome::PlanApproved)
}

fn refusal(request: &TrainRequest, verdict: &Verdict) -> Fault {
    let failure = verdict.failure().unwrap_or_else(|| Code::NodeInternal.into());
    Fault::new(failure, format!("plan {}: {}", request.plan.digest, verdict.in_words()))
}

fn narrowed(terms: &Arc<Terms>, grant: &Grant) -> Arc<Terms> {
    match (grant.minimum_samples, &grant.metrics) {
        (None, None) => Arc::clone(terms),
        (samples, metrics) => Arc::new(terms.narrowed(samples, metrics.as_deref())),
    }
}

fn arguments(bench: &Bench) -> Result<&TrainingArguments, Fault> {
    let arguments = bench.arguments.as_ref();
    arguments.ok_or_else(|| Fault::defect("the arguments should be there"))
}

/// The grant under which a round ran whose update wants to leave: it must still count.
///
/// None for a round of a time before grants.
fn standing_grant(work: &Work) -> Result<Option<Grant>, Fault> {
    let (id, known) = (work.request.round_id, work.findings.grant);
    let seal = &work.site.seal;
    let look = |transaction: &store::Transaction<'_>| -> Result<_, registry::Error> {
        let Some(number) =
            known.map_or_else(|| grants::of_round(transaction, id), |grant| Ok(Some(grant)))?
        else {
            return Ok(None);
        };
        let kept = grants::all(transaction, seal)?.into_iter();
        Ok(Some(kept.filter(|one| one.number == number).find_map(|one| one.grant)))
    };
    let found = work.site.database.read_blocking(look);
    match found.map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))? {
        None => Ok(None),
        Some(Some(grant)) if grant.revoked.is_none() => {
            work.site.admit(id, grant.number);
            Ok(Some(grant))
        }
        Some(_) => {
            Err(Fault::new(Code::PlanRevoked, "the grant of the plan was revoked meanwhile"))
        }
    }
}

/// What was computed under a grant does not leave once that has ended. An update that waits for its owner may: then
/// it leaves by the owner's own word.
fn refuse_expired(work: &Work, grant: &Grant, terms: &Terms) -> Result<(), Fault> {
    let is_over = grant.expires_at.is_some_and(|end| work.site.clock.now() >= end);
    if !is_over || (terms.hold && work.export.is_some()) {
        return Ok(());
    }
    let rule = "of the plan's grant passed before the round was done".to_owned();
    let detail = Detail::Argument { key: "expires".to_owned(), value: Value::Null, rule };
    let failure = Failure { code: Code::EgressDenied, detail: Some(detail) };
    Err(Fault::new(failure, "the grant of the plan ended meanwhile"))
}

/// Whether the owner's policy allows the request, before anything of its plan is opened.
fn admit(work: &Work, bench: &mut Bench) -> Result<Arc<Terms>, Fault> {
    let terms = terms(work, bench)?;
    refuse_doubted(work)?;
    let arguments = arguments(bench)?;
    terms.admit(&Asked { request: &work.request, arguments }).map_err(denied)?;
    if terms.rounds_per_day.is_some() {
        let now = work.site.clock.now().milliseconds();
        let since = Timestamp::from_milliseconds(now.saturating_sub(DAY));
        let id = work.request.round_id;
        let count = |transaction: &store::Transaction<'_>| rounds::before(transaction, id, since);
        let earlier = work.site.database.read_blocking(count);
        let earlier = earlier
            .map_err(|error: registry::Error| Fault::new(Code::NodeInternal, chain(&error)))?;
        terms.admit_after(earlier).map_err(denied)?;
    }
    Ok(terms)
}

/// Nothing is done with a dataset of which nobody knows who withdrew.
fn refuse_doubted(work: &Work) -> Result<(), Fault> {
    let dataset = dataset(work)?;
    if !dataset.is_doubted {
        return Ok(());
    }
    let rule = "is closed until its owner has said again who withdrew".to_owned();
    let value = Value::from(dataset.name.as_str());
    let detail = Detail::Argument { key: "dataset".to_owned(), value, rule };
    let failure = Failure { code: Code::PolicyDenied, detail: Some(detail) };
    let text = "since the node was restored it is not known who withdrew: give the list again with \
                `wardround node dataset exclude NAME --file FILE`, an empty one where nobody has";
    Err(Fault::new(failure, text))
}

/// The owner's policy for the request's dataset; looked up once in an attempt.
pub(super) fn terms(work: &Work, bench: &mut Bench) -> Result<Arc<Terms>, Fault> {
    if let Some(terms) = &bench.terms {
        return Ok(Arc::clone(terms));
    }
    let terms = work.site.terms(work.request.dataset_id);
    let terms = terms.map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))?;
    bench.terms = Some(Arc::clone(&terms));
    Ok(terms)
}

fn denied(denial: Denial) -> Fault {
    let text = format!("the policy's bound \"{}\" is exceeded", denial.bound());
    Fault::new(denial, text)
}

/// A bound of the node is exceeded.
fn beyond(bound: &str, limit: u64, requested: u64, text: String) -> Fault {
    Fault::new(Denial::beyond(bound, limit, requested), text)
}

/// Phase 14: what may leave, the update from its file.
pub(super) async fn egress(work: &mut Work, bench: &mut Bench) -> Result<Outcome, Fault> {
    let terms = match standing_grant(work)? {
        Some(grant) => {
            let terms = terms(work, bench)?;
            refuse_expired(work, &grant, &terms)?;
            narrowed(&terms, &grant)
        }
        None => terms(work, bench)?,
    };
    let declared = match work.export.clone() {
        None => None,
        Some(export) => {
            work.findings.metrics_before = export.metrics_before;
            work.findings.metrics_after = export.metrics_after;
            let declaration: Declaration = serde_json::from_value(export.declared)
                .map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))?;
            check_update(work, export.update, declaration.clone(), &terms).await?;
            Some(declaration.metrics)
        }
    };
    let findings = &mut work.findings;
    let mut warnings = Vec::new();
    for report in [&mut findings.metrics_before, &mut findings.metrics_after] {
        let declared = declared.as_ref().unwrap_or(&findings.declared_metrics);
        warnings.extend(egress::filter_metrics(report, declared, &terms));
    }
    match work.export.as_ref().filter(|_| terms.hold) {
        Some(export) => release::judge(work, export.update.clone(), warnings).await,
        None => Ok(Outcome::EgressAllowed { warnings }),
    }
}

async fn check_update(
    work: &Work,
    update: ArtifactReference,
    declaration: Declaration,
    terms: &Arc<Terms>,
) -> Result<(), Fault> {
    let terms = match work.request.runtime {
        RuntimeKind::Statistics => Arc::new(terms.of_counts()),
        RuntimeKind::Native | RuntimeKind::Python => Arc::clone(terms),
    };
    // After a restart they may have to be fetched again.
    let received = match terms.maximum_update_norm {
        Some(_) => Some(fetch::received(work, Phase::Egress).await?),
        None => None,
    };
    let store = work.site.carrier.store().clone();
    let is_short = update.size <= SHORT;
    let judge = move || match store.open_verified(&update.digest) {
        Ok(artifact) => egress::check_update(
            &artifact.path,
            received.as_ref().map(|received| &*received.path),
            &declaration,
            &terms,
        )
        .map_err(|refusal| Fault::new(*refusal.failure, refusal.text)),
        Err(error) => Err(Fault::new(Code::NodeInternal, chain(&error))),
    };
    // To read a short file takes less time than to wake a thread for it.
    if is_short { judge() } else { blocking(judge).await }
}

/// After a restart: whether the exported file is there and has its digest.
pub(super) async fn verify_export(work: &Work, update: &ArtifactReference) -> Outcome {
    let (store, update) = (work.site.carrier.store().clone(), update.clone());
    let found = blocking(move || {
        store.open_verified(&update.digest).is_ok_and(|artifact| artifact.size == update.size)
    });
    if found.await {
        Outcome::ExportIntact
    } else {
        work.write_log(Phase::Export, "the exported file is missing or damaged");
        Outcome::ExportLost
    }
}

/// Bytes of an update that is judged where no thread is woken for it.
const SHORT: u64 = 64 << 10;

/// The milliseconds over which rounds are counted.
const DAY: u64 = 24 * 60 * 60 * 1_000;
