//! `wardround node round run REQUEST.json`.

use std::path::PathBuf;

use node::LocalFiles;
use protocol::{TrainReply, TrainRequest};

use crate::commands::Folder;
use crate::commands::node::{configuration, folder};
use crate::failure::Failure;
use crate::printer::Printer;

/// A request and its files.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The request, as JSON.
    #[arg(value_name = "REQUEST.json")]
    request: PathBuf,
    /// The plan: a plan file, or the bundle that travels.
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// The parameters that the request names.
    #[arg(long, value_name = "FILE")]
    parameters: PathBuf,
    /// The folder in which the update is put.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    output: PathBuf,
    #[command(flatten)]
    folder: Folder,
}

pub(super) async fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let shown = arguments.request.display().to_string();
    let text = std::fs::read_to_string(&arguments.request)
        .map_err(|error| Failure::usage(format!("{shown} cannot be read: {error}")))?;
    let request: TrainRequest = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{shown} is no request: {error}")))?;
    let folder = folder(arguments.folder)?;
    let config = configuration(&folder)?;
    let scratch = tempfile::tempdir().map_err(|error| Failure::failed(error.to_string()))?;
    let mut plan = arguments.plan;
    if plan.extension().is_some_and(|extension| extension == "toml" || extension == "py") {
        let bundle = crate::commands::plan::read_bundle(&plan)?;
        if bundle.digest() != request.plan.digest {
            return Err(Failure::usage(format!(
                "{} has digest {}, the request names plan {}",
                plan.display(),
                bundle.digest(),
                request.plan.digest
            )));
        }
        plan = scratch.path().join("plan");
        std::fs::write(&plan, bundle.bytes())
            .map_err(|error| Failure::failed(error.to_string()))?;
    }
    let files =
        LocalFiles { plan, parameters: arguments.parameters, output: arguments.output.clone() };
    let reply = node::run_request(&folder, config, request, &files)
        .await
        .map_err(|error| Failure::from_error(&error))?;
    printer.result(&reply, people);
    if reply.success() {
        return Ok(());
    }
    Err(Failure::coded(reply.code, reply.message())
        .hint(format!("the node's own words: wardround node round log {}", reply.correlation_id)))
}

fn people(reply: &TrainReply) -> String {
    let mut text =
        format!("round {} ended with {}: {}\n", reply.round_id, reply.code, reply.message());
    text.push_str(&format!("  samples {}\n", reply.sample_count));
    if let Some(update) = &reply.update {
        text.push_str(&format!("  update  {} ({} bytes)\n", update.digest, update.size));
    }
    for (when, report) in [("before", &reply.metrics_before), ("after", &reply.metrics_after)] {
        let Some(report) = report else { continue };
        for (name, value) in &report.metrics {
            text.push_str(&format!("  {name} {when} training {value:.4}\n"));
        }
    }
    text
}
