//! A ward, a plan, and workers that are plain processes.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dataset::{Options, Registered, register};
use protocol::{Code, MetricsReport, Mode};
use runtime::python::{Cause, Ending, Job, Life, Worker, Workers, write_package};
use runtime::{
    Assignment, Confinement, DataGrant, DataSummary, ExportSummary, Failure, Instance,
    Interruption, Measurement, Monitor, PythonRuntime, Runtime, TrainingSummary, Unfollowed,
    Validated, ValidationOutcome, python_initial_parameters,
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

/// The interpreter for tests; a run without one says so.
#[expect(clippy::print_stderr, reason = "a run says what it leaves out")]
pub(crate) fn interpreter() -> Option<PathBuf> {
    let found = std::env::var_os("WARDROUND_TEST_PYTHON").map(PathBuf::from);
    if found.is_none() {
        eprintln!("LEFT OUT: WARDROUND_TEST_PYTHON names no interpreter with torch");
    }
    found
}

/// Processes that are not confined.
pub(crate) struct PlainWorkers {
    interpreter: PathBuf,
    package: PathBuf,
    scratch: PathBuf,
}

impl Workers for PlainWorkers {
    fn start(&self, _job: &Job, _monitor: &mut dyn Monitor) -> Result<Box<dyn Worker>, Failure> {
        let (ours, theirs) = UnixStream::pair().expect("sockets can be made");
        let program = format!(
            "import sys, socket; sys.path.insert(0, {:?}); \
             from wardround.worker.job import serve; serve(socket.socket(fileno=0), {:?}, 1)",
            self.package, self.scratch,
        );
        let child = Command::new(&self.interpreter)
            .args(["-I", "-B", "-c", &program])
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the interpreter starts");
        Ok(Box::new(PlainWorker { child, socket: ours }))
    }
}

struct PlainWorker {
    child: Child,
    socket: UnixStream,
}

impl Worker for PlainWorker {
    fn socket(&self) -> &UnixStream {
        &self.socket
    }

    fn confinement(&self) -> Confinement {
        Confinement { level: "none".to_owned(), environment: None }
    }

    fn end(&mut self, _life: Life) -> Ending {
        // A child that has ended cannot be killed, and need not be.
        drop(self.child.kill());
        self.child.wait().expect("the child is ours");
        Ending { cause: Cause::Ended, output: String::new(), processor: None }
    }
}

impl Drop for PlainWorker {
    fn drop(&mut self) {
        self.end(Life::Alive);
    }
}

/// Remembers what was measured, and interrupts when told to.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) measurements: Vec<Measurement>,
    /// Interrupts once so many measurements were taken.
    pub(crate) interrupt_after: Option<usize>,
}

impl Monitor for Recorder {
    fn measured(&mut self, measurement: Measurement) {
        self.measurements.push(measurement);
    }

    fn interruption(&mut self) -> Option<Interruption> {
        let enough = self.interrupt_after.is_some_and(|after| self.measurements.len() >= after);
        enough.then_some(Interruption::Cancelled)
    }
}

/// What a round gave.
pub(crate) struct Outcome {
    pub(crate) data: DataSummary,
    pub(crate) before: Option<MetricsReport>,
    pub(crate) after: Option<MetricsReport>,
    pub(crate) training: TrainingSummary,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) export: ExportSummary,
    pub(crate) update: PathBuf,
}

/// A table, a plan and a runtime.
pub(crate) struct Ward {
    pub(crate) folder: TempDir,
    pub(crate) bundle: Bundle,
    pub(crate) table: PathBuf,
    pub(crate) registration: Registered,
    pub(crate) runtime: PythonRuntime,
    pub(crate) model_args: Map<String, Value>,
    pub(crate) columns: Vec<String>,
    pub(crate) mode: Mode,
}

impl Ward {
    pub(crate) fn new(plan: &str, csv: &str) -> Option<Self> {
        Self::timed(plan, csv, None)
    }

    pub(crate) fn timed(plan: &str, csv: &str, time: Option<Duration>) -> Option<Self> {
        let interpreter = interpreter()?;
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let package = write_package(&folder.path().join("package")).expect("it can be written");
        let scratch = folder.path().join("worker");
        std::fs::create_dir(&scratch).expect("the folder can be written");
        let workers = PlainWorkers { interpreter, package, scratch };
        let table = folder.path().join("ward.csv");
        std::fs::write(&table, csv).expect("the folder can be written");
        let registration =
            register(&table, &Options::default()).expect("the table is right").into();
        Some(Self {
            bundle: Bundle::python(plan).expect("the plan is short"),
            table,
            registration,
            runtime: PythonRuntime::new(Arc::new(workers), time),
            folder,
            model_args: Map::new(),
            columns: Vec::new(),
            mode: Mode::Train,
        })
    }

