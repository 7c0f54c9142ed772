//! The runtimes of Python plans: one for each registered interpreter, kept warm while the node runs.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use protocol::{Code, Digest};
use runtime::python::{Confining, Environment, SandboxedWorkers, write_package};
use runtime::{Failure, PythonRuntime};
use sandbox::{Launcher, Level, Limits};

use crate::config::Config;
use crate::folder::Folder;
use crate::self_test::SandboxStatus;
use crate::site::Site;

/// The runtimes that were needed so far.
#[derive(Default)]
pub(crate) struct Pythons {
    /// By interpreter, packages and level: one that is replaced by another at the same place is another.
    runtimes: Mutex<HashMap<(PathBuf, Digest, Level), PythonRuntime>>,
}

impl Pythons {
    /// The runtime of an interpreter at a level or better; its first plan warms it up.
    ///
    /// None where the self-test has found that the sandbox is too weak for it.
    pub(crate) fn runtime(
        &self,
        environment: &Environment,
        minimum: Level,
        site: &Site,
    ) -> Result<PythonRuntime, Failure> {
        let tested = site.self_test.found();
        if let Some(SandboxStatus { level, missing, .. }) = tested.filter(|it| it.level < minimum) {
            let text = format!("the self-test found level {level}: {}", missing.join("; "));
            return Err(Failure::new(Code::SandboxUnavailable, text));
        }
        let mut runtimes = self.runtimes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (environment.interpreter.clone(), environment.digest, minimum);
        if let Some(known) = runtimes.get(&key) {
            return Ok(known.clone());
        }
        let made = runtime(environment, minimum, &site.folder, &site.config)?;
        runtimes.insert(key, made.clone());
        Ok(made)
    }
}

fn runtime(
    environment: &Environment,
    minimum: Level,
    folder: &Folder,
    config: &Config,
) -> Result<PythonRuntime, Failure> {
    let unavailable = |text: String| Failure::new(Code::SandboxUnavailable, text);
    let Some(program) = &config.program else {
        return Err(unavailable("the program that confines plans is not known".to_owned()));
    };
    // The worker has another working folder.
    let package = std::path::absolute(folder.worker())
        .and_then(|folder| write_package(&folder))
        .map_err(|error| unavailable(format!("the worker's files cannot be written: {error}")))?;
    let limits = limits(config);
    let wall = limits.wall;
    let confining = Confining {
        launcher: Launcher::new(program).argument("sandbox").argument("launch"),
        environment: environment.clone(),
        package,
        minimum,
        limits,
        threads: threads(config),
    };
    Ok(PythonRuntime::new(Arc::new(SandboxedWorkers::new(confining)), Some(wall)))
}

/// What one plan may use.
fn limits(config: &Config) -> Limits {
    let bounds = &config.python;
    Limits {
        wall: Duration::from_secs(bounds.python_seconds),
        processor: bounds.python_processor_seconds.map(Duration::from_secs),
        memory: config.memory_limit.map_or(bounds.python_memory, |m| m.min(bounds.python_memory)),
        processes: bounds.python_processes,
        disk: bounds.python_disk,
        output: bounds.python_output,
        file: bounds.python_result,
        ..Limits::default()
    }
}

/// The threads of one plan: as many as the owner says, else its share of the machine's.
fn threads(config: &Config) -> u32 {
    if let Some(threads) = config.python.python_threads {
        return threads;
    }
    let all = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    u32::try_from(all / config.rounds_at_once.max(1)).unwrap_or(1).max(1)
}
