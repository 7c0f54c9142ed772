//! The Python runtime under test.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use runtime::PythonRuntime;
use runtime::python::{Confining, Environment, SandboxedWorkers, write_package};
use sandbox::{Launcher, Level, Limits};

/// The interpreter for tests; a run without one says so.
#[expect(clippy::print_stderr, reason = "a run says what it leaves out")]
pub(crate) fn interpreter() -> Option<PathBuf> {
    let found = std::env::var_os("WARDROUND_TEST_PYTHON").map(PathBuf::from);
    if found.is_none() {
        eprintln!(
            "LEFT OUT: WARDROUND_TEST_PYTHON names no interpreter with torch and scikit-learn"
        );
    }
    found
}

/// The program that puts the sandbox on, as nodes start it.
pub(crate) fn launcher() -> Launcher {
    let test = std::env::current_exe().expect("a running test has a file");
    let built = test.parent().and_then(Path::parent).expect("tests lie in the target folder");
    let program = built.join("wardround");
    assert!(program.exists(), "{} is missing: `cargo build -p wardround`", program.display());
    Launcher::new(program).argument("sandbox").argument("launch")
}

/// Workers that all tests of the suite share: their interpreter is warmed up once.
fn workers() -> Option<&'static SandboxedWorkers> {
    static SHARED: OnceLock<Option<SandboxedWorkers>> = OnceLock::new();
    let made = SHARED.get_or_init(|| cold(launcher(), Level::B));
    made.as_ref()
}

/// Workers whose interpreter is not warm yet.
pub(crate) fn cold(launcher: Launcher, minimum: Level) -> Option<SandboxedWorkers> {
    let environment = Environment::inspect(&interpreter()?).expect("it is a Python");
    // The package's folder is named by its content, so all runs of the suite share it.
    let package = write_package(&std::env::temp_dir().join("wardround-contract"));
    let package = package.expect("the package can be written");
    let limits = Limits::default();
    let confining = Confining { launcher, environment, package, minimum, limits, threads: 1 };
    Some(SandboxedWorkers::new(confining))
}

/// A warm runtime that all tests of the suite share.
pub(crate) fn shared() -> Option<&'static PythonRuntime> {
    static SHARED: OnceLock<Option<PythonRuntime>> = OnceLock::new();
    SHARED.get_or_init(|| limited(Limits::default())).as_ref()
}

/// A runtime with limits of its own, over the same interpreter.
pub(crate) fn limited(limits: Limits) -> Option<PythonRuntime> {
    let wall = limits.wall + Duration::from_secs(5);
    Some(PythonRuntime::new(Arc::new(workers()?.bounded(limits)), Some(wall)))
}