    pub(crate) fn assignment(&self) -> Assignment {
        Assignment {
            mode: self.mode,
            seed: 42,
            round: 1,
            node: "north".parse().expect("is a name"),
            dataset: "ward".parse().expect("is a name"),
            dataset_digest: self.registration.digest(),
            columns: self.columns.clone(),
            memory_limit: None,
            class: String::new(),
            scratch: self.folder.path().join("round"),
            folder: None,
            state: None,
        }
    }

    /// Makes the first parameters.
    pub(crate) fn initial(&self, arguments: &Value) -> Result<PathBuf, Failure> {
        let path = self.folder.path().join("initial.safetensors");
        let arguments = TrainingArguments::parse(arguments).expect("the arguments are right");
        let given = (&self.model_args, &arguments);
        let assignment = self.assignment();
        python_initial_parameters(
            &self.runtime,
            &self.bundle,
            assignment,
            given,
            &path,
            &mut Unfollowed,
        )?;
        Ok(path)
    }

    pub(crate) fn instance(&self) -> Result<Box<dyn Instance>, Failure> {
        self.runtime.instantiate(&self.bundle, self.assignment(), &mut Unfollowed)
    }

    /// Runs all phases of one round.
    pub(crate) fn run(&self, parameters: &Path, arguments: &Value) -> Result<Outcome, Failure> {
        self.run_with(parameters, arguments, Recorder::default())
    }

    pub(crate) fn run_with(
        &self,
        parameters: &Path,
        arguments: &Value,
        mut recorder: Recorder,
    ) -> Result<Outcome, Failure> {
        let arguments = TrainingArguments::parse(arguments).expect("the arguments are right");
        let mut instance = self.instance()?;
        instance.initialise(&self.model_args, &arguments, &mut recorder)?;
        instance.load(parameters, &mut recorder)?;
        let grant = DataGrant {
            path: &self.table,
            registration: &self.registration,
            loading_plan: None,
            excluded_rows: &[],
            minimum_samples: 1,
        };
        let data = instance.open_data(&grant, &mut recorder)?;
        let before = measured(instance.validate(Validated::Global, &mut recorder))?;
        let training = instance.train(&mut recorder)?;
        let after = measured(instance.validate(Validated::Local, &mut recorder))?;
        let update = self.folder.path().join("update.safetensors");
        let export = instance.export(&update, &mut recorder)?;
        let measurements = recorder.measurements;
        Ok(Outcome { data, before, after, training, measurements, export, update })
    }
}

/// A metric that cannot be computed ends no round.
fn measured(outcome: Result<ValidationOutcome, Failure>) -> Result<Option<MetricsReport>, Failure> {
    match outcome {
        Ok(outcome) => Ok(outcome.report),
        Err(failure) if failure.code == Code::TrainingFailed => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// 80 rows of two features; the class is that of their sum.
pub(crate) fn table() -> String {
    let mut csv = String::from("x,y,class\n");
    for row in 0..80_u32 {
        let (x, y) = (f64::from(row % 9) - 4.0, f64::from(row % 7) - 3.0);
        csv.push_str(&format!("{x},{y},{}\n", u8::from(x + y > 0.0)));
    }
    csv
}

/// A logistic regression in torch.
pub(crate) const TORCH: &str = r#"
from wardround.plans import TorchTrainingPlan, DataManager
import torch
import pandas


class Logistic(TorchTrainingPlan):
    metrics = ("ACCURACY", "LOG_LOSS")

    def init_model(self, model_args):
        model = torch.nn.Linear(2, 1)
        with torch.no_grad():
            model.weight.zero_()
            model.bias.zero_()
        return model

    def init_optimizer(self, optimizer_args):
        return torch.optim.SGD(self.model().parameters(), **optimizer_args)

    def training_data(self):
        frame = pandas.read_csv(self.dataset_path)
        rows = torch.tensor(frame[["x", "y"]].values, dtype=torch.float32)
        target = torch.tensor(frame["class"].values, dtype=torch.float32)
        return DataManager(torch.utils.data.TensorDataset(rows, target))

    def predict(self, data):
        return torch.sigmoid(self.model()(data)).squeeze(1)

    def training_step(self, data, target):
        output = self.model()(data).squeeze(1)
        return torch.nn.functional.binary_cross_entropy_with_logits(output, target)
"#;
