//! The demonstration's daemons: real processes that end with it, however it ends.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::failure::Failure;

/// A daemon that has said that it is ready.
pub(super) struct Daemon {
    name: String,
    child: Child,
    /// What its ready line says.
    pub(super) ready: Value,
}

impl Daemon {
    /// Starts `wardround ARGUMENTS… --json` and waits for its ready line.
    ///
    /// The log goes to a file. The process asks the kernel to be killed when this one dies.
    pub(super) fn start(name: &str, arguments: &[&str], log: &Path) -> Result<Self, Failure> {
        let log_file = std::fs::File::create(log).map_err(|error| unwritable(log, &error))?;
        let mut child = command()?
            .args(["--json", "--exit-with", &std::process::id().to_string()])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .map_err(|error| Failure::failed(format!("{name} does not start: {error}")))?;
        let output = child.stdout.take().expect("standard output was piped");
        let (sender, receiver) = mpsc::channel();
        // The thread ends with the daemon's standard output, and so with the daemon.
        std::thread::spawn(move || {
            let mut reader = BufReader::new(output);
            let mut line = String::new();
            let _ = reader.read_line(&mut line);
            let _ = sender.send(line);
            let _ = std::io::copy(&mut reader.take(u64::MAX), &mut std::io::sink());
        });
        let mut daemon = Self { name: name.to_owned(), child, ready: Value::Null };
        let line = receiver.recv_timeout(START).unwrap_or_default();
        daemon.ready = serde_json::from_str(&line).map_err(|_| {
            Failure::failed(format!("{name} did not become ready"))
                .hint(format!("its log is {}", log.display()))
        })?;
        Ok(daemon)
    }

    /// Asks the process to end; kills it when it does not in time.
    fn stop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let deadline = Instant::now() + STOP;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                tracing::warn!(daemon = %self.name, "does not end and is killed");
                let _ = self.child.kill();
                let _ = self.child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs `wardround ARGUMENTS… --json` to its end and gives the document that it prints.
pub(super) fn run(arguments: &[&str]) -> Result<Value, Failure> {
    run_with(arguments, "")
}

/// As [`run`], with something on standard input.
pub(super) fn run_with(arguments: &[&str], input: &str) -> Result<Value, Failure> {
    let failed = |error| Failure::failed(format!("{} does not start: {error}", arguments[0]));
    let mut child = command()?
        .arg("--json")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let mut pipe = child.stdin.take().expect("standard input was piped");
    // A command that does not read its input has said why, or needs none.
    let _ = pipe.write_all(input.as_bytes());
    drop(pipe);
    let output = child.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let line = said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        return Err(Failure::failed(format!("`wardround {}`: {line}", arguments.join(" "))));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(serde_json::from_str(text.trim()).unwrap_or(Value::Null))
}

/// Makes this process end when the one that started it has ended.
pub(crate) fn exit_with(parent: u32) -> Result<(), Failure> {
    let gone = || Failure::failed("the process that started this one has ended");
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).map_err(|_| gone())?;
    let now = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().get().unsigned_abs());
    if now == Some(parent) { Ok(()) } else { Err(gone()) }
}

/// The error of a file that cannot be written.
pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("{} cannot be written: {error}", path.display()))
}

fn command() -> Result<Command, Failure> {
    let program: PathBuf = std::env::current_exe()
        .map_err(|error| Failure::failed(format!("this program cannot find itself: {error}")))?;
    Ok(Command::new(program))
}

/// How long a daemon may take to become ready.
const START: Duration = Duration::from_secs(20);
/// How long a daemon may take to end.
const STOP: Duration = Duration::from_secs(5);
