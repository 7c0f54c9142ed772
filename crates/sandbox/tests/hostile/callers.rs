//! What happens when the caller is killed.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use sandbox::Level;

use crate::settings::{PYTHON, all, launcher};

#[test]
fn nothing_survives_its_caller() {
    if let Ok(words) = std::env::var(CALLER) {
        return call(&words);
    }
    for (number, setting) in all().into_iter().enumerate() {
        let mark = format!("mark-{}-{number}", std::process::id());
        let scratch = tempfile::tempdir().expect("there is a temporary folder");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(scratch.path(), open).expect("it is this test's own");
        let mut words = vec![mark.clone()];
        words.extend(setting.launcher.before.iter().map(|word| word.to_string_lossy().into()));
        let own = std::env::current_exe().expect("this program has a path");
        let mut caller = Command::new(own)
            .args(["--exact", "callers::nothing_survives_its_caller"])
            .env(CALLER, words.join("\n"))
            .env("TMPDIR", scratch.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("this program starts");
        await_that(|| !marked(&mark).is_empty(), "the confined process", setting.name);
        caller.kill().expect("it was not reaped");
        caller.wait().expect("it was not reaped");
        await_that(|| marked(&mark).is_empty(), "the end of the confined process", setting.name);
        let left = || std::fs::read_dir(scratch.path()).expect("it is there").count();
        await_that(|| left() == 0, "a wiped scratch folder", setting.name);
    }
}

/// Is the caller: confines a program that would run for long.
fn call(words: &str) {
    let mut words = words.lines();
    let mark = words.next().expect("the mark comes first");
    let mut command = sandbox::Command::new(PYTHON).argument("-c");
    command = command.argument(format!("import time; time.sleep(600)  # {mark}"));
    command.read = sandbox::interpreter_paths(PYTHON.as_ref()).expect("there is an interpreter");
    command.minimum = Level::C;
    let end = sandbox::run(&launcher().started_by(words), &command);
    panic!("the caller was not killed: {end:?}");
}

/// The processes whose arguments have the mark.
fn marked(mark: &str) -> Vec<PathBuf> {
    let processes = std::fs::read_dir("/proc").expect("processes can be listed").flatten();
    let arguments = processes.map(|process| process.path().join("cmdline"));
    let known = |path: &PathBuf| {
        std::fs::read(path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(mark))
    };
    arguments.filter(known).collect()
}

#[track_caller]
fn await_that(mut holds: impl FnMut() -> bool, what: &str, setting: &str) {
    let end = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < end, "{setting}: {what} did not come");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

const CALLER: &str = "WARDROUND_TEST_CALLER";
