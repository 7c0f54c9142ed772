//! `wardround sandbox check`.

use std::process::ExitCode;

use sandbox::{Bounds, Level};
use serde::Serialize;

use super::launcher;
use crate::failure::{Failure, Status};
use crate::printer::Printer;

pub(super) fn run(printer: Printer) -> Result<ExitCode, Failure> {
    let report = sandbox::self_test(&launcher()?).map_err(|error| Failure::from_error(&error))?;
    let probes = report.probes.iter().map(|probe| Probe {
        name: probe.name,
        held: probe.held,
        found: probe.found.clone(),
    });
    let document = Document {
        level: report.level,
        bounds: report.bounds,
        missing: report.missing.clone(),
        probes: probes.collect(),
    };
    printer.result(&document, people);
    let code = if report.level == Level::D { Status::Refused.number() } else { 0 };
    Ok(ExitCode::from(code))
}

fn people(document: &Document) -> String {
    let mut text = format!("this machine reaches level {}\n", document.level);
    text.push_str(&format!("  limits    by {}\n", document.bounds));
    for missing in &document.missing {
        text.push_str(&format!("  missing   {missing}\n"));
    }
    for probe in &document.probes {
        let verdict = if probe.held { "held" } else { "NOT HELD" };
        text.push_str(&format!("  {verdict:<9} {} ({})\n", probe.name, probe.found));
    }
    text
}

#[derive(Debug, Serialize)]
struct Document {
    level: Level,
    bounds: Bounds,
    missing: Vec<String>,
    probes: Vec<Probe>,
}

#[derive(Debug, Serialize)]
struct Probe {
    name: &'static str,
    held: bool,
    found: String,
}
