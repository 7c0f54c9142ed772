//! Commands that go on until somebody ends them.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::place::{Answer, PATIENCE, Place};

/// A command that runs; dropping it kills it.
pub(crate) struct Daemon {
    typed: Vec<String>,
    child: Child,
    lines: Receiver<String>,
    errors: Receiver<String>,
    seen: Vec<String>,
}

impl Daemon {
    pub(crate) fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().expect("was piped"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let (sender, errors) = mpsc::channel();
        let mut stream = child.stderr.take().expect("was piped");
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text);
            sender.send(text)
        });
        let typed = arguments.iter().map(|&argument| argument.to_owned()).collect();
        Self { typed, child, lines, errors, seen: Vec::new() }
    }

    /// Waits for a JSON line that matches.
    #[track_caller]
    pub(crate) fn await_event(&mut self, matches: impl Fn(&Value) -> bool) -> Value {
        loop {
            let line = self.await_line(|_| true);
            let event = serde_json::from_str(&line).unwrap_or(Value::Null);
            if matches(&event) {
                return event;
            }
        }
    }

    /// Waits for a line that matches.
    #[track_caller]
    pub(crate) fn await_line(&mut self, matches: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("`wardround {}` said only {:#?}", self.typed.join(" "), self.seen);
            };
            self.seen.push(line.clone());
            if matches(&line) {
                return line;
            }
        }
    }

    /// Sends a signal and gives everything that the command said until it ended.
    #[track_caller]
    pub(crate) fn end(self, signal: Signal) -> Answer {
        kill_process(self.pid(), signal).expect("the process has not been waited for");
        self.await_end()
    }

    /// Waits until the command ends, and gives everything that it said.
    #[track_caller]
    pub(crate) fn await_end(mut self) -> Answer {
        // The stream of errors closes when the process has ended.
        let errors = self.errors.recv_timeout(PATIENCE).expect("the process ends in time");
        self.seen.extend(self.lines.try_iter());
        let status = self.child.wait().expect("the process was started");
        let stdout = self.seen.iter().flat_map(|line| [line, "\n"]).collect::<String>();
        let typed: Vec<&str> = self.typed.iter().map(String::as_str).collect();
        let ended = Output { status, stdout: stdout.into_bytes(), stderr: errors.into_bytes() };
        Answer::of(&typed, &ended)
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("is positive")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
