//! `wardround plan check PLAN.toml`.

use std::path::{Path, PathBuf};

use dataset::{Options, Request, TabularSource};
use protocol::ColumnType;
use serde_json::json;
use training_plan::Plan;
use training_plan::plan::{ColumnMagnitude, Missing};

use super::rehearse;
use crate::failure::{Failure, chain};
use crate::printer::Printer;

/// What is checked, and against what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The plan's file; the files that it names are looked for beside it.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// A table of your own with the columns that the hospitals have.
    #[arg(long, value_name = "TABLE")]
    data: Option<PathBuf>,
    #[command(flatten)]
    rehearsal: rehearse::Rehearsing,
}

pub(super) fn run(arguments: &Arguments, printer: Printer) -> Result<(), Failure> {
    if super::is_python(&arguments.plan) {
        return rehearse::run(&arguments.plan, &arguments.rehearsal, printer);
    }
    let bundle = super::read_bundle(&arguments.plan)?;
    let plan = runtime::check_plan(&bundle).map_err(|error| {
        let failure = super::named(Failure::from_error(&error), &arguments.plan);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })?;
    let magnitudes = match &arguments.data {
        Some(path) => magnitudes(path, &plan)?,
        None => Vec::new(),
    };
    let findings = plan.findings(&magnitudes, &[], &[]);
    let warnings: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let document = json!({
        "plan": plan.name(),
        "digest": bundle.digest(),
        "files": bundle.files().map(|(name, _)| name).collect::<Vec<_>>(),
        "warnings": warnings,
    });
    printer.result(&document, |_| {
        let mut text =
            format!("{} is a plan that a node can run\n{}\n", plan.name(), bundle.digest());
        for warning in &warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        text
    });
    Ok(())
}

/// The largest absolute value of each numeric column of a table of the researcher's own.
fn magnitudes(path: &Path, plan: &Plan) -> Result<Vec<ColumnMagnitude>, Failure> {
    let failure = |error: dataset::Error| {
        let failure = Failure::failed(format!("{}: {}", path.display(), chain(&error)));
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    let registration = dataset::register(path, &Options::default()).map_err(failure)?;
    if !registration.columns.iter().any(|column| column.name == plan.data().target()) {
        let target = plan.data().target();
        return Err(Failure::failed(format!("{}: no column \"{target}\"", path.display()))
            .hint("it is the plan's target"));
    }
    let numeric = registration
        .columns
        .iter()
        .filter(|column| matches!(column.column_type, ColumnType::Integer | ColumnType::Number));
    let names: Vec<String> = numeric.map(|column| column.name.clone()).collect();
    let requests: Vec<Request> = names.iter().map(|name| Request::Numbers(name)).collect();
    let table = TabularSource::open(path, &registration)
        .and_then(|mut source| source.read(&requests))
        .map_err(failure)?;
    let largest = |column: &String| {
        let values =
            table.numbers(column).map_err(failure)?.iter().filter(|value| value.is_finite());
        let largest = values.fold(0.0_f64, |largest, value| largest.max(value.abs()));
        Ok(ColumnMagnitude { column: column.clone(), largest })
    };
    if plan.data().missing() == Missing::Error && table.complete_rows().len() < table.rows() {
        return Err(Failure::failed(format!(
            "{}: {} of {} rows have missing values, and missing = \"error\"",
            path.display(),
            table.rows() - table.complete_rows().len(),
            table.rows()
        )));
    }
    names.iter().map(largest).collect()
}
