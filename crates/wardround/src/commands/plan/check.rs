//! `wardround plan check PLAN`.

use std::path::{Path, PathBuf};

use dataset::{Options, Registered, Request, TabularSource};
use protocol::ColumnType;
use serde_json::json;
use training_plan::plan::{ColumnMagnitude, Missing};
use training_plan::{Bundle, Plan};

use super::rehearse::{self, Tried};
use crate::failure::{Failure, chain};
use crate::printer::Printer;

/// What is checked, and against what.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The plan's file; the files that it names are looked for beside it.
    #[arg(value_name = "PLAN")]
    plan: PathBuf,
    /// A dataset of your own such as the hospitals have: a table, a folder of images, or one of subjects with volumes.
    #[arg(long, value_name = "PATH", conflicts_with = "like")]
    data: Option<PathBuf>,
    #[command(flatten)]
    rehearsal: rehearse::Rehearsing,
}

pub(super) fn run(arguments: &Arguments, printer: Printer) -> Result<(), Failure> {
    let bundle = super::read_bundle(&arguments.plan)?;
    let plan = match super::is_python(&arguments.plan) {
        true => None,
        false => Some(judged(&bundle, &arguments.plan)?),
    };
    let magnitudes = match (&arguments.data, &plan) {
        (Some(path), Some(plan)) if !path.is_dir() => magnitudes(path, plan)?,
        _ => Vec::new(),
    };
    let tried = tried(arguments, &bundle, plan.as_ref())?;
    let findings = plan.as_ref().map(|plan| plan.findings(&magnitudes, &[], &[]));
    let warnings: Vec<String> = findings.iter().flatten().map(ToString::to_string).collect();
    let name = match &plan {
        Some(plan) => plan.name().to_owned(),
        None => arguments.plan.display().to_string(),
    };
    let mut document = json!({
        "plan": name,
        "digest": bundle.digest(),
        "files": bundle.files().map(|(name, _)| name).collect::<Vec<_>>(),
        "warnings": warnings,
    });
    if let Some(tried) = &tried {
        document["round"] = tried.document();
    }
    printer.result(&document, |_| {
        let mut text = format!("{name} is a plan that a node can run\n{}\n", bundle.digest());
        if let Some(tried) = &tried {
            text.push_str(&tried.people());
        }
        for warning in &warnings {
            text.push_str(&format!("warning: {warning}\n"));
        }
        text
    });
    Ok(())
}

/// Judges a native plan by its text.
fn judged(bundle: &Bundle, path: &Path) -> Result<Plan, Failure> {
    runtime::check_plan(bundle).map_err(|error| {
        let failure = super::named(Failure::from_error(&error), path);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    })
}

/// Runs a round, where there is something to run it on.
fn tried(
    arguments: &Arguments,
    bundle: &Bundle,
    plan: Option<&Plan>,
) -> Result<Option<Tried>, Failure> {
    let rehearsing = &arguments.rehearsal;
    if arguments.data.is_none() && rehearsing.like.is_none() {
        return match plan {
            Some(_) => Ok(None),
            None => Err(Failure::usage(
                "a Python plan is checked by a round, and nothing says on which dataset".to_owned(),
            )
            .hint(
                "name one of your own with --data, or one to make rows up for with --like; \
                 `wardround dataset search --json` prints them",
            )),
        };
    }
    let subject = rehearse::Subject { path: &arguments.plan, bundle, plan };
    rehearsing.run(subject, arguments.data.as_deref()).map(Some)
}

/// The largest absolute value of each numeric column of a table of the researcher's own.
fn magnitudes(path: &Path, plan: &Plan) -> Result<Vec<ColumnMagnitude>, Failure> {
    let failure = |error: dataset::Error| unusable(path, &error);
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

/// What is wrong with a dataset of the researcher's own.
pub(super) fn unusable(path: &Path, error: &dataset::Error) -> Failure {
    let failure = Failure::failed(format!("{}: {}", path.display(), chain(error)));
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// What a dataset's samples are called.
pub(super) const fn samples(registered: &Registered) -> &'static str {
    match registered {
        Registered::Table(_) => "rows",
        Registered::ImageFolder(_) => "images",
        Registered::MedicalFolder(_) => "subjects",
    }
}
