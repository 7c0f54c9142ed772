//! `wardround experiment submit FILE`.

use std::path::{Path, PathBuf};

use protocol::{ExperimentId, RuntimeKind};
use researcher::{Client, Definition, Resolved};
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
    /// Of statistics: return once they are submitted, and do not wait for the table.
    #[arg(long, conflicts_with = "watch")]
    detach: bool,
    /// Of statistics: save the table as NAME.csv, NAME.json and NAME.html; without it, NAME is that of the experiment
    /// file, in the current folder.
    #[arg(long, short, value_name = "NAME")]
    output: Option<PathBuf>,
    #[command(flatten)]
    interpreter: Interpreter,
    #[command(flatten)]
    connection: Connection,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let definition = Definition::read(&arguments.file).map_err(|error| unread(&error))?;
    let client = arguments.connection.open().await?;
    let is_query = definition.query().is_some();
    let selection = definition.experiment().selection.clone();
    let mut resolved = client.resolve(definition).await.map_err(|error| match &error {
        researcher::Error::Resolve(ResolveError::NoSite) => unmatched(&selection),
        _ => failure(&error),
    })?;
    if let Some(seed) = arguments.seed {
        resolved = resolved.with_seed(seed);
    }
    let mut statistics = None;
    if resolved.definition().lacks_scale() {
        let told = if arguments.watch { Told::Events } else { Told::Notes };
        let (scaled, id) = scaled(&client, resolved, told, printer).await?;
        resolved = scaled;
        statistics = Some(id);
    }
    let plan = resolved.definition().plan_reference();
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
        "statistics": statistics,
    });
    if is_query && !arguments.detach && !arguments.watch {
        printer.note(&format!("submitted {id}, plan {}", plan.digest));
        let stem = arguments.file.file_stem().map(PathBuf::from);
        let output = arguments.output.or(stem).unwrap_or_else(|| PathBuf::from("statistics"));
        return super::table::conclude(&client, id, &output, printer).await;
    }
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

/// Asks the sites for the scale that the plan is to have, and makes it part of the plan.
async fn scaled(
    client: &Client,
    resolved: Resolved,
    told_as: Told,
    printer: Printer,
) -> Result<(Resolved, ExperimentId), Failure> {
    let told = |error: researcher::Error| failure(&error);
    let query = resolved.definition().asking_scale(&resolved.columns).map_err(told)?;
    let plan = query.plan_reference();
    let asked = client.resolve(query).await.map_err(told)?.with_seed(resolved.seed);
    let id = client.submit(&asked, None).await.map_err(told)?;
    let line = format!(
        "the plan's scale comes from statistics first: submitted {id}, plan {}",
        plan.digest
    );
    match told_as {
        Told::Notes => printer.note(&line),
        Told::Events => {
            let event = json!({"event": "statistics", "experiment_id": id, "plan": plan.digest});
            printer.event(&event, Some(line));
        }
    }
    super::table::await_end(client, id, printer).await?;
    let table = client.table(id).await.map_err(told)?;
    let scale = table.scale(asked.sites).map_err(|error| {
        failure(&error.into()).hint(format!("see `wardround experiment table {id}`"))
    })?;
    printer.note(&format!(
        "{} sites have told the scale of {} columns",
        table.sites,
        scale.columns().count()
    ));
    let definition = resolved.definition().with_scale(&scale).map_err(told)?;
    Ok((resolved.of(definition), id))
}

/// How is told what comes before an experiment is submitted.
#[derive(Clone, Copy)]
enum Told {
    /// Beside a result.
    Notes,
    /// As the first of the events.
    Events,
}

/// What a Python plan starts from, made here; a native plan's are made when it is submitted.
fn first_parameters(
    resolved: &Resolved,
    interpreter: &Interpreter,
    scratch: &Path,
) -> Result<Option<PathBuf>, Failure> {
    match resolved.definition().bundle().runtime() {
        RuntimeKind::Native | RuntimeKind::Statistics => return Ok(None),
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
