//! What the federation has reached, beside each hospital alone and all data pooled, on patients nobody trained on.

use std::path::{Path, PathBuf};

use dataset::{Exclusions, Options, Registration};
use protocol::{Mode, NodeId};
use researcher::Definition;
use researcher::report::{ComparedModel, Comparison, Emphasis};
use runtime::{Assignment, DataGrant, NativeRuntime, Predictor, Runtime, Unfollowed};
use serde_json::{Map, Value, json};
use training_plan::arguments::TrainingArguments;
use training_plan::metric::Metric;

use super::process::unwritable;
use crate::commands::experiment::view::number;
use crate::failure::Failure;
use crate::printer::{Printer, wide_table};

/// Models measured on the hold-out.
pub(super) struct Compared {
    metrics: Vec<Metric>,
    patients: u64,
    models: Vec<Measured>,
}

/// One model's values, in the order of the metrics.
struct Measured {
    name: String,
    trained_on: String,
    values: Vec<Option<f64>>,
}

/// Trains each hospital alone and all data pooled with the same plan and arguments, and measures every model.
pub(super) fn compare(
    folder: &Path,
    shares: &[(String, String)],
    columns: &[String],
    seed: u64,
    printer: Printer,
) -> Result<Compared, Failure> {
    printer.note("training each hospital alone, and all data pooled");
    let definition = Definition::read(&folder.join("experiment.toml"))
        .map_err(|error| Failure::from_error(&error))?;
    let work = folder.join("comparison");
    std::fs::create_dir_all(&work).map_err(|error| unwritable(&work, &error))?;
    let trainer = Trainer { definition: &definition, columns, seed, work: &work };
    let hold_out = folder.join("hold-out.csv");
    let hold_out = Table { registration: register(&hold_out)?, path: hold_out };
    let plan = definition.plan().expect("the demonstration's plan is native");
    let metrics = plan.metrics().names().to_vec();
    let mut models = vec![Measured {
        name: "federated".to_owned(),
        trained_on: format!("{} hospitals, no row left them", shares.len()),
        values: measure(&folder.join("model.safetensors"), &hold_out, &metrics)?,
    }];
    for (name, text) in shares {
        let table = folder.join("hospitals").join(name).join("breast-cancer.csv");
        let model = trainer.train(name, &table)?;
        models.push(Measured {
            name: format!("{name} alone"),
            trained_on: format!("{} patients of {name}", text.lines().count() - 1),
            values: measure(&model, &hold_out, &metrics)?,
        });
    }
    let model = trainer.train("pooled", &folder.join("pooled.csv"))?;
    let pooled: usize = shares.iter().map(|(_, text)| text.lines().count() - 1).sum();
    models.push(Measured {
        name: "all data pooled".to_owned(),
        trained_on: format!("{pooled} patients in one place"),
        values: measure(&model, &hold_out, &metrics)?,
    });
    Ok(Compared { metrics, patients: hold_out.registration.rows, models })
}

/// A file and what is registered of it.
struct Table {
    path: PathBuf,
    registration: Registration,
}

/// Trains on one table as a node would, round after round.
struct Trainer<'a> {
    definition: &'a Definition,
    columns: &'a [String],
    seed: u64,
    work: &'a Path,
}

impl Trainer<'_> {
    /// Trains as many rounds as the experiment has; gives the file of the last model.
    fn train(&self, name: &str, path: &Path) -> Result<PathBuf, Failure> {
        let registration = register(path)?;
        let mut model = self.work.join(format!("{name}-0.safetensors"));
        runtime::initial_parameters(self.definition.bundle(), self.columns, self.seed, &model)
            .map_err(|error| Failure::from_error(&error))?;
        for round in 1..=self.definition.experiment().rounds {
            let next = self.work.join(format!("{name}-{}.safetensors", 1 + round % 2));
            self.round(name, round, (path, &registration), (&model, &next))
                .map_err(|failure| Failure::coded(failure.code, failure.local))?;
            model = next;
        }
        Ok(model)
    }

    fn round(
        &self,
        name: &str,
        round: u32,
        (path, registration): (&Path, &Registration),
        (from, to): (&Path, &Path),
    ) -> Result<(), runtime::Failure> {
        let experiment = self.definition.experiment();
        let node: NodeId = name.parse().expect("hospitals have proper names");
        let assignment = Assignment {
            mode: Mode::Train,
            seed: self.seed,
            round,
            node,
            dataset: "breast-cancer".parse().expect("is a proper name"),
            dataset_digest: registration.digest,
            columns: self.columns.to_vec(),
            memory_limit: None,
            disk_limit: None,
            class: String::new(),
            scratch: self.work.join(name),
            folders: Vec::new(),
            state: None,
        };
        let arguments = Value::Object(experiment.training_args.clone());
        let arguments = TrainingArguments::parse(&arguments).expect("were found correct when read");
        let mut instance =
            NativeRuntime.instantiate(self.definition.bundle(), assignment, &mut Unfollowed)?;
        instance.initialise(&Map::new(), &arguments, &mut Unfollowed)?;
        instance.load(from, &mut Unfollowed)?;
        let registration = registration.clone().into();
        let grant = DataGrant {
            path,
            registration: &registration,
            loading_plan: None,
            exclusions: Exclusions::none(),
            minimum_samples: 1,
        };
        instance.open_data(&grant, &mut Unfollowed)?;
        instance.train(&mut Unfollowed)?;
        instance.export(to, &mut Unfollowed)?;
        Ok(())
    }
}

