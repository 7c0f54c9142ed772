//! The Python plan object as the node sees it: a worker, and what is known of it so far.

use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use dataset::{Split, split};
use parameters::{Reader, Schema, TensorSchema};
use protocol::detail::TensorDetail;
use protocol::{Code, Detail, Mode, Warning};
use serde_json::{Map, Value, json};
use training_plan::arguments::TrainingArguments;
use training_plan::metric::Metric;
use training_plan::seed::Seed;

use super::dialogue::{Dialogue, Enclosed, Step};
use super::export::{self, Outlet};
use super::frame::Patience;
use super::granted_view::GrantedView;
use super::indices::Indices;
use super::labels::Labels;
use super::message::{
    Exported, Family, Initialised, Instantiated, Nothing, OpenData, Request, TensorBody,
};
use super::optimizer_arguments;
use super::training::{self, Course};
use super::validation::Pass;
use super::worker::Worker;
use crate::failure::with_causes;
use crate::monitor::interruptibly;
use crate::{
    Assignment, Confinement, DataGrant, DataSummary, ExportSummary, Failure, Instance, Monitor,
    TrainingSummary, Validated, ValidationOutcome,
};

/// A Python plan in one round; each phase adds what the next ones need.
pub(super) struct PythonInstance {
    dialogue: Dialogue,
    assignment: Assignment,
    until: Option<Instant>,
    declared: Option<Vec<String>>,
    usual: Option<Metric>,
    versions: String,
    arguments: Option<TrainingArguments>,
    built: Option<Built>,
    description: Option<String>,
    split: Option<Split>,
}

/// What initialising gives.
struct Built {
    schema: Schema,
    optimizer_args: Map<String, Value>,
    /// Whether the plan has tensors of its own to keep.
    has_state: bool,
}

/// What a plan is built from.
pub(super) struct Source<'a> {
    pub(super) text: &'a str,
    pub(super) file: &'a str,
    /// How long the worker may live.
    pub(super) time: Option<Duration>,
}

impl PythonInstance {
    /// Has a worker load the plan's source.
    pub(super) fn build(
        worker: Box<dyn Worker>,
        source: &Source<'_>,
        assignment: Assignment,
        monitor: &mut dyn Monitor,
    ) -> Result<Self, Failure> {
        let lines = u32::try_from(source.text.lines().count()).unwrap_or(u32::MAX);
        let mut dialogue = Dialogue::new(worker, lines)?;
        // The machine's clock bounds how long the worker lives; it decides nothing else.
        let until = source.time.and_then(|time| Instant::now().checked_add(time));
        let request = Request::Instantiate { class: &assignment.class, file: source.file };
        let payload = source.text.as_bytes().to_vec();
        let enclosed = Enclosed { payload, descriptors: &[] };
        let mut patience = Patience::new(monitor, STARTING);
        let built: Instantiated =
            dialogue.ask(Step::Instantiate, &request, enclosed, &mut patience)?;
        let versions = versions(&built);
        let names = built.metrics.map(|names| names.into_iter().take(MOST_METRICS).collect());
        Ok(Self {
            dialogue,
            assignment,
            until,
            declared: names,
            usual: built.default_metric.and_then(|name| name.parse().ok()),
            versions,
            arguments: None,
            built: None,
            description: None,
            split: None,
        })
    }

    /// How long one request may take: as long as the worker lives, and a short one not even that.
    fn time(&self, most: Duration) -> Duration {
        let left = self
            .until
            .map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        left.min(most)
    }

    fn known(&self) -> Result<(&TrainingArguments, &Built), Failure> {
        match (&self.arguments, &self.built) {
            (Some(arguments), Some(built)) => Ok((arguments, built)),
            _ => Err(Failure::out_of_order("a step")),
        }
    }

    fn write_view(
        &self,
        grant: &DataGrant<'_>,
        monitor: &mut dyn Monitor,
    ) -> Result<GrantedView, Failure> {
        interruptibly(monitor, "writing the granted view", |interrupt| {
            let folder = self.assignment.granted();
            GrantedView::write(&folder, &self.assignment.columns, grant, interrupt)
        })
    }

