//! Phases 6 to 13: the runtime's work, on a thread where it may block.

mod brevity;
mod monitor;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dataset::Interrupt;
use parameters::Reader;
use protocol::{ArtifactReference, Code, Detail, MetricsReport, Phase, RuntimeKind, Warning};
use round::{Export, Failure, Outcome};
use runtime::{
    Assignment, DataGrant, KeptState, NativeRuntime, Runtime, StatisticsRuntime, Validated,
};
use rustix::time::{ClockId, clock_gettime};
use sandbox::Level;
use serde_json::Value;
use store::Durability;
use training_plan::Bundle;

use super::super::bench::{Bench, Findings, Session};
use super::{Fault, Work, judge, statistics};
use crate::carrier::blocking;
use crate::egress::Declaration;
use crate::policy::Terms;
use crate::registry::datasets::Dataset;
use crate::registry::pythons::Interpreter;
use crate::round_log::chain;
use monitor::ScalarMonitor;

/// Performs one of the runtime's phases.
pub(super) async fn perform(
    work: &mut Work,
    phase: Phase,
    bench: &mut Box<Bench>,
) -> Result<Outcome, Fault> {
    let start = match phase {
        Phase::Instantiate => {
            let dataset = judge::dataset(work)?;
            Some(Start { dataset, interpreter: judge::interpreter(work).await? })
        }
        _ => None,
    };
    let mut thread = Thread { work: work.clone(), bench: std::mem::take(bench) };
    // To hand a phase to a thread and to hear of its end takes longer than a short one.
    let (thread, outcome) = if brevity::is_short(work, &thread.bench, phase, start.as_ref()) {
        let outcome = thread.perform(phase, start);
        (thread, outcome)
    } else {
        let there = move || {
            let outcome = thread.perform(phase, start);
            (thread, outcome)
        };
        blocking(there).await
    };
    *bench = thread.bench;
    work.findings = thread.work.findings;
    outcome
}

/// What a plan is started on.
struct Start {
    dataset: Dataset,
    /// The interpreter of a Python plan.
    interpreter: Option<Interpreter>,
}

/// What the thread works with.
struct Thread {
    work: Work,
    bench: Box<Bench>,
}

impl Thread {
    fn perform(&mut self, phase: Phase, start: Option<Start>) -> Result<Outcome, Fault> {
        let outcome = self.perform_phase(phase, start);
        self.note_remarks(phase);
        outcome
    }

    /// Writes what the plan printed, and what it ran on, into the node's own log.
    fn note_remarks(&mut self, phase: Phase) {
        let session = self.bench.session.as_mut();
        let remarks = session.map(|session| session.instance.remarks()).unwrap_or_default();
        for remark in remarks {
            self.work.write_log(phase, &remark);
        }
    }

    fn perform_phase(&mut self, phase: Phase, start: Option<Start>) -> Result<Outcome, Fault> {
        match (phase, start) {
            (Phase::Instantiate, Some(start)) => self.instantiate(start),
            (Phase::Initialise, _) => self.initialise(),
            (Phase::Load, _) => self.load(),
            (Phase::Data, _) => self.open_data(),
            (Phase::ValidateBefore, _) => self.validate(Validated::Global),
            (Phase::Train, _) => self.train(),
            (Phase::ValidateAfter, _) => self.validate(Validated::Local),
            (Phase::Export, _) => self.export(),
            _ => Err(Fault::defect("the phase is not the runtime's")),
        }
    }

