//! `wardround plan check PLAN.py`: a whole round on made-up rows, in the sandbox that nodes have.

use std::path::{Path, PathBuf};

use protocol::ColumnType;
use runtime::python::{MadeUpColumn, Rehearsal};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use training_plan::arguments::TrainingArguments;

use crate::commands::local_python::Interpreter;
use crate::failure::Failure;
use crate::printer::Printer;

/// What a Python plan is tried with.
#[derive(Debug, clap::Args)]
pub(crate) struct Rehearsing {
    /// The dataset whose columns the made-up rows have: the JSON of `dataset search --json`, or of `node dataset show
    /// --json`. Python plans only.
    #[arg(long, value_name = "DATASET.json")]
    like: Option<PathBuf>,
    /// The plan's class, where it has several. Python plans only.
    #[arg(long, default_value = "", hide_default_value = true)]
    class: String,
    /// The arguments of the model, as a JSON object. Python plans only.
    #[arg(long, value_name = "JSON", default_value = "{}", hide_default_value = true)]
    model_args: String,
    /// The training arguments, as a JSON object. Python plans only.
    #[arg(long, value_name = "JSON", default_value = USUAL, hide_default_value = true)]
    training_args: String,
    #[command(flatten)]
    interpreter: Interpreter,
}

pub(super) fn run(path: &Path, arguments: &Rehearsing, printer: Printer) -> Result<(), Failure> {
    let bundle = super::read_bundle(path)?;
    let Some(like) = &arguments.like else {
        let message =
            "a Python plan is checked on made-up rows, and nothing says which columns they have";
        return Err(Failure::usage(message.to_owned())
            .hint("name a dataset with --like; `wardround dataset search --json` prints them"));
    };
    let columns = read_columns(like)?;
    let model_args: Map<String, Value> = read_object("--model-args", &arguments.model_args)?;
    let given = Value::Object(read_object("--training-args", &arguments.training_args)?);
    let training_args = TrainingArguments::parse(&given)
        .map_err(|error| Failure::usage(format!("--training-args: {error}")))?;
    let folder = tempfile::tempdir().map_err(|error| Failure::failed(error.to_string()))?;
    let runtime = arguments.interpreter.runtime(folder.path(), &bundle)?;
    let rehearsal = Rehearsal {
        bundle: &bundle,
        class: &arguments.class,
        model_args: &model_args,
        training_args: &training_args,
        columns: &columns,
        folder: folder.path(),
    };
    let rehearsed = rehearsal.run(&runtime).map_err(|stumble| {
        let phase = stumble.phase.as_str();
        let local = stumble.failure.local;
        let mut text = format!("{}: phase {phase} fails: {local}", path.display());
        if let Some(protocol::Detail::Exception { class, line: Some(line) }) =
            stumble.failure.detail.as_deref()
        {
            text =
                format!("{}, line {line}: phase {phase} fails: {class}\n{local}", path.display());
        }
        Failure::coded(stumble.failure.code, text)
    })?;
    let document = json!({
        "digest": bundle.digest(),
        "level": rehearsed.level,
        "rows": rehearsed.rows,
        "samples": rehearsed.samples,
        "update": {"digest": rehearsed.update.digest, "size": rehearsed.update.size},
        "metrics": rehearsed.metrics,
    });
    printer.result(&document, |_| {
        let mut text = format!(
            "{} runs all phases of a round on {} made-up rows (sandbox level {})\n{}\n",
            path.display(),
            rehearsed.rows,
            rehearsed.level,
            bundle.digest(),
        );
        for (name, value) in &rehearsed.metrics {
            text.push_str(&format!("  {name} {value:.4}\n"));
        }
        text
    });
    Ok(())
}

/// A dataset, as far as rows are made up for it.
#[derive(Deserialize)]
struct Like {
    #[serde(default)]
    kind: String,
    columns: Vec<LikeColumn>,
}

#[derive(Deserialize)]
struct LikeColumn {
    name: String,
    #[serde(rename = "type")]
    column_type: ColumnType,
    #[serde(default)]
    missing: Option<u64>,
}

/// Reads the columns of the first dataset of a file.
fn read_columns(path: &Path) -> Result<Vec<MadeUpColumn>, Failure> {
    let unusable =
        |why: String| Failure::usage(format!("{} is no dataset's JSON: {why}", path.display()));
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("{} cannot be read: {error}", path.display())))?;
    let value: Value = serde_json::from_str(&text).map_err(|error| unusable(error.to_string()))?;
    let value = match value {
        Value::Array(found) => found.into_iter().next().unwrap_or_default(),
        one => one,
    };
    let value = value.get("dataset").cloned().unwrap_or(value);
    let like: Like = serde_json::from_value(value).map_err(|error| unusable(error.to_string()))?;
    if !["", "table", "tabular"].contains(&like.kind.as_str()) {
        return Err(unusable(format!("rows can be made up for tables, and this is {}", like.kind)));
    }
    let columns = like.columns.into_iter().map(|column| MadeUpColumn {
        name: column.name,
        column_type: column.column_type,
        has_missing: column.missing.is_some_and(|missing| missing > 0),
    });
    Ok(columns.collect())
}

fn read_object(flag: &str, text: &str) -> Result<Map<String, Value>, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::usage(format!("{flag} is no JSON object: {error}")))
}

/// Training arguments that go through every phase.
const USUAL: &str =
    r#"{"test_ratio":0.25,"test_on_global_updates":true,"test_on_local_updates":true}"#;
