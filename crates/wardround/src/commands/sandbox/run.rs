//! `wardround sandbox run -- COMMAND`.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sandbox::{Command, End, Error, Level, Limits, Outcome, Stream};
use serde::Serialize;

use super::{launcher, size};
use crate::failure::{Failure, Status};
use crate::printer::Printer;

/// A program, and what it may read and use.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The program sees the system's libraries, itself, what --read names, and an empty folder that is \
                        wiped. A Python interpreter also sees its packages.\n\n\
                        Example: wardround sandbox run --read ./data -- python3 count.py ./data/table.csv"
)]
pub(crate) struct Arguments {
    /// A file, or a folder with everything below, that the program may read; may be repeated.
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// The level below which nothing runs: A, B or C.
    #[arg(long, value_name = "LEVEL", default_value = "B")]
    level: Level,
    /// Time on the clock.
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = humantime::parse_duration)]
    wall: Duration,
    /// Processor time over all threads; without it, as much as the clock allows.
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    cpu: Option<Duration>,
    /// Resident memory.
    #[arg(long, value_name = "SIZE", default_value = "4GiB", value_parser = size::parse)]
    memory: u64,
    /// Threads at one time; further processes are never allowed.
    #[arg(long, value_name = "COUNT", default_value_t = 128)]
    processes: u32,
    /// Bytes in the scratch folder.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = size::parse)]
    disk: u64,
    /// Bytes that the program may print.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = size::parse)]
    output: u64,
    /// Threads that numerical libraries shall use.
    #[arg(long, value_name = "COUNT", default_value_t = 1)]
    threads: u32,
    /// The program and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

pub(super) fn run(arguments: &Arguments, printer: Printer) -> Result<ExitCode, Failure> {
    let command = command(arguments)?;
    let end = sandbox::run(&launcher()?, &command).map_err(|error| {
        let failure = failure(&error);
        if is_script(&command.program) {
            return failure
                .hint("it is a script; name the program that runs it, and --read the script");
        }
        failure
    })?;
    printer.result(&document(&end), |_| String::new());
    if !printer.is_json() {
        printer.copy(&end.output.stdout.text(), &end.output.stderr.text());
        printer.warn(&summary(&end));
    }
    Ok(ExitCode::from(status(&end)))
}

fn command(arguments: &Arguments) -> Result<Command, Failure> {
    let Some((name, rest)) = arguments.command.split_first() else {
        return Err(Failure::usage("there is no command"));
    };
    let program = find(name)?;
    let mut read = Vec::new();
    for path in &arguments.read {
        let absolute = std::path::absolute(path)
            .map_err(|error| Failure::usage(format!("{}: {error}", path.display())))?;
        read.push(absolute);
    }
    if is_python(&program) {
        read.extend(sandbox::interpreter_paths(&program).map_err(|error| failure(&error))?);
    }
    let limits = Limits {
        wall: arguments.wall,
        processor: arguments.cpu,
        memory: arguments.memory,
        processes: arguments.processes,
        disk: arguments.disk,
        output: arguments.output,
        ..Limits::default()
    };
    let mut command = Command::new(program);
    command.arguments = rest.to_vec();
    command.read = read;
    command.limits = limits;
    command.threads = arguments.threads;
    command.minimum = arguments.level;
    Ok(command)
}

/// The program's absolute path, as a shell would find it.
fn find(name: &str) -> Result<PathBuf, Failure> {
    if name.contains('/') {
        return std::path::absolute(name)
            .map_err(|error| Failure::usage(format!("{name}: {error}")));
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(name));
    let found = places.find(|candidate| candidate.is_file());
    found.ok_or_else(|| Failure::usage(format!("there is no program \"{name}\" in PATH")))
}

fn is_script(program: &Path) -> bool {
    let mut first = [0; 2];
    let opened = std::fs::File::open(program);
    opened.is_ok_and(|mut file| file.read_exact(&mut first).is_ok()) && &first == b"#!"
}

fn is_python(program: &Path) -> bool {
    let name = program.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.starts_with("python"))
}

fn failure(error: &Error) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        Error::Level { .. } => Failure { status: Status::Refused, ..failure }
            .hint("`wardround sandbox check` shows what this machine offers"),
        Error::Grant { .. } | Error::Interpreter { .. } => {
            Failure { status: Status::Usage, ..failure }
        }
        _ => failure,
    }
}

/// The program's own status where it ended by itself; 3 where a rule was broken, 1 for anything else.
fn status(end: &End) -> u8 {
    match (&end.outcome, end.status) {
        (Outcome::Ok, _) => 0,
        (Outcome::Policy { .. }, _) => Status::Refused.number(),
        (Outcome::Failed, Some(status)) => u8::try_from(status).unwrap_or(1),
        _ => Status::Failed.number(),
    }
}

fn summary(end: &End) -> String {
    format!(
        "sandbox: {}, level {}, {} at most, {:.2} s of processor time",
        end.outcome,
        end.level,
        size::shown(end.peak_memory),
        end.processor.as_secs_f64()
    )
}

fn document(end: &End) -> Document {
    Document {
        outcome: end.outcome.to_string(),
        level: end.level,
        status: end.status,
        peak_memory_bytes: end.peak_memory,
        processor_seconds: end.processor.as_secs_f64(),
        stdout: Printed::of(&end.output.stdout),
        stderr: Printed::of(&end.output.stderr),
    }
}

#[derive(Debug, Serialize)]
struct Document {
    outcome: String,
    level: Level,
    status: Option<i32>,
    peak_memory_bytes: u64,
    processor_seconds: f64,
    stdout: Printed,
    stderr: Printed,
}

#[derive(Debug, Serialize)]
struct Printed {
    text: String,
    bytes: u64,
    omitted: u64,
}

impl Printed {
    fn of(stream: &Stream) -> Self {
        Self { text: stream.text(), bytes: stream.total, omitted: stream.omitted() }
    }
}