    fn instantiate(&mut self, start: Start) -> Result<Outcome, Fault> {
        let Start { dataset, interpreter } = start;
        let terms = self.terms()?;
        // The clock of the machine measures what the plan's time is, as it does where the sandbox ends it.
        self.bench.due = terms.maximum_seconds.and_then(due_after);
        let request = &self.work.request;
        let plan = self.bench.plan.as_ref().ok_or_else(|| missing("the plan"))?;
        let bytes = std::fs::read(&plan.path)
            .map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))?;
        let refused =
            |error: &dyn std::error::Error| Fault::new(Code::PlanNotLoadable, chain(error));
        let bundle = Bundle::parse(&bytes).map_err(|error| refused(&error))?;
        if bundle.runtime() != request.runtime {
            let text = "the plan's bundle is for another runtime than the request says";
            return Err(Fault::new(Code::PlanNotLoadable, text));
        }
        let assignment = Assignment {
            mode: request.mode,
            seed: request.seed,
            round: request.round,
            node: self.work.site.config.name.clone(),
            dataset: dataset.name.clone(),
            dataset_digest: dataset.registration.digest(),
            columns: request.columns.clone(),
            memory_limit: terms.memory_limit,
            disk_limit: terms.disk_limit,
            class: request.class.clone(),
            scratch: absolute(&self.work.site.folder.round_scratch(request.round_id))?,
            folders: readable_folders(&dataset)?,
            state: interpreter.as_ref().map(|_| self.state()).transpose()?,
        };
        let site = &self.work.site;
        let minimum = dataset.demanded(site.config.python.minimum_sandbox_level);
        let weak = |failure| too_weak(failure, &dataset, minimum);
        let python = match &interpreter {
            Some(interpreter) => {
                let made = site.pythons.runtime(&interpreter.environment, minimum, site);
                Some(made.map_err(weak)?)
            }
            None => None,
        };
        let counting = StatisticsRuntime { terms: terms.statistics.terms() };
        let runtime: &dyn Runtime = match (&python, bundle.runtime()) {
            (Some(python), _) => python,
            (None, RuntimeKind::Statistics) => &counting,
            (None, RuntimeKind::Native | RuntimeKind::Python) => &NativeRuntime,
        };
        let mut monitor = self.monitor()?;
        let instance = runtime.instantiate(&bundle, assignment, &mut monitor).map_err(weak)?;
        self.work.findings.declared_metrics = instance.declared_metrics();
        self.work.findings.confinement = instance.confinement();
        self.bench.session = Some(Session { instance, dataset });
        Ok(Outcome::Instantiated)
    }

    /// Where the plan's own tensors of this experiment are kept: what the round before kept is received.
    fn state(&self) -> Result<KeptState, Fault> {
        let request = &self.work.request;
        let folder = self.work.site.folder.state();
        let folder = folder.join(request.experiment_id.to_string());
        let folder = folder.join(request.dataset_id.to_string());
        std::fs::create_dir_all(&folder)
            .map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))?;
        let file = |round: u32| folder.join(format!("{round}.safetensors"));
        let before = (1..request.round).rev().map(file).find(|path| path.exists());
        Ok(KeptState { received: before, kept: file(request.round) })
    }

    fn initialise(&mut self) -> Result<Outcome, Fault> {
        let arguments = self.bench.arguments.clone().ok_or_else(|| missing("the arguments"))?;
        let request = Arc::clone(&self.work.request);
        let mut monitor = self.monitor()?;
        self.session()?.instance.initialise(&request.model_args, &arguments, &mut monitor)?;
        Ok(Outcome::Initialised)
    }

    fn load(&mut self) -> Result<Outcome, Fault> {
        let parameters = self.bench.parameters.as_ref().ok_or_else(|| missing("the parameters"))?;
        let path = parameters.path.clone();
        let mut monitor = self.monitor()?;
        self.session()?.instance.load(&path, &mut monitor)?;
        Ok(Outcome::ParametersLoaded)
    }

    fn open_data(&mut self) -> Result<Outcome, Fault> {
        let minimum_samples = self.terms()?.minimum_samples;
        let expected = self.work.request.data_loading_plan.clone();
        let mut monitor = self.monitor()?;
        let Session { instance, dataset } = self.session()?;
        check_loading_plan(expected.as_deref(), dataset)?;
        let grant = DataGrant {
            path: &dataset.path,
            registration: &dataset.registration,
            loading_plan: dataset.loading_plan.as_ref(),
            exclusions: &dataset.exclusions,
            minimum_samples,
        };
        let opened = instance.open_data(&grant, &mut monitor);
        let summary = opened.map_err(|failure| too_few(failure, minimum_samples))?;
        if let Some(cohorts) = instance.cohorts().map(<[_]>::to_vec) {
            let terms = self.terms()?;
            statistics::guard(&self.work, &terms, cohorts)?;
        }
        self.work.findings.sample_count = summary.train;
        self.work.findings.excluded = summary.excluded;
        self.warn(&summary.warnings);
        Ok(Outcome::DataOpened {
            training_rows: summary.train,
            validation_rows: summary.validation,
            warnings: summary.warnings,
        })
    }

    /// Only an interruption or a limit ends the round here; a metric that cannot be computed is a warning.
    fn validate(&mut self, validated: Validated) -> Result<Outcome, Fault> {
        let mut monitor = self.monitor()?;
        let outcome = self.session()?.instance.validate(validated, &mut monitor);
        self.bench.scalars = monitor.count();
        let (report, warnings) = match outcome {
            Ok(outcome) => (outcome.report, outcome.warnings),
            Err(failure) if is_soft(failure.code) => {
                let phase = match validated {
                    Validated::Global => Phase::ValidateBefore,
                    Validated::Local => Phase::ValidateAfter,
                };
                self.work.write_log(phase, &failure.local);
                (None, vec![Warning::MetricFailed])
            }
            Err(failure) => return Err(failure.into()),
        };
        self.keep(validated, report);
        self.warn(&warnings);
        Ok(Outcome::Validated { warnings })
    }

    fn keep(&mut self, validated: Validated, report: Option<MetricsReport>) {
        match validated {
            Validated::Global => self.work.findings.metrics_before = report,
            Validated::Local => self.work.findings.metrics_after = report,
        }
    }

    fn train(&mut self) -> Result<Outcome, Fault> {
        let mut monitor = self.monitor()?;
        // Both clocks measure; neither decides anything.
        let (wall, processor) = (Instant::now(), processor_time());
        let trained = self.session()?.instance.train(&mut monitor);
        let timing = &mut self.work.findings.timing;
        timing.rtime_training = wall.elapsed().as_secs_f64();
        timing.ptime_training = (processor_time() - processor).max(0.0);
        self.bench.scalars = monitor.count();
        let summary = trained?;
        self.work.findings.sample_count = summary.sample_count;
        self.work.findings.optimizer_args = summary.optimizer_args;
        Ok(Outcome::Trained)
    }

    fn export(&mut self) -> Result<Outcome, Fault> {
        let store = self.work.site.carrier.store().clone();
        // On the store's own disk and in a folder that is there: a folder for one file costs more than the file.
        let path = store.fresh_path();
        let mut monitor = self.monitor()?;
        let instance = &mut self.session()?.instance;
        let summary = instance.export(&path, &mut monitor)?;
        if let Some(processor) = instance.processor_time() {
            self.work.findings.timing.ptime_training = processor.as_secs_f64();
        }
        // Read before the file moves into the store, where it could not be told from the received one.
        let declared = self.declaration()?;
        self.bench.update_pin = Some(store.pin(&summary.digest));
        // The runtime hashed the bytes in this process while it wrote them, and nobody else knows the file's name.
        let update = ArtifactReference::new(summary.digest, summary.size);
        store.adopt(&path, &update, Durability::Process).map_err(|error| {
            // The first error is the one to report; the next start removes what stays.
            drop(std::fs::remove_file(&path));
            Fault::new(Code::PlanExportFailed, chain(&error))
        })?;
        // A later attempt writes the same bytes; the driver pins them with the record.
        let export = self.record(update, declared);
        Ok(Outcome::Exported { export: Box::new(export) })
    }

    /// The export record: everything that the reply will need.
    fn record(&self, update: ArtifactReference, declared: Value) -> Export {
        let findings: &Findings = &self.work.findings;
        let mut warnings = findings.warnings.clone();
        if self.bench.scalars.dropped > 0 {
            warnings.push(Warning::ScalarsDropped);
        }
        Export {
            update,
            declared,
            sample_count: findings.sample_count,
            metrics_before: findings.metrics_before.clone(),
            metrics_after: findings.metrics_after.clone(),
            optimizer_args: findings.optimizer_args.clone(),
            timing: findings.timing.clone(),
            warnings,
        }
    }

    /// An update has the tensors of the parameters that were received: loading them has shown that the plan's are the same.
    fn declaration(&self) -> Result<Value, Fault> {
        let parameters = self.bench.parameters.as_ref().ok_or_else(|| missing("the parameters"))?;
        let declaration = declare(&parameters.path, &self.work.findings.declared_metrics)?;
        serde_json::to_value(declaration)
            .map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))
    }

    fn terms(&mut self) -> Result<Arc<Terms>, Fault> {
        judge::terms(&self.work, &mut self.bench)
    }

    /// Follows the plan's work, within the owner's bounds.
    fn monitor(&mut self) -> Result<ScalarMonitor, Fault> {
        let terms = self.terms()?;
        Ok(ScalarMonitor::new(&self.work, self.bench.scalars, terms, self.bench.due))
    }

    fn session(&mut self) -> Result<&mut Session, Fault> {
        self.bench.session.as_mut().ok_or_else(|| missing("the runtime"))
    }

    fn warn(&mut self, warnings: &[Warning]) {
        self.work.findings.warnings.extend_from_slice(warnings);
    }
}

