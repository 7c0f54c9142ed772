//! One study in each runtime's own words: a logistic regression on two columns, started from zeros.

use std::path::{Path, PathBuf};
use std::time::Instant;

use dataset::{Exclusions, Options, Registered, register};
use protocol::{Code, MetricsReport, Mode, Warning};
use runtime::{
    Assignment, DataGrant, DataSummary, ExportSummary, Failure, Interruption, Measurement, Monitor,
    NativeRuntime, PythonRuntime, Runtime, TrainingSummary, Unfollowed, Validated,
    ValidationOutcome, initial_parameters, python_initial_parameters,
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

/// A plan in the words of one runtime.
pub(crate) enum Study {
    Native,
    Python(&'static PythonRuntime),
}

/// A table, a plan, and the runtime that executes it.
pub(crate) struct Ward {
    pub(crate) folder: TempDir,
    pub(crate) mode: Mode,
    pub(crate) minimum_samples: u64,
    pub(crate) disk_limit: Option<u64>,
    pub(crate) bundle: Bundle,
    pub(crate) model_args: Map<String, Value>,
    pub(crate) round: u32,
    /// The resolved columns, where they are not what the study usually has.
    pub(crate) columns: Option<Vec<String>>,
    study: Study,
    table: PathBuf,
    registration: Registered,
}

/// What a round gave.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) data: DataSummary,
    pub(crate) before: Option<MetricsReport>,
    pub(crate) after: Option<MetricsReport>,
    pub(crate) training: TrainingSummary,
    pub(crate) warnings: Vec<Warning>,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) update: Vec<u8>,
    pub(crate) export: Option<ExportSummary>,
}

/// Remembers what was measured; interrupts after so many measurements, or from some moment on.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) interrupt_after: Option<usize>,
    pub(crate) interrupt_at: Option<Instant>,
}

impl Monitor for Recorder {
    fn measured(&mut self, measurement: Measurement) {
        self.measurements.push(measurement);
    }

    fn interruption(&mut self) -> Option<Interruption> {
        let enough = self.interrupt_after.is_some_and(|after| self.measurements.len() >= after);
        let is_time = self.interrupt_at.is_some_and(|moment| Instant::now() >= moment);
        (enough || is_time).then_some(Interruption::Cancelled)
    }
}

impl Ward {
    pub(crate) fn of(study: Study) -> Self {
        Self::with_table(study, &table(80))
    }

    pub(crate) fn with_table(study: Study, csv: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let path = folder.path().join("ward.csv");
        std::fs::write(&path, csv).expect("the folder can be written");
        let registration = register(&path, &Options::default()).expect("the table is right");
        let bundle = match study {
            Study::Native => Bundle::native(NATIVE, |_| Err(std::io::ErrorKind::NotFound.into())),
            Study::Python(_) => Bundle::python(TORCH),
        };
        Self {
            folder,
            mode: Mode::Train,
            minimum_samples: 1,
            disk_limit: None,
            bundle: bundle.expect("the plan is right"),
            model_args: Map::new(),
            round: 1,
            columns: None,
            study,
            table: path,
            registration: Registered::Table(registration),
        }
    }

    fn runtime(&self) -> &dyn Runtime {
        match &self.study {
            Study::Native => &NativeRuntime,
            Study::Python(runtime) => *runtime,
        }
    }

    fn assignment(&self) -> Assignment {
        Assignment {
            mode: self.mode,
            seed: 42,
            round: self.round,
            node: "north".parse().expect("is a name"),
            dataset: "ward".parse().expect("is a name"),
            dataset_digest: self.registration.digest(),
            columns: match (&self.columns, &self.study) {
                (Some(columns), _) => columns.clone(),
                (None, Study::Native) => ["x", "y"].map(str::to_owned).to_vec(),
                (None, Study::Python(_)) => Vec::new(),
            },
            memory_limit: None,
            disk_limit: self.disk_limit,
            class: String::new(),
            scratch: self.folder.path().join("round"),
            folders: Vec::new(),
            state: None,
        }
    }

    /// The experiment's first parameters.
    pub(crate) fn initial(&self) -> PathBuf {
        self.make_initial().expect("the plan makes parameters")
    }

    /// The experiment's first parameters, where the plan can make them.
    pub(crate) fn make_initial(&self) -> Result<PathBuf, Failure> {
        let path = self.folder.path().join("initial.safetensors");
        match self.study {
            Study::Native => {
                let columns = self.assignment().columns;
                initial_parameters(&self.bundle, &columns, 42, &path).expect("the plan fits");
            }
            Study::Python(runtime) => {
                let given = (&self.model_args, &TrainingArguments::default());
                let assignment = self.assignment();
                let monitor = &mut Unfollowed;
                let (bundle, path) = (&self.bundle, &path);
                python_initial_parameters(runtime, bundle, assignment, given, path, monitor)?;
            }
        }
        Ok(path)
    }

