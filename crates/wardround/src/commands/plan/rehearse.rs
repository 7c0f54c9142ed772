//! A whole round of `wardround plan check`, in the sandbox that nodes have.

use std::path::{Path, PathBuf};

use dataset::{Presentation, Registered, Watch, describe, summarize};
use protocol::{Code, DatasetName, NodeId};
use runtime::rehearsal::{Origin, PARAMETERS, Rehearsal, Rehearsed, Rows, Stumble, UPDATE};
use runtime::{NativeRuntime, Runtime};
use serde_json::{Map, Value, json};
use training_plan::arguments::TrainingArguments;
use training_plan::plan::Site;
use training_plan::{Bundle, Plan};

use super::check::{samples, unusable};
use super::like;
use crate::commands::local_python::Interpreter;
use crate::failure::Failure;

/// What a plan is tried with.
#[derive(Debug, clap::Args)]
pub(crate) struct Rehearsing {
    /// The dataset that one is made up after, with its columns, classes, modalities and sizes: the JSON of `dataset
    /// search --json`, or of `node dataset show --json`.
    #[arg(long, value_name = "DATASET.json")]
    pub(super) like: Option<PathBuf>,
    /// What the made-up cells of a column say; may be given again for another column.
    #[arg(long = "values", value_name = "COLUMN=TEXT,TEXT", requires = "like")]
    values: Vec<like::Values>,
    /// The plan's class, where a Python plan has several.
    #[arg(long, default_value = "", hide_default_value = true)]
    class: String,
    /// The arguments of a Python plan's model, as a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    model_args: String,
    /// The training arguments, as a JSON object.
    #[arg(long, value_name = "JSON", default_value = USUAL, hide_default_value = true)]
    training_args: String,
    /// The experiment's seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The round's number, from 1: the order of the rows follows from it.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    round: u32,
    /// The name of the node in whose place the round is run: the order of the rows follows from it.
    #[arg(long, value_name = "NAME", default_value = "rehearsal", hide_default_value = true)]
    node: NodeId,
    /// The dataset's name there, from which the order follows too.
    #[arg(long, value_name = "NAME", default_value = "rehearsal", hide_default_value = true)]
    dataset: DatasetName,
    /// The parameters to start from, a safetensors file; without it, those that the plan makes.
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// The folder in which the first parameters and the update are kept.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    interpreter: Interpreter,
}

/// The plan that is tried.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Its file.
    pub(super) path: &'a Path,
    pub(super) bundle: &'a Bundle,
    /// What stands in it, where it is a native one.
    pub(super) plan: Option<&'a Plan>,
}

/// A round that went well.
pub(super) struct Tried {
    rehearsed: Rehearsed,
    is_made_up: bool,
    /// What its samples are called.
    samples: &'static str,
}

impl Rehearsing {
    /// Runs a round on a dataset of the researcher's own, or on a made-up one.
    pub(super) fn run(&self, subject: Subject<'_>, data: Option<&Path>) -> Result<Tried, Failure> {
        let folder = tempfile::tempdir().map_err(|error| Failure::failed(error.to_string()))?;
        let (path, registration) = self.open(subject.plan, data, folder.path())?;
        let columns = self.resolve(subject.plan, &registration)?;
        let model_args: Map<String, Value> = read_object("--model-args", &self.model_args)?;
        let given = Value::Object(read_object("--training-args", &self.training_args)?);
        let training_args = TrainingArguments::parse(&given)
            .map_err(|error| Failure::usage(format!("--training-args: {error}")))?;
        let python = match subject.plan {
            Some(_) => None,
            None => Some(self.interpreter.runtime(folder.path(), subject.bundle)?),
        };
        let runtime: &dyn Runtime = match &python {
            Some(python) => python,
            None => &NativeRuntime,
        };
        let rehearsal = Rehearsal {
            runtime,
            bundle: subject.bundle,
            class: &self.class,
            model_args: &model_args,
            training_args: &training_args,
            columns: &columns,
            data: Rows { path: &path, registration: &registration },
            origin: &self.origin(),
            parameters: self.parameters.as_deref(),
            folder: folder.path(),
        };
        let rehearsed = rehearsal.run().map_err(|stumble| {
            let failure = told(&stumble, subject.path);
            match (data, stumble.failure.code) {
                (None, Code::DataInvalid) => failure.hint(MADE_UP),
                _ => failure,
            }
        })?;
        self.keep(folder.path())?;
        Ok(Tried { rehearsed, is_made_up: data.is_none(), samples: samples(&registration) })
    }