impl From<runtime::Failure> for Fault {
    fn from(failure: runtime::Failure) -> Self {
        let detail = failure.detail.map(|detail| *detail);
        Self::new(Failure { code: failure.code, detail }, failure.local)
    }
}

fn declare(parameters: &Path, metrics: &[String]) -> Result<Declaration, Fault> {
    let reader =
        Reader::open(parameters).map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))?;
    Ok(Declaration {
        schema: reader.schema().clone(),
        description: reader.description().map(str::to_owned),
        metrics: metrics.to_vec(),
    })
}

/// The folders that a plan reads in place; without those of excluded patients.
fn readable_folders(dataset: &Dataset) -> Result<Vec<PathBuf>, Fault> {
    let mut interrupt = Interrupt::never();
    let exclusions = &dataset.exclusions;
    exclusions
        .readable_folders(&dataset.path, &dataset.registration, &mut interrupt)
        .map_err(|error| runtime::Failure::from(error).into())
}

/// Refuses a dataset that is not loaded as the request expects.
fn check_loading_plan(expected: Option<&str>, dataset: &Dataset) -> Result<(), Fault> {
    let plan = dataset.loading_plan.as_ref().map(|attached| &attached.plan);
    let text = match (expected, plan) {
        (None, _) => return Ok(()),
        (Some(expected), Some(plan)) if plan.fulfils(expected) => return Ok(()),
        (Some(expected), Some(plan)) => {
            format!(
                "data loading plan {expected:?} is expected, the dataset has {}",
                plan.reference()
            )
        }
        (Some(expected), None) => {
            format!("data loading plan {expected:?} is expected, the dataset has none")
        }
    };
    Err(Fault::new(Code::DataInvalid, text))
}

