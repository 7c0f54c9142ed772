//! A process that tells what it does in JSON lines.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use serde_json::Value;

/// A running process; dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    lines: Receiver<Line>,
}

/// A line of its standard output.
#[derive(Debug, Clone)]
pub struct Line {
    /// When it arrived here.
    pub at: Instant,
    /// What it says.
    pub value: Value,
}

impl Daemon {
    /// Starts a process.
    ///
    /// # Errors
    ///
    /// Where it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> anyhow::Result<Self> {
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("{name} does not start"))?;
        let output = child.stdout.take().context("standard output was piped")?;
        let (sender, lines) = channel();
        // It ends with the process's standard output.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let at = Instant::now();
                let Ok(value) = serde_json::from_str(&line) else { continue };
                if sender.send(Line { at, value }).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name: name.to_owned(), child, lines })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Takes the next line.
    ///
    /// # Errors
    ///
    /// Where none comes in time, or the process has ended.
    pub fn next_line(&mut self) -> anyhow::Result<Line> {
        self.lines
            .recv_timeout(PATIENCE)
            .with_context(|| format!("{} tells nothing more", self.name))
    }

    /// Takes lines until one is an event of this name.
    ///
    /// # Errors
    ///
    /// As [`next_line`](Self::next_line); also where the experiment that is followed stops.
    pub fn await_event(&mut self, name: &str) -> anyhow::Result<Line> {
        loop {
            let line = self.next_line()?;
            match line.value["event"].as_str() {
                Some(found) if found == name => return Ok(line),
                Some("failed" | "paused" | "cancelled") => bail!("{}: {}", self.name, line.value),
                _ => {}
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// How long a line may be waited for.
const PATIENCE: Duration = Duration::from_secs(240);
