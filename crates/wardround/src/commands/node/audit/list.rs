//! `wardround node audit list`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use node::audit::{self, Action, Record};

use super::{folder, refused};
use crate::commands::Folder;
use crate::failure::Failure;
use crate::printer::{Printer, table};

/// Which records are listed; all that is given must hold.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only what names this dataset, by its name, its identifier or its digest.
    #[arg(long, value_name = "DATASET")]
    dataset: Option<String>,
    /// Only this action, `round.start`, or this group of actions, `round`.
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: Option<String>,
    /// Only what was recorded from then on: a date, an instant in UTC, or how long ago.
    #[arg(long, value_name = "TIME", value_parser = instant)]
    since: Option<SystemTime>,
    #[command(flatten)]
    folder: Folder,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let Arguments { dataset, action, since, folder: given } = arguments;
    let folder = folder(given)?;
    let source = match audit::open(&folder) {
        Ok(source) => source,
        Err(audit::InspectionError::Absent) => {
            printer.result(&Vec::<Record>::new(), |_| NOTHING.to_owned());
            return Ok(());
        }
        Err(error) => return Err(refused(&error)),
    };
    let fits = |record: &Record| {
        dataset.as_deref().is_none_or(|dataset| names(record, dataset))
            && action.as_deref().is_none_or(|action| is_of(record, action))
            && since.is_none_or(|since| instant_of(record) >= since)
    };
    let (mut listed, mut fault) = (Vec::new(), None);
    for record in audit::records(source).map_err(|error| refused(&error.into()))? {
        match record {
            Ok(record) if fits(&record) => listed.push(record),
            Ok(_) => {}
            Err(error) => fault = Some(error),
        }
    }
    printer.result(&listed, |records| people(records));
    // What stands before a bad record is as it was written, and is shown.
    fault.map_or(Ok(()), |fault| Err(refused(&fault.into())))
}

fn people(records: &[Record]) -> String {
    if records.is_empty() {
        return NOTHING.to_owned();
    }
    let rows = records.iter().map(|record| {
        let objects = record.objects.iter().map(|(object, value)| format!("{object}={value}"));
        [
            record.sequence.to_string(),
            humantime::format_rfc3339_millis(instant_of(record)).to_string(),
            record.actor.clone(),
            record.action.clone(),
            record.result.clone(),
            objects.collect::<Vec<_>>().join(" "),
        ]
    });
    table(["number", "at", "actor", "action", "result", "objects"], rows.collect())
}

fn names(record: &Record, dataset: &str) -> bool {
    ["dataset", "dataset_id", "dataset_digest"]
        .iter()
        .any(|object| record.objects.get(*object).is_some_and(|value| value == dataset))
}

fn is_of(record: &Record, action: &str) -> bool {
    record.action == action
        || record.action.strip_prefix(action).is_some_and(|rest| rest.starts_with('.'))
}

pub(super) fn instant_of(record: &Record) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(record.at.milliseconds())
}

fn action(text: &str) -> Result<String, String> {
    let is_known = |action: &&Action| {
        let known = action.as_str();
        known == text || known.split_once('.').is_some_and(|(group, _)| group == text)
    };
    if Action::ALL.iter().any(|action| is_known(&action)) {
        return Ok(text.to_owned());
    }
    let known: Vec<&str> = Action::ALL.iter().map(|action| action.as_str()).collect();
    Err(format!("there are the actions {}", known.join(", ")))
}

pub(super) fn instant(text: &str) -> Result<SystemTime, String> {
    let read = humantime::parse_rfc3339_weak(text)
        .or_else(|_| humantime::parse_rfc3339_weak(&format!("{text}T00:00:00")));
    if let Ok(instant) = read {
        return Ok(instant);
    }
    let ago = humantime::parse_duration(text)
        .map_err(|_| "a time is 2026-11-23, 2026-11-23T08:00:00Z or 7days".to_owned())?;
    SystemTime::now().checked_sub(ago).ok_or_else(|| "that is too long ago".to_owned())
}

const NOTHING: &str = "no records";

/// What `--help` adds.
pub(super) const HELP: &str = "\
Each record says who did or asked for what, when, to which objects, and with which result: `ok`, or the
code of a refusal. Names, identifiers, digests and counts are recorded; values, paths and texts are not.

  wardround node audit list --dataset ward                where was this dataset used?
  wardround node audit list --action round.release        what has left this node?
  wardround node audit list --action plan --since 30days  who decided about plans last month?

It reads the log and checks that its records follow each other; `verify` checks the signatures, too.";
