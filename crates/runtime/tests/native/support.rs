//! A ward in a temporary folder: a table, a plan, and rounds on them.

use std::path::{Path, PathBuf};

use dataset::{Exclusions, Options, Registered, register};
use protocol::{MetricsReport, Mode, RuntimeKind};
use runtime::{
    Assignment, DataGrant, DataSummary, Failure, Instance, Interruption, Measurement, Monitor,
    NativeRuntime, Runtime, TrainingSummary, Unfollowed, Validated, initial_parameters,
};
use serde_json::{Map, Value};
use tempfile::TempDir;
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

/// Remembers what was measured, and interrupts when told to.
#[derive(Default)]
pub(crate) struct Recorder {
    pub(crate) measurements: Vec<Measurement>,
    /// Interrupts once it has been asked so many times.
    pub(crate) interrupt: Option<(usize, Interruption)>,
    pub(crate) asked: usize,
}

impl Monitor for Recorder {
    fn measured(&mut self, measurement: Measurement) {
        self.measurements.push(measurement);
    }

    fn interruption(&mut self) -> Option<Interruption> {
        self.asked += 1;
        self.interrupt.filter(|(after, _)| self.asked > *after).map(|(_, why)| why)
    }
}

/// What a round gave.
pub(crate) struct Outcome {
    pub(crate) data: DataSummary,
    pub(crate) before: Option<MetricsReport>,
    pub(crate) training: TrainingSummary,
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) parameters: Vec<u8>,
}

impl std::fmt::Debug for Outcome {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Outcome").field("data", &self.data).finish_non_exhaustive()
    }
}

pub(crate) struct Ward {
    pub(crate) folder: TempDir,
    pub(crate) bundle: Bundle,
    pub(crate) columns: Vec<String>,
    pub(crate) table: PathBuf,
    pub(crate) registration: Registered,
    pub(crate) parameters: PathBuf,
    pub(crate) seed: u64,
    pub(crate) round: u32,
    pub(crate) mode: Mode,
    pub(crate) minimum_samples: u64,
    pub(crate) memory_limit: Option<u64>,
    pub(crate) exclusions: Exclusions,
}

impl Ward {
    /// Writes a table, and the plan's first parameters.
    pub(crate) fn new(bundle: Bundle, columns: &[&str], csv: &str, seed: u64) -> Self {
        let mut ward = Self::without_parameters(bundle, columns, csv, seed);
        ward.parameters = ward.folder.path().join("initial.safetensors");
        initial_parameters(&ward.bundle, &ward.columns, seed, &ward.parameters)
            .expect("the plan fits the columns");
        ward
    }