/// Says for which dataset the sandbox was too weak, and what its owner demands.
fn too_weak(mut failure: runtime::Failure, dataset: &Dataset, minimum: Level) -> runtime::Failure {
    if failure.code == Code::SandboxUnavailable {
        let dataset = &dataset.name;
        failure.local = format!("dataset {dataset} demands level {minimum}: {}", failure.local);
    }
    failure
}

/// Names the bound that too few rows have missed. How many there are is not said: the bound is there because they are few.
fn too_few(failure: runtime::Failure, minimum: u64) -> runtime::Failure {
    if failure.code != Code::DataTooFewSamples || failure.detail.is_some() {
        return failure;
    }
    let rule = "is more than the dataset has, or than is left of it to work on".to_owned();
    let key = "minimum_samples".to_owned();
    let detail = Detail::Argument { key, value: Value::from(minimum), rule };
    runtime::Failure { detail: Some(Box::new(detail)), ..failure }
}

/// A path that means the same in a process with another working folder.
fn absolute(path: &Path) -> Result<PathBuf, Fault> {
    std::path::absolute(path).map_err(|error| Fault::new(Code::NodeInternal, chain(&error)))
}

/// The instant after so many seconds; none where it is beyond every clock.
fn due_after(seconds: u64) -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(seconds))
}

fn missing(what: &str) -> Fault {
    Fault::defect(&format!("{what} should be there by now"))
}

/// Whether a validation that ends so leaves the round going on.
fn is_soft(code: Code) -> bool {
    let hard = [Code::Cancelled, Code::DeadlineExceeded];
    !hard.contains(&code) && !round::round::limit_codes().contains(&code)
}

/// This thread's processor time in seconds.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
        .as_secs_f64()
}
