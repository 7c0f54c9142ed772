//! Python plans at each level of the sandbox: the level changes who could break out, and not one byte of the result.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use runtime::PythonRuntime;
use sandbox::{Launcher, Level};
use serde_json::json;

use crate::python::{cold, interpreter, launcher, shared};
use crate::ward::{Study, Ward};

#[test]
fn a_round_gives_the_same_bytes_without_namespaces_and_without_landlock() {
    let Some(runtime) = shared() else { return };
    let usual = Ward::of(Study::Python(runtime)).run(&json!({})).expect("the round runs");
    for (what, level) in [("namespaces", Level::B), ("landlock", Level::C)] {
        let Some(launcher) = without(what, level) else { continue };
        let Some(workers) = cold(launcher, level) else { return };
        let runtime: &'static PythonRuntime =
            Box::leak(Box::new(PythonRuntime::new(Arc::new(workers), None)));
        let outcome = Ward::of(Study::Python(runtime)).run(&json!({})).expect(what);
        assert_eq!(outcome.update, usual.update, "without {what}");
    }
}

/// A launcher on a machine that lacks something, where this machine can be made one.
#[expect(clippy::print_stderr, reason = "a run says what it leaves out")]
fn without(what: &str, level: Level) -> Option<Launcher> {
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/sandbox/tests/hostile/without.py");
    let mut words: Vec<OsString> = vec![interpreter()?.into()];
    words.extend(["-I", "-B"].map(OsString::from));
    words.extend([program.into(), what.into()]);
    let launcher = launcher().started_by(words);
    let found = sandbox::self_test(&launcher).expect("the launcher starts");
    if found.level == level {
        return Some(launcher);
    }
    eprintln!("LEFT OUT: level {level}, this machine is of level {} without {what}", found.level);
    None
}
