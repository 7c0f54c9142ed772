//! `wardround node dataset exclude NAME`, `include NAME` and `excluded NAME`: patients who withdrew.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use dataset::Exclusions;
use node::administration::{ExclusionChange, ExclusionReport};

use super::One;
use super::show::words;
use crate::commands::node::{administration, refused};
use crate::failure::Failure;
use crate::printer::Printer;

/// Which dataset, and which patients.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    patients: Patients,
}

/// Which dataset, and which patients or all.
#[derive(Debug, clap::Args)]
pub(crate) struct Inclusion {
    #[command(flatten)]
    one: One,
    #[command(flatten)]
    patients: Patients,
    /// All who are left out now.
    #[arg(long, conflicts_with_all = ["patients", "file"])]
    all: bool,
}

/// Patients, by the dataset's own identifiers.
#[derive(Debug, clap::Args)]
struct Patients {
    /// A patient's identifier, as it stands in the patients' column or as the subject's folder is called; may be given
    /// several times. Other users of this machine may see it, and the shell remembers it: `--file` avoids both.
    #[arg(long = "patient", value_name = "IDENTIFIER")]
    patients: Vec<String>,
    /// A file with one identifier a line; `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) async fn exclude(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    let patients = arguments.patients.read()?;
    // An empty file says that nobody withdrew, which is something to say after a restore.
    if patients.is_empty() && arguments.patients.file.is_none() {
        return Err(nobody("give --patient or --file"));
    }
    change(arguments.one, ExclusionChange::Exclude { patients }, printer).await
}

pub(super) async fn include(arguments: Inclusion, printer: Printer) -> Result<(), Failure> {
    let patients = arguments.patients.read()?;
    let asked = match (arguments.all, patients.is_empty()) {
        (true, _) => ExclusionChange::IncludeAll,
        (false, false) => ExclusionChange::Include { patients },
        (false, true) => return Err(nobody("give --patient, --file or --all")),
    };
    change(arguments.one, asked, printer).await
}

/// Lists who is left out. It is the owner's own list, on the owner's own terminal.
pub(super) async fn list(one: One, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let exclusions = administration.dataset_exclusions(&one.name).await;
    printer.result(&exclusions.map_err(|error| refused(&error))?, |exclusions| {
        if exclusions.is_empty() {
            return "nobody is left out\n".to_owned();
        }
        exclusions.patients().map(|patient| format!("{patient}\n")).collect()
    });
    Ok(())
}

async fn change(one: One, change: ExclusionChange, printer: Printer) -> Result<(), Failure> {
    let administration = administration(one.folder).await?;
    let report = administration.dataset_exclude(&one.name, change).await;
    printer.result(&report.map_err(|error| refused(&error))?, people);
    Ok(())
}

fn people(report: &ExclusionReport) -> String {
    let (_, samples) = words(report.kind);
    let patients = counted(report.patients, "patient is", "patients are");
    let mut text = format!("{patients} left out of {} ({} changed)\n", report.name, report.changed);
    if let Some(count) = &report.count {
        text.push_str(&format!("  {samples:<8} {} left out of every round\n", count.samples));
        if count.unknown > 0 {
            let unknown = counted(count.unknown, "identifier names", "identifiers name");
            text.push_str(&format!("  unknown  {unknown} nobody in the dataset\n"));
        }
    }
    if let Some(reason) = &report.uncounted {
        text.push_str(&format!("  it holds, but what it means was not counted: {reason}\n"));
    }
    text
}

fn counted(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

fn nobody(hint: &'static str) -> Failure {
    Failure::usage("no patient is named").hint(hint)
}

impl Patients {
    fn read(&self) -> Result<Exclusions, Failure> {
        let mut exclusions = Exclusions::default();
        for (place, patient) in self.patients.iter().enumerate() {
            let wrong = |error| Failure::usage(format!("--patient number {}: {error}", place + 1));
            exclusions.add(patient).map_err(wrong)?;
        }
        let Some(path) = &self.file else { return Ok(exclusions) };
        let text = text(path)?;
        for (line, patient) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            let wrong = |error| Failure::usage(format!("{}, line {line}: {error}", path.display()));
            exclusions.add(patient).map_err(wrong)?;
        }
        Ok(exclusions)
    }
}

fn text(path: &Path) -> Result<String, Failure> {
    let unread = |error| Failure::usage(format!("{} cannot be read: {error}", path.display()));
    if path != Path::new("-") {
        return std::fs::read_to_string(path).map_err(unread);
    }
    let mut text = String::new();
    std::io::stdin().lock().read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

/// What `--help` adds.
pub(super) const HELP: &str = "\
A patient who withdrew is in no round that starts its plan from now on: not in the counts, not in the split, not in
what a plan may read. A round that has started its plan before keeps the list of that moment; cancel it with
`wardround node round cancel`. What a model has learnt before stays in the model. `dataset remove` forgets the list.

  wardround node dataset exclude ward --file withdrawn.txt
";