    /// Has the plan open what the node wrote for it; says how many samples it makes of it, and of which classes they are
    /// where the plan is to tell.
    fn open(
        &mut self,
        view: &GrantedView,
        monitor: &mut dyn Monitor,
    ) -> Result<(usize, Labels), Failure> {
        let (arguments, _) = self.known()?;
        let labels = arguments.validation().stratify && view.labels.is_none();
        let manifest = view.manifest.as_ref().map(|path| path.to_string_lossy());
        let request = Request::OpenData(OpenData {
            kind: view.kind,
            path: &view.path.to_string_lossy(),
            columns: &view.columns,
            rows: view.rows as u64,
            labels,
            loading_plan: None,
            manifest: manifest.as_deref(),
        });
        let mut patience = Patience::new(monitor, self.time(PREPARING));
        self.dialogue.begin(Step::Data, &request, Enclosed::default(), &mut patience)?;
        let (opened, labels) = Labels::listen(&mut self.dialogue, view.rows, &mut patience)?;
        let samples = usize::try_from(opened.samples).unwrap_or(usize::MAX);
        if samples > view.rows {
            let text = format!("the plan makes {samples} samples of {} rows", view.rows);
            return Err(self.dialogue.fail(Code::DataInvalid, &text));
        }
        if samples < view.rows && view.groups.is_some() {
            let text = "the plan leaves out rows, so the patients of the others are not known";
            return Err(self.dialogue.fail(Code::DataInvalid, text));
        }
        Ok((samples, labels))
    }

    fn cut(&self, samples: usize, told: &Labels, view: &GrantedView) -> Result<Split, Failure> {
        let (arguments, _) = self.known()?;
        let validation = arguments.validation();
        let labels = match view.labels.as_deref() {
            Some(labels) => Some(labels).filter(|_| samples == view.rows),
            None => told.of(samples),
        };
        if validation.stratify && labels.is_none() {
            return Err(unstratified());
        }
        let classes = labels.filter(|_| validation.stratify);
        let digest = &self.assignment.dataset_digest;
        let seed = training::seed(arguments, &self.assignment);
        let seed = if validation.shuffle_testing_dataset {
            Seed::split_of_round(seed, digest, u64::from(self.assignment.round))
        } else {
            Seed::split(seed, digest)
        };
        split(samples, validation.test_ratio, seed.into_bytes(), view.groups.as_deref(), classes)
            .map_err(|error| Failure::new(Code::NodeInternal, error.to_string()))
    }
}

impl Instance for PythonInstance {
    fn declared_metrics(&self) -> Vec<String> {
        match &self.declared {
            Some(names) => names.clone(),
            None => {
                let known = Metric::ALL.iter().map(|metric| metric.name().to_owned());
                let numbered = (1..=MOST_METRICS).map(|number| format!("{CUSTOM}_{number}"));
                known.chain([CUSTOM.to_owned()]).chain(numbered).collect()
            }
        }
    }

    fn confinement(&self) -> Option<Confinement> {
        Some(self.dialogue.confinement())
    }

    fn initialise(
        &mut self,
        model_args: &Map<String, Value>,
        arguments: &TrainingArguments,
        monitor: &mut dyn Monitor,
    ) -> Result<(), Failure> {
        let training_args = arguments.to_json();
        let mut known = training_args.clone();
        known["model_args"] = Value::Object(model_args.clone());
        self.dialogue.know(known);
        let seed = training::seed(arguments, &self.assignment);
        let seed = training::number(Seed::initialisation(seed, "")).to_string();
        let state = match self.assignment.state.as_ref().and_then(|state| state.received.as_ref()) {
            Some(path) => Some(export::open(path, Code::NodeInternal)?),
            None => None,
        };
        let request = Request::Initialise {
            model_args,
            training_args: &training_args,
            seed: &seed,
            gpu: false,
            mode: self.assignment.mode,
            local_state: state.is_some(),
        };
        let descriptors: Vec<_> = state.iter().map(AsFd::as_fd).collect();
        let enclosed = Enclosed { payload: Vec::new(), descriptors: &descriptors };
        let mut patience = Patience::new(monitor, self.time(PREPARING));
        let built: Initialised =
            self.dialogue.ask(Step::Initialise, &request, enclosed, &mut patience)?;
        let schema = schema(built.tensors).map_err(|text| self.dialogue.broken(&text))?;
        let optimizer_args = optimizer_arguments::permitted(&built.optimizer_args);
        self.built = Some(Built { schema, optimizer_args, has_state: built.state });
        self.arguments = Some(arguments.clone());
        Ok(())
    }