    pub(crate) fn without_parameters(
        bundle: Bundle,
        columns: &[&str],
        csv: &str,
        seed: u64,
    ) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let table = folder.path().join("ward.csv");
        std::fs::write(&table, csv).expect("the folder can be written");
        let registration =
            register(&table, &Options::default()).expect("the table is right").into();
        Self {
            bundle,
            columns: columns.iter().map(|column| (*column).to_owned()).collect(),
            parameters: table.clone(),
            table,
            registration,
            folder,
            seed,
            round: 1,
            mode: Mode::Train,
            minimum_samples: 1,
            memory_limit: None,
            exclusions: Exclusions::default(),
        }
    }

    pub(crate) fn assignment(&self) -> Assignment {
        Assignment {
            mode: self.mode,
            seed: self.seed,
            round: self.round,
            node: "north".parse().expect("is a name"),
            dataset: "ward".parse().expect("is a name"),
            dataset_digest: self.registration.digest(),
            columns: self.columns.clone(),
            memory_limit: self.memory_limit,
            disk_limit: None,
            class: String::new(),
            scratch: self.folder.path().join("scratch"),
            folders: Vec::new(),
            state: None,
        }
    }

    pub(crate) fn grant(&self) -> DataGrant<'_> {
        DataGrant {
            path: &self.table,
            registration: &self.registration,
            loading_plan: None,
            exclusions: &self.exclusions,
            minimum_samples: self.minimum_samples,
        }
    }

    pub(crate) fn instance(&self) -> Result<Box<dyn Instance>, Failure> {
        NativeRuntime.instantiate(&self.bundle, self.assignment(), &mut Unfollowed)
    }

    /// An instance that has opened its data.
    pub(crate) fn opened(
        &self,
        arguments: &Value,
    ) -> Result<(Box<dyn Instance>, DataSummary), Failure> {
        let mut instance = self.instance()?;
        let arguments = TrainingArguments::parse(arguments).expect("the arguments are right");
        instance.initialise(&Map::new(), &arguments, &mut Unfollowed)?;
        instance.load(&self.parameters, &mut Recorder::default())?;
        let summary = instance.open_data(&self.grant(), &mut Recorder::default())?;
        Ok((instance, summary))
    }

    /// Runs all phases of one round.
    pub(crate) fn run(&self, arguments: &Value) -> Result<Outcome, Failure> {
        self.run_with(arguments, Recorder::default())
    }

    pub(crate) fn run_with(
        &self,
        arguments: &Value,
        mut recorder: Recorder,
    ) -> Result<Outcome, Failure> {
        let (mut instance, data) = self.opened(arguments)?;
        let before = instance.validate(Validated::Global, &mut recorder)?.report;
        let training = instance.train(&mut recorder)?;
        let path = self.folder.path().join("update.safetensors");
        let export = instance.export(&path, &mut recorder)?;
        let parameters = std::fs::read(&path).expect("the update was written");
        assert_eq!(export.digest, protocol::Digest::of(&parameters));
        assert_eq!(export.size, parameters.len() as u64);
        Ok(Outcome { data, before, training, measurements: recorder.measurements, parameters })
    }

    /// Takes an update as the next round's parameters.
    pub(crate) fn go_on(&mut self, outcome: &Outcome) {
        self.parameters = self.folder.path().join(format!("model-{}.safetensors", self.round));
        std::fs::write(&self.parameters, &outcome.parameters).expect("the folder can be written");
        self.round += 1;
    }
}

/// A native plan: `data` and what else differs from a logistic one.
pub(crate) fn bundle(text: &str) -> Bundle {
    let files = [("plan.toml".to_owned(), text.to_owned())];
    Bundle::new(RuntimeKind::Native, files.into()).expect("the file is plain")
}

/// A logistic plan on columns `a` and `b` with target `y`.
pub(crate) fn logistic(data: &str) -> Bundle {
    bundle(&logistic_text(data))
}

pub(crate) fn logistic_text(data: &str) -> String {
    format!(
        r#"[plan]
name = "p"
runtime = "native"
[data]
task = "binary"
target = "y"
classes = ["no", "yes"]
{data}
[metrics]
names = ["ACCURACY", "ROC_AUC"]
[model]
init = "zeros"
layers = [{{ dense = {{ units = 1 }} }}]
[loss]
kind = "binary_cross_entropy"
[optimizer]
kind = "sgd"
"#
    )
}

/// `rows` rows with columns `a`, `b` and `y`, where `y` follows from `a` and `b`.
pub(crate) fn table(rows: usize) -> String {
    let mut text = "a,b,y\n".to_owned();
    for row in 0..rows {
        let a = f64::from(u32::try_from(row * 7 % 11).expect("is small")) / 5.0 - 1.0;
        let b = f64::from(u32::try_from(row * 5 % 13).expect("is small")) / 6.0 - 1.0;
        let y = if a + 0.5 * b > 0.1 { "yes" } else { "no" };
        text.push_str(&format!("{a},{b},{y}\n"));
    }
    text
}

pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer").join(name)
}

pub(crate) fn read_example(name: &str) -> String {
    std::fs::read_to_string(example(name)).expect("the example is there")
}
