//! Processes that go on until somebody ends them.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::PATIENCE;
use crate::event_lines::{EventLines, Missing};
use crate::program::Program;

/// A running process and what it has printed; dropping it kills it.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    lines: EventLines,
    log: PathBuf,
}

impl Daemon {
    /// Starts a process; its log is added to a file.
    ///
    /// # Panics
    ///
    /// Panics where the process or its log cannot be made.
    pub fn start<S: AsRef<OsStr>>(
        name: &str,
        program: &Program,
        arguments: &[S],
        log: &Path,
    ) -> Self {
        let file = OpenOptions::new().create(true).append(true).open(log);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", log.display()));
        let mut command = program.command(arguments);
        command.stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        let lines = EventLines::read(child.stdout.take().expect("standard output was piped"));
        Self { name: name.to_owned(), child, lines, log: log.to_owned() }
    }

    /// The most memory that the process has occupied at once so far, in bytes: `VmHWM`.
    ///
    /// # Panics
    ///
    /// Panics where the process is gone.
    pub fn peak_resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the process runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
        kibibytes.expect("the kernel says how much memory a process has had") * 1024
    }

    /// Waits for the first event that matches; those that came before count.
    ///
    /// # Panics
    ///
    /// Panics where none comes in time, or the process ends before.
    #[track_caller]
    pub fn await_event(&self, what: &str, matches: impl Fn(&Value) -> bool) -> Value {
        self.await_after(0, what, matches)
    }

    /// Waits for the first event that matches after the first `skipped` events.
    ///
    /// # Panics
    ///
    /// As [`await_event`](Self::await_event).
    #[track_caller]
    pub fn await_after(
        &self,
        skipped: usize,
        what: &str,
        matches: impl Fn(&Value) -> bool,
    ) -> Value {
        match self.lines.wait(skipped, PATIENCE, matches) {
            Ok(event) => event,
            Err(Missing::Ended) => panic!("{} ended before {what}\n{}", self.name, self.tail()),
            Err(Missing::Late) => {
                panic!("{}: no {what} within {PATIENCE:?}\n{}", self.name, self.tail())
            }
        }
    }

    /// Waits for an event of this name.
    ///
    /// # Panics
    ///
    /// As [`await_event`](Self::await_event).
    #[track_caller]
    pub fn await_named(&self, name: &str) -> Value {
        self.await_event(name, |event| event["event"] == name)
    }

    /// Everything it has printed so far.
    pub fn events(&self) -> Vec<Value> {
        self.lines.all()
    }

    /// `kill -9`: nothing of the process runs afterwards.
    ///
    /// # Panics
    ///
    /// Panics where the process had ended by itself.
    pub fn kill(mut self) {
        let ended = self.child.try_wait().expect("the process was started");
        assert_eq!(ended, None, "{} ended before it was killed\n{}", self.name, self.tail());
        self.end();
    }

    /// Asks the process to end (SIGTERM); gives how it ended and how long that took.
    ///
    /// # Panics
    ///
    /// Panics where it does not end within `patience`.
    #[track_caller]
    pub fn terminate(mut self, patience: Duration) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        self.signal(Signal::TERM);
        // A process that has ended has closed its output.
        if self.lines.wait(0, patience, |_| false) == Err(Missing::Late) {
            panic!("{} does not end within {patience:?}\n{}", self.name, self.tail());
        }
        let status = self.child.wait().expect("the process was started");
        (status, begun.elapsed())
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    ///
    /// Panics where it does not in time.
    #[track_caller]
    pub fn await_end(mut self) -> ExitStatus {
        if self.lines.wait(0, PATIENCE, |_| false) == Err(Missing::Late) {
            panic!("{} does not end within {PATIENCE:?}\n{}", self.name, self.tail());
        }
        self.child.wait().expect("the process was started")
    }

    /// Stops the process without ending it (SIGSTOP): a machine that hangs.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.expect("process identifiers are positive");
        kill_process(pid, signal).expect("the process has not been waited for");
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last events and log lines, for whoever reads why a test failed.
    fn tail(&self) -> String {
        let events = self.lines.all();
        let events = events.iter().rev().take(12).rev().map(|event| shortened(&event.to_string()));
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let log = lines[lines.len().saturating_sub(15)..].join("\n");
        format!("-- events\n{}\n-- log\n{log}", events.collect::<Vec<_>>().join("\n"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            report(&format!("{}\n{}", self.name, self.tail()));
        }
        self.end();
    }
}

#[expect(clippy::print_stderr, reason = "this is what a failed test says")]
fn report(text: &str) {
    eprintln!("==== {text}");
}

fn shortened(text: &str) -> String {
    text.chars().take(400).collect()
}