    fn load(&mut self, parameters: &Path, monitor: &mut dyn Monitor) -> Result<(), Failure> {
        let (_, built) = self.known()?;
        let reader = Reader::open(parameters).map_err(|error| {
            let code = match &error {
                parameters::Error::Io { .. } => Code::ParametersUnavailable,
                _ => Code::ParametersInvalid,
            };
            Failure::new(code, with_causes(&error))
        })?;
        let differences = built.schema.differences(reader.schema());
        if !differences.is_empty() {
            return Err(mismatch(&differences));
        }
        reader
            .check_finite()
            .map_err(|error| Failure::new(Code::ParametersInvalid, with_causes(&error)))?;
        self.description = reader.description().map(str::to_owned);
        let file = export::open(parameters, Code::ParametersUnavailable)?;
        let descriptors = [file.as_fd()];
        let enclosed = Enclosed { payload: Vec::new(), descriptors: &descriptors };
        let mut patience = Patience::new(monitor, self.time(PREPARING));
        let Nothing {} =
            self.dialogue.ask(Step::Load, &Request::Load {}, enclosed, &mut patience)?;
        Ok(())
    }

    fn open_data(
        &mut self,
        grant: &DataGrant<'_>,
        monitor: &mut dyn Monitor,
    ) -> Result<DataSummary, Failure> {
        let view = self.write_view(grant, monitor)?;
        enough(view.rows, "rows", grant)?;
        let (samples, labels) = self.open(&view, monitor)?;
        enough(samples, "samples", grant)?;
        let split = self.cut(samples, &labels, &view)?;
        if self.assignment.mode == Mode::Train {
            if split.train.is_empty() {
                let local = format!("none of {samples} samples is left to train on");
                return Err(Failure::new(Code::DataNoTrainingSamples, local));
            }
            enough(split.train.len(), "samples to train on", grant)?;
        }
        let (train, validation) = (split.train.len() as u64, split.validation.len() as u64);
        let rows: Vec<usize> = split.train.iter().chain(&split.validation).copied().collect();
        let rows = Indices::new(&rows)?;
        let descriptors = [rows.descriptor()];
        let enclosed = Enclosed { payload: Vec::new(), descriptors: &descriptors };
        let mut patience = Patience::new(monitor, self.time(PREPARING));
        let request = Request::Split { train, validation };
        let Nothing {} = self.dialogue.ask(Step::Data, &request, enclosed, &mut patience)?;
        self.split = Some(split);
        let dropped = (view.rows - samples) as u64;
        let warnings = if dropped > 0 { vec![Warning::DataRowsDropped] } else { Vec::new() };
        let (rows, excluded) = (train + validation, view.excluded);
        Ok(DataSummary { rows, train, validation, dropped, excluded, warnings })
    }

    fn validate(
        &mut self,
        validated: Validated,
        monitor: &mut dyn Monitor,
    ) -> Result<ValidationOutcome, Failure> {
        let time = self.time(Duration::MAX);
        let (Some(arguments), Some(split)) = (&self.arguments, &self.split) else {
            return Err(Failure::out_of_order("validation"));
        };
        let pass = Pass {
            arguments: arguments.validation(),
            declared: self.declared.as_deref(),
            usual: self.usual,
            rows: split.validation.len(),
        };
        pass.run(validated, &mut self.dialogue, &mut Patience::new(monitor, time))
    }

    fn train(&mut self, monitor: &mut dyn Monitor) -> Result<TrainingSummary, Failure> {
        let time = self.time(Duration::MAX);
        let (Some(arguments), Some(built), Some(split)) =
            (&self.arguments, &self.built, &self.split)
        else {
            return Err(Failure::out_of_order("training"));
        };
        let course =
            Course { arguments, assignment: &self.assignment, rows: split.train.len() as u64 };
        let trained = course.run(&mut self.dialogue, &mut Patience::new(monitor, time))?;
        Ok(TrainingSummary { optimizer_args: built.optimizer_args.clone(), ..trained })
    }

    fn export(&mut self, path: &Path, monitor: &mut dyn Monitor) -> Result<ExportSummary, Failure> {
        let (_, built) = self.known()?;
        let keeps = built.has_state && self.assignment.state.is_some();
        let (update, state) = (Outlet::new()?, Outlet::new()?);
        let descriptors = [update.descriptor(), state.descriptor()];
        let descriptors = if keeps { &descriptors[..] } else { &descriptors[..1] };
        let enclosed = Enclosed { payload: Vec::new(), descriptors };
        let mut patience = Patience::new(monitor, self.time(PREPARING));
        let request = Request::Export { state: keeps };
        let exported: Exported =
            self.dialogue.ask(Step::Export, &request, enclosed, &mut patience)?;
        // From here on nothing of the plan lives that could change what is read.
        self.dialogue.end();
        let (_, built) = self.known()?;
        let (update, state) = (update.seal()?, state.seal()?);
        let summary = interruptibly(monitor, "writing the update", |interrupt| {
            update.write(&built.schema, self.description.as_deref(), path, interrupt)
        })?;
        if let Some(files) = self.assignment.state.as_ref().filter(|_| exported.state_size > 0) {
            interruptibly(monitor, "keeping the plan's state", |interrupt| {
                state.keep(&files.kept, interrupt)
            })?;
        }
        Ok(summary)
    }

