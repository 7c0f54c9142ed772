//! `wardround experiment submit FILE`.

use std::path::{Path, PathBuf};

use protocol::RuntimeKind;
use researcher::{Definition, Resolved};
use serde_json::json;
use training_plan::experiment::Selection;
use training_plan::plan::ResolveError;

use crate::commands::connection::{Connection, failure};
use crate::commands::local_python::Interpreter;
use crate::failure::{Failure, Status};
use crate::printer::Printer;

/// What is submitted.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The experiment file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Start from this model instead of a fresh one.
    #[arg(long, value_name = "MODEL.safetensors")]
    parameters: Option<PathBuf>,
    /// Use this seed instead of the file's.
    #[arg(long)]
    seed: Option<u64>,
    /// Follow the experiment after it is submitted.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    interpreter: Interpreter,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let definition = Definition::read(&arguments.file).map_err(|error| unread(&error))?;
    let client = arguments.connection.open().await?;
    let plan = definition.plan_reference();
    let selection = definition.experiment().selection.clone();
    let mut resolved = client.resolve(definition).await.map_err(|error| match &error {
        researcher::Error::Resolve(ResolveError::NoSite) => unmatched(&selection),
        _ => failure(&error),
    })?;
    if let Some(seed) = arguments.seed {
        resolved = resolved.with_seed(seed);
    }
    let scratch = tempfile::tempdir().map_err(|error| Failure::failed(error.to_string()))?;
    let parameters = match arguments.parameters {
        None => first_parameters(&resolved, &arguments.interpreter, scratch.path())?,
        given => given,
    };
    let id =
        client.submit(&resolved, parameters.as_deref()).await.map_err(|error| failure(&error))?;
    let document = json!({
        "experiment_id": id,
        "plan": plan.digest,
        "seed": resolved.seed,
        "columns": resolved.columns,
    });
    if arguments.watch {
        let submitted = json!({"event": "submitted", "experiment_id": id, "plan": plan.digest});
        printer.event(&submitted, Some(format!("submitted {id}")));
        return super::watch::follow(&client, id, printer).await;
    }
    printer.result(&document, |_| {
        format!(
            "submitted {id}\nplan {}\nfollow it with: wardround experiment watch {id}",
            plan.digest
        )
    });
    Ok(())
}

/// What a Python plan starts from, made here; a native plan's are made when it is submitted.
fn first_parameters(
    resolved: &Resolved,
    interpreter: &Interpreter,
    scratch: &Path,
) -> Result<Option<PathBuf>, Failure> {
    match resolved.definition().bundle().runtime() {
        RuntimeKind::Native => return Ok(None),
        RuntimeKind::Python => {}
    }
    let runtime = interpreter.runtime(scratch, resolved.definition().bundle())?;
    let path = scratch.join("first.safetensors");
    researcher::first_parameters(resolved, &runtime, &scratch.join("round"), &path).map_err(
        |error| match error {
            researcher::Error::FirstParameters(error) => Failure::coded(error.code, error.local),
            error => failure(&error),
        },
    )?;
    Ok(Some(path))
}

/// A file that is named and not there is a wrong usage, as for every command.
fn unread(error: &researcher::Error) -> Failure {
    let mut failure = failure(error);
    if matches!(error, researcher::Error::File { .. }) {
        failure.status = Status::Usage;
    }
    failure
}

/// Nothing that is connected matches what the experiment asks for.
fn unmatched(selection: &Selection) -> Failure {
    let quoted = |names: Vec<String>| {
        names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
    };
    let message = match selection {
        Selection::Tags(tags) => {
            format!("no connected node has a dataset with every tag of {}", quoted(tags.clone()))
        }
        Selection::Nodes(nodes) => {
            let names = nodes.iter().map(ToString::to_string).collect();
            format!("no connected node of {} has a dataset", quoted(names))
        }
    };
    Failure::failed(message).hint("see what the nodes offer with `wardround dataset search`")
}