    /// Runs a round on the first parameters.
    pub(crate) fn run(&self, arguments: &Value) -> Result<Outcome, Failure> {
        self.run_from(&self.initial(), arguments, Recorder::default())
    }

    /// Runs all phases that the mode has.
    pub(crate) fn run_from(
        &self,
        parameters: &Path,
        arguments: &Value,
        mut recorder: Recorder,
    ) -> Result<Outcome, Failure> {
        let arguments = TrainingArguments::parse(arguments).expect("the arguments are right");
        let assignment = self.assignment();
        let mut instance = self.runtime().instantiate(&self.bundle, assignment, &mut recorder)?;
        instance.initialise(&self.model_args, &arguments, &mut recorder)?;
        instance.load(parameters, &mut recorder)?;
        let grant = DataGrant {
            path: &self.table,
            registration: &self.registration,
            loading_plan: None,
            exclusions: Exclusions::none(),
            minimum_samples: self.minimum_samples,
        };
        let data = instance.open_data(&grant, &mut recorder)?;
        let mut warnings = data.warnings.clone();
        let before = measured(instance.validate(Validated::Global, &mut recorder))?;
        warnings.extend(before.warnings);
        let (mut after, mut training) = (None, TrainingSummary::default());
        let (mut update, mut export) = (Vec::new(), None);
        if self.mode == Mode::Train {
            training = instance.train(&mut recorder)?;
            let outcome = measured(instance.validate(Validated::Local, &mut recorder))?;
            warnings.extend(outcome.warnings);
            after = outcome.report;
            let path = self.folder.path().join("update.safetensors");
            export = Some(instance.export(&path, &mut recorder)?);
            update = std::fs::read(&path).expect("the update was written");
        }
        let (before, measurements) = (before.report, recorder.measurements);
        Ok(Outcome { data, before, after, training, warnings, measurements, update, export })
    }
}

/// A metric that cannot be computed ends no round.
fn measured(outcome: Result<ValidationOutcome, Failure>) -> Result<ValidationOutcome, Failure> {
    match outcome {
        Err(failure) if failure.code == Code::TrainingFailed => Ok(ValidationOutcome::default()),
        outcome => outcome,
    }
}

/// Rows of two features; the class is that of their sum.
pub(crate) fn table(rows: u32) -> String {
    let mut csv = String::from("x,y,class\n");
    for row in 0..rows {
        let (x, y) = (f64::from(row % 9) - 4.0, f64::from(row % 7) - 3.0);
        csv.push_str(&format!("{x},{y},{}\n", if x + y > 0.0 { "ill" } else { "well" }));
    }
    csv
}

const NATIVE: &str = r#"
[plan]
name = "contract"
runtime = "native"

[data]
task = "binary"
target = "class"
classes = ["well", "ill"]
features = ["x", "y"]
missing = "error"
standardize = "none"

[metrics]
names = ["ACCURACY", "LOG_LOSS", "ROC_AUC"]
default = "ACCURACY"

[model]
init = "zeros"
layers = [{ dense = { units = 1 } }]

[loss]
kind = "binary_cross_entropy"

[optimizer]
kind = "sgd"
"#;

pub(crate) const TORCH: &str = r#"
import pandas
import torch
from wardround.plans import DataManager, TorchTrainingPlan


class Logistic(TorchTrainingPlan):
    metrics = ("ACCURACY", "LOG_LOSS", "ROC_AUC")

    def init_model(self):
        model = torch.nn.Linear(2, 1)
        torch.nn.init.zeros_(model.weight)
        torch.nn.init.zeros_(model.bias)
        return model

    def init_optimizer(self, optimizer_args):
        return torch.optim.SGD(self.model().parameters(), **{"lr": 0.01, **optimizer_args})

    def training_data(self):
        frame = pandas.read_csv(self.dataset_path)
        rows = torch.tensor(frame[["x", "y"]].values, dtype=torch.float32)
        target = torch.tensor((frame["class"] == "ill").values, dtype=torch.float32)
        return DataManager(torch.utils.data.TensorDataset(rows, target))

    def predict(self, data):
        return torch.sigmoid(self.model()(data)).squeeze(1)

    def training_step(self, data, target):
        output = self.model()(data).squeeze(1)
        return torch.nn.functional.binary_cross_entropy_with_logits(output, target)
"#;