    fn processor_time(&self) -> Option<Duration> {
        self.dialogue.ending().and_then(|ending| ending.processor)
    }

    fn remarks(&mut self) -> Vec<String> {
        let mut remarks = vec![std::mem::take(&mut self.versions)];
        if let Some(ending) = self.dialogue.ending() {
            remarks.push(ending.output.clone());
        }
        remarks.retain(|remark| !remark.is_empty());
        remarks
    }
}

/// What the plan runs on, for the node's log: short, whatever the worker says.
fn versions(built: &Instantiated) -> String {
    let told = built.versions.iter().take(MOST_VERSIONS).filter_map(|(package, version)| {
        let version = version.as_str()?;
        Some((package.as_str(), version))
    });
    let mut line = match built.family {
        Family::Torch => "a plan for PyTorch".to_owned(),
        Family::Sklearn => "a plan for scikit-learn".to_owned(),
    };
    for (package, version) in std::iter::once(("Python", built.python.as_str())).chain(told) {
        let plain = |text: &str| -> String {
            text.chars().filter(|c| !c.is_control()).take(LONGEST_VERSION).collect()
        };
        line.push_str(&format!(", {} {}", plain(package), plain(version)));
    }
    line
}

/// Neither the dataset nor the plan says which class a sample is of.
fn unstratified() -> Failure {
    let rule = "needs classes: targets that are one whole number for each sample";
    let detail =
        Detail::Argument { key: "stratify".to_owned(), value: json!(true), rule: rule.to_owned() };
    Failure::new(Code::ArgumentsInvalid, format!("stratify {rule}")).with_detail(detail)
}

fn schema(tensors: Vec<TensorBody>) -> Result<Schema, String> {
    if tensors.is_empty() {
        return Err("a model without a tensor that is shared".to_owned());
    }
    let is_plain = |name: &str| {
        let is_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_name)
    };
    if tensors.iter().any(|tensor| !is_plain(&tensor.name)) {
        return Err(
            "a tensor whose name has other characters than letters, digits and ._-".to_owned()
        );
    }
    let tensors = tensors
        .into_iter()
        .map(|tensor| TensorSchema::new(&tensor.name, tensor.dtype, &tensor.shape));
    Schema::new(tensors.collect()).map_err(|error| format!("tensors of which {error}"))
}

fn mismatch(differences: &[parameters::schema::Difference]) -> Failure {
    let shown = &differences[..differences.len().min(MOST_SHOWN)];
    let details = |side: fn(&parameters::schema::Difference) -> &Option<TensorSchema>| {
        let tensors = shown.iter().filter_map(|difference| side(difference).as_ref());
        let details = tensors.map(|tensor| TensorDetail {
            name: tensor.name.clone(),
            shape: tensor.shape.iter().map(|extent| *extent as u64).collect(),
            dtype: tensor.dtype.to_string(),
        });
        details.collect()
    };
    let local: Vec<String> = shown.iter().map(ToString::to_string).collect();
    let detail = Detail::Tensors {
        expected: details(|difference| &difference.expected),
        found: details(|difference| &difference.actual),
    };
    Failure::new(Code::ParametersMismatch, local.join("; ")).with_detail(detail)
}

/// Refuses fewer rows than the node asks for.
fn enough(rows: usize, what: &str, grant: &DataGrant<'_>) -> Result<(), Failure> {
    if rows as u64 >= grant.minimum_samples {
        return Ok(());
    }
    let local = format!("{rows} {what}, {} are required", grant.minimum_samples);
    Err(Failure::new(Code::DataTooFewSamples, local))
}

/// The name of a value that is none of the known metrics.
const CUSTOM: &str = "Custom";

/// Metrics that a plan may declare.
const MOST_METRICS: usize = 32;

/// Characters of a tensor's name.
const LONGEST_NAME: usize = 256;

/// Tensors that a detail lists.
const MOST_SHOWN: usize = 16;

/// How long a worker may take to load the source of a plan.
const STARTING: Duration = Duration::from_secs(120);

/// How long a request may take that does not train or validate.
const PREPARING: Duration = Duration::from_secs(600);
/// Packages whose versions are logged.
const MOST_VERSIONS: usize = 8;
/// Characters of a package's name, and of its version.
const LONGEST_VERSION: usize = 32;