    fn origin(&self) -> Origin {
        let (node, dataset) = (self.node.clone(), self.dataset.clone());
        Origin { seed: self.seed, round: self.round, node, dataset }
    }

    /// Describes the dataset as a node would that has just registered it, once it is made up where none is given.
    fn open(
        &self,
        plan: Option<&Plan>,
        data: Option<&Path>,
        folder: &Path,
    ) -> Result<(PathBuf, Registered), Failure> {
        let (path, description) = match (data, &self.like) {
            (None, Some(like)) => {
                let made_up = like::read(like, &self.values, plan)?;
                made_up.write(folder).map_err(|error| {
                    Failure::failed(format!("the made-up dataset cannot be written: {error}"))
                })?
            }
            (Some(path), _) => {
                let path = std::path::absolute(path)
                    .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
                (path, dataset::Description::default())
            }
            (None, None) => return Err(Failure::usage("no dataset is named")),
        };
        let registered = describe(&path, &description, None, &mut Watch::nobody())
            .map_err(|error| unusable(&path, &error))?;
        Ok((path, registered))
    }

    /// The columns that a submission would find for this dataset alone.
    fn resolve(
        &self,
        plan: Option<&Plan>,
        registration: &Registered,
    ) -> Result<Vec<String>, Failure> {
        let Some(plan) = plan else { return Ok(Vec::new()) };
        let presentation = Presentation {
            dataset_id: protocol::DatasetId::from_uuid(uuid::Uuid::nil()),
            name: self.dataset.clone(),
            tags: Vec::new(),
            description: String::new(),
        };
        let dataset = summarize(registration, None, presentation, 0);
        let site = Site { node: self.node.clone(), dataset };
        plan.resolve(&[site]).map_err(|error| Failure::from_error(&error))
    }

    fn keep(&self, folder: &Path) -> Result<(), Failure> {
        let Some(kept) = &self.keep else { return Ok(()) };
        let unkept =
            |error: std::io::Error| Failure::failed(format!("{}: {error}", kept.display()));
        std::fs::create_dir_all(kept).map_err(unkept)?;
        for name in [PARAMETERS, UPDATE] {
            let source = folder.join(name);
            if source.exists() {
                std::fs::copy(source, kept.join(name)).map_err(unkept)?;
            }
        }
        Ok(())
    }
}

impl Tried {
    /// The round, as JSON.
    pub(super) fn document(&self) -> Value {
        let Rehearsed { level, metrics, warnings, parameters, update, samples, rows } =
            &self.rehearsed;
        json!({
            "made_up": self.is_made_up,
            "level": level,
            "rows": rows,
            "samples": samples,
            "parameters": {"digest": parameters.digest, "size": parameters.size},
            "update": {"digest": update.digest, "size": update.size},
            "metrics": metrics,
            "warnings": warnings,
        })
    }

    /// The round, in words.
    pub(super) fn people(&self) -> String {
        let Rehearsed { level, metrics, warnings, update, rows, .. } = &self.rehearsed;
        let made_up = if self.is_made_up { "made-up " } else { "" };
        let mut text = format!("all phases of a round go well on {rows} {made_up}{}", self.samples);
        if let Some(level) = level {
            text.push_str(&format!(" (sandbox level {level})"));
        }
        text.push_str(&format!("\n  update {}\n", update.digest));
        for (name, value) in metrics {
            text.push_str(&format!("  {name} {value:.4}\n"));
        }
        for warning in warnings {
            text.push_str(&format!("warning: {}\n", warning.sentence()));
        }
        text
    }
}

/// Says in which phase a round failed, and where in the plan.
fn told(stumble: &Stumble, path: &Path) -> Failure {
    let (phase, failure) = (stumble.phase.as_str(), &stumble.failure);
    let (path, local) = (path.display(), &failure.local);
    let text = match failure.detail.as_deref() {
        Some(protocol::Detail::Exception { class, line: Some(line) }) => {
            format!("{path}, line {line}: phase {phase} fails: {class}\n{local}")
        }
        _ => format!("{path}: phase {phase} fails: {local}"),
    };
    Failure::coded(failure.code, text)
}

fn read_object(flag: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("{flag} is no JSON object: {error}")))
}

/// What can be done where a plan does not like made-up data.
const MADE_UP: &str = "the made-up cells of a column say what --values COLUMN=TEXT,TEXT names";

/// Training arguments that go through every phase.
const USUAL: &str =
    r#"{"test_ratio":0.25,"test_on_global_updates":true,"test_on_local_updates":true}"#;
