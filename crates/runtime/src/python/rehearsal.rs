//! A whole round of a Python plan on made-up rows: what would fail at a node, and where.

use std::path::Path;

use dataset::{Options, Registered, register};
use protocol::{ColumnType, Mode, Phase};
use serde_json::{Map, Value};
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

use super::PythonRuntime;
use crate::{
    Assignment, DataGrant, ExportSummary, Failure, Instance, Monitor, Runtime, Unfollowed,
    Validated, python_initial_parameters,
};

/// A column that rows are made up for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MadeUpColumn {
    /// Its name.
    pub name: String,
    /// What its cells are.
    pub column_type: ColumnType,
    /// Whether some cells are missing.
    pub has_missing: bool,
}

/// What is rehearsed.
#[derive(Clone, Copy, Debug)]
pub struct Rehearsal<'a> {
    /// The plan.
    pub bundle: &'a Bundle,
    /// Its class; empty for the only one.
    pub class: &'a str,
    /// The arguments of its model.
    pub model_args: &'a Map<String, Value>,
    /// The training arguments.
    pub training_args: &'a TrainingArguments,
    /// The columns of the table.
    pub columns: &'a [MadeUpColumn],
    /// A folder for what the rehearsal writes.
    pub folder: &'a Path,
}

/// What a rehearsal that went well tells.
#[derive(Clone, Debug, PartialEq)]
pub struct Rehearsed {
    /// The level of the sandbox.
    pub level: String,
    /// The metrics that would leave a node.
    pub metrics: Vec<(String, f64)>,
    /// The tensors' file.
    pub update: ExportSummary,
    /// Samples that the plan makes of the made-up rows.
    pub samples: u64,
    /// Made-up rows.
    pub rows: usize,
}

/// Where a rehearsal failed, and why.
#[derive(Debug, thiserror::Error)]
#[error("{} fails: {failure}", phase.as_str())]
pub struct Stumble {
    /// The phase of the round.
    pub phase: Phase,
    /// Why; its text is for whoever owns the machine.
    #[source]
    pub failure: Failure,
}

impl Rehearsal<'_> {
    /// Makes the first parameters, and runs all phases of a round on them.
    ///
    /// # Errors
    ///
    /// [`Stumble`] names the first phase that fails.
    pub fn run(self, runtime: &PythonRuntime) -> Result<Rehearsed, Stumble> {
        let at = |phase| move |failure| Stumble { phase, failure };
        let made_up = |error: &dyn std::error::Error| {
            let local = format!("the made-up rows cannot be written: {error}");
            at(Phase::Data)(Failure::new(protocol::Code::NodeInternal, local))
        };
        let table = self.folder.join("made-up.csv");
        std::fs::write(&table, rows(self.columns)).map_err(|error| made_up(&error))?;
        let registration =
            register(&table, &Options::default()).map_err(|error| made_up(&error))?;
        let registration = Registered::Table(registration);
        let assignment = self.assignment(&registration);
        let initial = self.folder.join("initial.safetensors");
        let given = (self.model_args, self.training_args);
        let first = assignment.clone();
        let monitor: &mut dyn Monitor = &mut Unfollowed;
        python_initial_parameters(runtime, self.bundle, first, given, &initial, monitor)
            .map_err(|failure| Stumble { phase: early_phase(&failure), failure })?;
        let mut instance = runtime
            .instantiate(self.bundle, assignment, monitor)
            .map_err(at(Phase::Instantiate))?;
        let (model_args, training_args) = given;
        instance.initialise(model_args, training_args, monitor).map_err(at(Phase::Initialise))?;
        instance.load(&initial, monitor).map_err(at(Phase::Load))?;
        let grant = DataGrant {
            path: &table,
            registration: &registration,
            loading_plan: None,
            excluded_rows: &[],
            minimum_samples: 1,
        };
        let data = instance.open_data(&grant, monitor).map_err(at(Phase::Data))?;
        self.work(instance, data.rows)
    }

    fn work(self, mut instance: Box<dyn Instance>, samples: u64) -> Result<Rehearsed, Stumble> {
        let at = |phase| move |failure| Stumble { phase, failure };
        let monitor: &mut dyn Monitor = &mut Unfollowed;
        let validates = self.training_args.validation().test_ratio > 0.0;
        if validates {
            instance.validate(Validated::Global, monitor).map_err(at(Phase::ValidateBefore))?;
        }
        instance.train(monitor).map_err(at(Phase::Train))?;
        let mut metrics = Vec::new();
        if validates {
            let outcome = instance.validate(Validated::Local, monitor);
            let outcome = outcome.map_err(at(Phase::ValidateAfter))?;
            metrics = outcome.report.map(|report| report.metrics).unwrap_or_default();
        }
        let level = instance.confinement().map(|confinement| confinement.level);
        let update = self.folder.join("update.safetensors");
        let update = instance.export(&update, monitor).map_err(at(Phase::Export))?;
        let level = level.unwrap_or_default();
        Ok(Rehearsed { level, metrics, update, samples, rows: ROWS })
    }

    fn assignment(self, registration: &Registered) -> Assignment {
        Assignment {
            mode: Mode::Train,
            seed: 0,
            round: 1,
            node: "rehearsal".parse().expect("is a proper name"),
            dataset: "made-up".parse().expect("is a proper name"),
            dataset_digest: registration.digest(),
            columns: Vec::new(),
            memory_limit: None,
            class: self.class.to_owned(),
            scratch: self.folder.join("round"),
            folder: None,
            state: None,
        }
    }
}

/// The first parameters are made in the first two phases.
fn early_phase(failure: &Failure) -> Phase {
    match failure.code {
        protocol::Code::PlanNotLoadable | protocol::Code::SandboxUnavailable => Phase::Instantiate,
        _ => Phase::Initialise,
    }
}

/// Rows in which every column has several values; whole numbers are 0 and 1, so that they can be classes.
fn rows(columns: &[MadeUpColumn]) -> String {
    let names: Vec<String> = columns.iter().map(|column| quoted(&column.name)).collect();
    let mut text = names.join(",") + "\n";
    for row in 0..ROWS {
        let cells = columns.iter().enumerate().map(|(place, column)| cell(row, place, column));
        text.push_str(&cells.collect::<Vec<_>>().join(","));
        text.push('\n');
    }
    text
}

fn cell(row: usize, place: usize, column: &MadeUpColumn) -> String {
    if column.has_missing && row % 10 == 9 {
        return String::new();
    }
    // A small linear congruence: each column goes through its values in an order of its own.
    let drawn = (row * 7 + place * 3 + row * row * (place + 1)) % 17;
    match column.column_type {
        ColumnType::Integer => (drawn % 2).to_string(),
        #[expect(clippy::cast_precision_loss, reason = "it is below 17")]
        ColumnType::Number => format!("{:?}", drawn as f64 / 8.0 - 1.0625),
        ColumnType::Boolean => drawn.is_multiple_of(2).to_string(),
        ColumnType::Category => ["a", "b"][drawn % 2].to_owned(),
        ColumnType::Text => format!("text {row}"),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Made-up rows.
const ROWS: usize = 200;