fn register(path: &Path) -> Result<Registration, Failure> {
    dataset::register(path, &Options::default()).map_err(|error| Failure::from_error(&error))
}

fn measure(model: &Path, table: &Table, metrics: &[Metric]) -> Result<Vec<Option<f64>>, Failure> {
    let predictor = Predictor::open(model).map_err(|error| Failure::from_error(&error))?;
    let report = predictor
        .evaluate(&table.path, &table.registration, metrics)
        .map_err(|error| Failure::from_error(&error))?;
    let value = |metric: &Metric| {
        let found = report.metrics.iter().find(|(name, _)| name == metric.name());
        found.map(|(_, value)| *value)
    };
    Ok(metrics.iter().map(value).collect())
}

impl Compared {
    /// The comparison for people.
    pub(super) fn table(&self) -> String {
        let mut header = vec!["model".to_owned()];
        header.extend(self.metrics.iter().map(|metric| metric.name().to_owned()));
        header.push("trained on".to_owned());
        let rows = self.models.iter().map(|model| {
            let mut row = vec![model.name.clone()];
            row.extend(model.values.iter().map(|value| value.map(number).unwrap_or_default()));
            row.push(model.trained_on.clone());
            row
        });
        format!(
            "on {} patients that no hospital has:\n\n{}",
            self.patients,
            wide_table(header, rows.collect())
        )
    }

    /// The comparison for the report.
    pub(super) fn comparison(&self) -> Comparison {
        Comparison {
            caption: format!("{} patients that no hospital has", self.patients),
            metrics: self.metrics.iter().map(|metric| metric.name().to_owned()).collect(),
            models: self.models.iter().enumerate().map(compared).collect(),
        }
    }

    /// Facts for the head of the report.
    pub(super) fn facts(&self) -> Vec<(String, String)> {
        let data = "Breast Cancer Wisconsin (Diagnostic), W. H. Wolberg, W. N. Street and \
                    O. L. Mangasarian, CC BY 4.0";
        vec![("data".to_owned(), data.to_owned())]
    }

    /// The last line of `--json`: the accuracies, and where everything lies.
    pub(super) fn document(&self, folder: &Path) -> Value {
        let alone: Map<String, Value> = self
            .models
            .iter()
            .filter_map(|model| {
                let name = model.name.strip_suffix(" alone")?;
                Some((name.to_owned(), json!(self.accuracy(model))))
            })
            .collect();
        let first = self.models.first().and_then(|model| self.accuracy(model));
        let last = self.models.last().and_then(|model| self.accuracy(model));
        json!({
            "event": "completed-demo",
            "metric": "ACCURACY",
            "patients": self.patients,
            "federated": first,
            "alone": alone,
            "pooled": last,
            "folder": folder,
            "report": folder.join("report.html"),
            "model": folder.join("model.safetensors"),
        })
    }

    fn accuracy(&self, model: &Measured) -> Option<f64> {
        let index = self.metrics.iter().position(|metric| *metric == Metric::Accuracy)?;
        model.values.get(index).copied().flatten()
    }
}

fn compared((index, model): (usize, &Measured)) -> ComparedModel {
    ComparedModel {
        name: model.name.clone(),
        trained_on: model.trained_on.clone(),
        emphasis: if index == 0 { Emphasis::Strong } else { Emphasis::Plain },
        values: model.values.clone(),
    }
}
