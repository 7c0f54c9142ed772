//! Python plans on a machine that is no node: a researcher's own.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sandbox::{Launcher, Level, Limits};
use training_plan::Bundle;
use training_plan::bundle::PYTHON_FILE;

use super::environment::{self, Environment};
use super::files::write_package;
use super::{Confining, PythonRuntime, SandboxedWorkers};

/// Why plans cannot run on this machine.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The interpreter cannot be used.
    #[error(transparent)]
    Environment(#[from] environment::Error),
    /// The worker's files cannot be written.
    #[error("the worker's files cannot be written")]
    Files(#[source] std::io::Error),
}

/// Makes a runtime as a node has it, in the same sandbox, with an interpreter of this machine, for one plan: no other
/// framework than the plan speaks of is loaded before it.
///
/// What it needs is written into `folder`, which must stay until the runtime is dropped.
///
/// # Errors
///
/// The interpreter has not what plans need, or the folder cannot be written.
pub fn runtime_on(
    interpreter: &Path,
    launcher: Launcher,
    folder: &Path,
    plan: &Bundle,
) -> Result<PythonRuntime, Error> {
    let mut environment = Environment::inspect(interpreter)?;
    let source = plan.file(PYTHON_FILE).unwrap_or_default();
    environment.frameworks.retain(|(name, _)| is_used(name, source));
    let package = write_package(folder).map_err(Error::Files)?;
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    let limits = Limits { wall: LONGEST, memory: LARGEST, ..Limits::default() };
    let confining = Confining {
        launcher,
        environment,
        package,
        minimum: Level::B,
        limits,
        threads: u32::try_from(threads).unwrap_or(1),
    };
    Ok(PythonRuntime::new(Arc::new(SandboxedWorkers::new(confining)), Some(LONGEST)))
}

/// Whether a plan probably uses a framework; what it uses besides is loaded when it asks for it.
fn is_used(framework: &str, source: &str) -> bool {
    let has = |texts: &[&str]| texts.iter().any(|text| source.contains(text));
    let has_torch = has(&["torch", "Torch"]);
    match framework {
        "torch" => has_torch,
        "scikit-learn" => !has_torch || has(&["sklearn", "Fed", "MiniBatchKMeans"]),
        _ => true,
    }
}

/// How long one plan may run on a researcher's machine.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// The memory that one plan may use there: 16 GiB.
const LARGEST: u64 = 16 << 30;
