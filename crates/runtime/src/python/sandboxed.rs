//! Workers in a sandbox: the only ones that run plans.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{Code, Digest};
use sandbox::{End, JobOptions, Launcher, Level, Limits, Outcome, ServerOptions};

use super::environment::Environment;
use super::warm::{Beginning, WarmInterpreter};
use super::worker::{Cause, Confinement, Ending, Job, Life, Limit, Worker, Workers};
use crate::failure::with_causes;
use crate::{Failure, Monitor};

/// How workers are started and bounded.
#[derive(Clone, Debug)]
pub struct Confining {
    /// The program that puts the sandbox on.
    pub launcher: Launcher,
    /// The interpreter and its packages.
    pub environment: Environment,
    /// The folder that the package `wardround` is imported from.
    pub package: PathBuf,
    /// The level below which nothing runs.
    pub minimum: Level,
    /// What one plan may use.
    pub limits: Limits,
    /// The threads that one plan may compute with.
    pub threads: u32,
}

/// Workers that a warm interpreter forks, each confined before it reads a byte of a plan.
///
/// The interpreter is started with the first plan, started again after some jobs, and again where it has ended.
pub struct SandboxedWorkers {
    confining: Confining,
    interpreter: Arc<WarmInterpreter>,
}

impl SandboxedWorkers {
    /// Starts nothing yet.
    #[must_use]
    pub fn new(confining: Confining) -> Self {
        Self { confining, interpreter: Arc::default() }
    }

    /// The same workers with other bounds; one interpreter serves both.
    #[must_use]
    pub fn bounded(&self, limits: Limits) -> Self {
        let confining = Confining { limits, ..self.confining.clone() };
        Self { confining, interpreter: Arc::clone(&self.interpreter) }
    }

    fn fork(
        &self,
        options: &JobOptions,
        monitor: &mut dyn Monitor,
    ) -> Result<sandbox::Job, Failure> {
        let begin = || Beginning {
            environment: self.confining.environment.clone(),
            launcher: self.confining.launcher.clone(),
            options: self.server_options(),
        };
        self.interpreter.fork(options, begin, monitor)
    }

    fn server_options(&self) -> ServerOptions {
        let environment = &self.confining.environment;
        let has = |name: &str| environment.frameworks.iter().any(|(found, _)| found == name);
        let known = [("torch", "torch"), ("scikit-learn", "sklearn")];
        let warm_up = known.iter().filter(|(package, _)| has(package));
        ServerOptions {
            warm_up: warm_up
                .map(|(_, module)| *module)
                .chain([WORKER])
                .map(str::to_owned)
                .collect(),
            minimum: self.confining.minimum,
            ..ServerOptions::new(&environment.interpreter, &self.confining.package)
        }
    }
}

impl Workers for SandboxedWorkers {
    fn start(&self, job: &Job, monitor: &mut dyn Monitor) -> Result<Box<dyn Worker>, Failure> {
        let limits = self.confining.limits.clone();
        let memory = job.memory.map_or(limits.memory, |memory| memory.min(limits.memory));
        let disk = job.disk.map_or(limits.disk, |disk| disk.min(limits.disk));
        let limits = Limits { memory, disk, ..limits };
        let wall = limits.wall;
        let options =
            JobOptions { read: job.readable.clone(), limits, threads: self.confining.threads };
        let job = self.fork(&options, monitor)?;
        let socket = job.socket().try_clone().map_err(|error| {
            Failure::new(Code::NodeInternal, format!("the worker's socket: {error}"))
        })?;
        let environment = self.confining.environment.digest;
        Ok(Box::new(SandboxedWorker {
            socket,
            level: job.level(),
            environment,
            wall,
            since: Instant::now(),
            state: State::Running(job),
        }))
    }
}

struct SandboxedWorker {
    socket: UnixStream,
    level: Level,
    environment: Digest,
    wall: Duration,
    since: Instant,
    state: State,
}

impl SandboxedWorker {
    /// Whether its time on the clock cannot be over yet.
    fn is_early(&self) -> bool {
        self.since.elapsed() < self.wall
    }
}

enum State {
    Running(sandbox::Job),
    Ended(Ending),
    /// Only while it is being ended.
    Ending,
}

impl Worker for SandboxedWorker {
    fn socket(&self) -> &UnixStream {
        &self.socket
    }

    fn confinement(&self) -> Confinement {
        Confinement { level: self.level.letter().to_owned(), environment: Some(self.environment) }
    }

    fn end(&mut self, life: Life) -> Ending {
        let ending = match std::mem::replace(&mut self.state, State::Ending) {
            State::Running(job) => {
                let patience = match life {
                    Life::Alive => {
                        job.end(Outcome::Ok);
                        LAST_WAIT
                    }
                    Life::Going => LAST_WORDS,
                };
                match ending(job.wait(patience)) {
                    // Waiting for a worker that only pretended to go took too long; that is no limit of its own.
                    Ending { cause: Cause::Limit(Limit::Time), output, processor }
                        if life == Life::Going && self.is_early() =>
                    {
                        Ending { cause: Cause::Ended, output, processor }
                    }
                    ending => ending,
                }
            }
            State::Ended(ending) => ending,
            State::Ending => lost("the worker was ended twice at once"),
        };
        self.state = State::Ended(ending.clone());
        ending
    }
}

fn ending(end: Result<End, sandbox::Error>) -> Ending {
    let end = match end {
        Ok(end) => end,
        Err(error) => return lost(&with_causes(&error)),
    };
    let cause = match end.outcome {
        Outcome::Ok | Outcome::Failed | Outcome::RefusedOutput => Cause::Ended,
        Outcome::Limit(limit) => Cause::Limit(Limit::from(limit)),
        Outcome::Policy { syscall } => Cause::Violation(format!("system call {syscall}")),
    };
    let (stdout, stderr) = (end.output.stdout.text(), end.output.stderr.text());
    let named = [("standard output", stdout), ("standard error", stderr)];
    let output: Vec<String> = named
        .into_iter()
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(name, text)| format!("--- {name}\n{}", text.trim_end()))
        .collect();
    Ending { cause, output: output.join("\n"), processor: Some(end.processor) }
}

/// The sandbox's own watchman is gone, and with it the worker.
fn lost(text: &str) -> Ending {
    Ending { cause: Cause::Ended, output: format!("--- sandbox\n{text}"), processor: None }
}

impl From<sandbox::Limit> for Limit {
    fn from(limit: sandbox::Limit) -> Self {
        match limit {
            sandbox::Limit::Wall => Self::Time,
            sandbox::Limit::Cpu => Self::Cpu,
            sandbox::Limit::Memory => Self::Memory,
            sandbox::Limit::Processes => Self::Processes,
            sandbox::Limit::Disk => Self::Disk,
            sandbox::Limit::Output => Self::Output,
        }
    }
}

/// What loads and uses the parts of each family that a plan needs.
const WORKER: &str = "wardround.worker.job";

/// How long a worker may take to end that has closed its socket.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long the end of a worker that was told to end may take.
const LAST_WAIT: Duration = Duration::from_secs(30);
