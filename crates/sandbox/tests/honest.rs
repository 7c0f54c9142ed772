//! Honest work gives the same numbers inside and outside of a sandbox, and a fork server is ready soon.
//!
//! It needs a Python with numpy, scikit-learn and torch, named by `WARDROUND_TEST_PYTHON`.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use sandbox::{Command, ForkServer, JobOptions, Launcher, Level, Limits, Outcome, ServerOptions};

#[test]
fn numbers_are_the_same_inside_and_outside() {
    let Some(python) = python() else { return };
    for (work, threads) in [("numpy", 2), ("sklearn", 2), ("torch", 2)] {
        let mut command = Command::new(&python);
        command.arguments = vec!["-I".to_owned(), "-B".to_owned(), SCRIPT.to_owned()];
        command.arguments.extend([work.to_owned(), threads.to_string()]);
        command.read = sandbox::interpreter_paths(&python).expect("it is a Python");
        command.read.push(SCRIPT.into());
        command.threads = threads;
        command.limits = limits();
        let end = sandbox::run(&launcher(), &command).expect("it runs");
        assert_eq!(end.outcome, Outcome::Ok, "{work}: {}", end.output.stderr.text());
        assert_eq!(end.output.stdout.text(), outside(&python, work, threads), "{work} {threads}");
    }
}

#[test]
fn a_warm_server_s_jobs_give_the_same_numbers_and_are_ready_soon() {
    let Some(python) = python() else { return };
    let mut options =
        ServerOptions::new(&python, concat!(env!("CARGO_MANIFEST_DIR"), "/../../python"));
    options.job = "honest:serve".to_owned();
    options.path = vec![PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))];
    options.warm_up = vec!["torch".to_owned(), "sklearn".to_owned()];
    let mut server = ForkServer::start(&launcher(), &options).expect("it is warm");
    assert!(server.versions().keys().eq(["python", "sklearn", "torch"]));
    let mut soonest = Duration::MAX;
    for (work, threads) in [("torch", 2), ("sklearn", 2), ("torch", 1), ("numpy", 2), ("torch", 2)]
    {
        let begun = Instant::now();
        let options = JobOptions { limits: limits(), threads, ..JobOptions::default() };
        let job = server.fork(options).expect("it forks");
        soonest = soonest.min(begun.elapsed());
        job.socket().write_all(work.as_bytes()).expect("it listens");
        let mut answer = String::new();
        job.socket().read_to_string(&mut answer).expect("it answers and ends");
        let end = job.wait(Duration::from_secs(60)).expect("the warden is there");
        assert_eq!(end.outcome, Outcome::Ok, "{work}: {}", end.output.stderr.text());
        assert_eq!(answer, outside(&python, work, threads), "{work} {threads}");
    }
    // The soonest of five: whatever else the machine does can only make one later.
    assert!(soonest < Duration::from_millis(100), "ready after {soonest:?}");
}

/// What the same work gives without a sandbox; asked for once each.
fn outside(python: &Path, work: &str, threads: u32) -> String {
    static KNOWN: Mutex<BTreeMap<(String, u32), String>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let entry = known.entry((work.to_owned(), threads));
    entry.or_insert_with(|| computed_outside(python, work, threads)).clone()
}

fn computed_outside(python: &Path, work: &str, threads: u32) -> String {
    let threads = threads.to_string();
    let mut command = std::process::Command::new(python);
    command.args(["-I", "-B", SCRIPT, work, &threads]).env_clear();
    for name in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
        command.env(name, &threads);
    }
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("digests are text")
}

fn python() -> Option<PathBuf> {
    let named = std::env::var_os("WARDROUND_TEST_PYTHON").map(PathBuf::from);
    let found = sandbox::self_test(&launcher()).expect("the launcher starts");
    let left_out = match (&named, found.level) {
        (None, _) => "WARDROUND_TEST_PYTHON names no Python",
        (_, Level::C | Level::D) => "this machine has no Landlock",
        _ => return named,
    };
    writeln!(std::io::stderr(), "left out: honest work in a sandbox, {left_out}").expect("open");
    None
}

fn launcher() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_wardround-sandbox"))
}

fn limits() -> Limits {
    Limits { wall: Duration::from_secs(120), ..Limits::default() }
}

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/honest.py");
