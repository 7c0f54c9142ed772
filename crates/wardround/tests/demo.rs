//! `wardround demo` as a newcomer runs it: what it reaches, what it leaves, and that nothing outlives it.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use protocol::{Digest, History};
use runtime::Predictor;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use training_plan::metric::Metric;

#[test]
fn every_seed_reaches_the_promised_accuracy() {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= 20 {
                        return;
                    }
                    let demo = Demo::run(&["--seed", &seed.to_string()]);
                    let accuracy = demo.last["federated"].as_f64().expect("is a number");
                    assert!(accuracy >= 0.95, "seed {seed}: {}", demo.last);
                }
            });
        }
    });
}

#[test]
fn everything_it_promises_is_left_in_its_folder() {
    let demo = Demo::run(&[]);
    assert!(demo.took < Duration::from_secs(20), "{:?}", demo.took);
    assert_eq!(demo.last["event"], "completed-demo");
    assert_eq!(demo.last["patients"], 114);
    for hospital in ["north", "south", "east"] {
        assert!(demo.last["alone"][hospital].is_number(), "{}", demo.last);
    }
    assert!(demo.last["pooled"].is_number(), "{}", demo.last);
    // Its processes speak TLS, as members who joined with tokens.
    for hospital in ["north", "south", "east"] {
        let config = demo.read(&format!("hospitals/{hospital}/node.toml"));
        assert!(config.contains("coordinator = \"https://"), "{config}");
    }
    let log = demo.read("coordinator.log");
    for member in ["node:north", "node:south", "node:east", "researcher:demo"] {
        let joined = format!("a member has enrolled member={member}");
        assert!(log.contains(&joined), "{joined}: {log}");
    }

    let model = Predictor::open(&demo.path("model.safetensors")).expect("it describes itself");
    let table = demo.path("hold-out.csv");
    let registration = dataset::register(&table, &dataset::Options::default()).expect("a table");
    let report = model.evaluate(&table, &registration, &[Metric::Accuracy]).expect("it fits");
    let measured = report.metrics.first().map(|(_, value)| *value);
    assert_eq!(measured, demo.last["federated"].as_f64(), "the model is the one that was told of");

    let history: History = serde_json::from_str(&demo.read("history.json")).expect("is a history");
    assert_eq!(history.state, "completed");
    assert_eq!(history.rounds.last().map(|round| round.round), Some(20));
    assert!(history.rounds.iter().skip(1).all(|round| round.sites.len() == 3));
    let csv = demo.read("history.csv");
    assert_eq!(csv.lines().next(), Some("round,node,dataset,measure,value,made_by,rows"));
    assert!(csv.lines().count() > 20 * 3, "{csv}");

    let plan = demo.path("logistic.toml");
    let digest = wardround(&["plan", "digest", &plan.to_string_lossy(), "--json"]);
    let digest: Value = serde_json::from_slice(&digest.stdout).expect("is JSON");
    let submitted = demo.events.iter().find(|event| event["event"] == "submitted");
    assert_eq!(submitted.expect("was submitted")["plan"], digest["digest"]);
    assert!(demo.read("experiment.toml").contains("plan = \"logistic.toml\""));
    assert!(demo.read("scale.toml").contains("radius_mean"));
}

#[test]
fn its_report_needs_nothing_but_itself() {
    let demo = Demo::run(&["--rounds", "3"]);
    let page = demo.read("report.html");
    assert!(page.starts_with("<!DOCTYPE html>") || page.starts_with("<!doctype html>"));
    assert!(page.contains("<svg"), "the curves are drawn in the page");
    assert!(page.contains("<table"), "the numbers stand beside them");
    for text in ["breast cancer, logistic", "north", "south", "east", "ACCURACY", "pooled"] {
        assert!(page.contains(text), "{text}");
    }
    for load in ["<script src", "<link", "<iframe", "<img", "@import", "url(", "src=\"http"] {
        assert!(!page.contains(load), "the page loads something: {load}");
    }
}

#[test]
fn it_can_be_run_again_in_its_folder_and_gives_the_same_model() {
    let demo = Demo::run(&["--seed", "7", "--rounds", "3"]);
    let first = demo.model();
    let demo = demo.again(&["--seed", "7", "--rounds", "3"]);
    assert_eq!(demo.model(), first);
    let demo = demo.again(&["--seed", "8", "--rounds", "3"]);
    assert_ne!(demo.model(), first);
}

#[test]
fn a_perceptron_reaches_the_promised_accuracy_too() {
    let demo = Demo::run(&["--plan", "mlp"]);
    let accuracy = demo.last["federated"].as_f64().expect("is a number");
    assert!(accuracy >= 0.95, "{}", demo.last);
}

#[test]
fn one_hospital_and_eight_hospitals_take_part() {
    for hospitals in [1_usize, 8] {
        let demo = Demo::run(&["--nodes", &hospitals.to_string(), "--rounds", "5"]);
        assert_eq!(demo.last["alone"].as_object().map(serde_json::Map::len), Some(hospitals));
        let history: History = serde_json::from_str(&demo.read("history.json")).expect("is one");
        assert_eq!(history.rounds.last().map(|round| round.sites.len()), Some(hospitals));
    }
}

#[test]
fn people_are_told_of_each_round_and_of_the_comparison() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("kept");
    let ended = wardround(&["demo", "--rounds", "2", "--keep", &folder.to_string_lossy()]);
    let output = String::from_utf8_lossy(&ended.stdout);
    assert_eq!(ended.status.code(), Some(0), "{output}");
    for text in ["federated", "north alone", "all data pooled", "report.html", "round"] {
        assert!(output.contains(text), "no \"{text}\" in\n{output}");
    }
}

#[test]
fn a_folder_of_somebody_elses_is_refused_and_left_alone() {
    let home = tempfile::tempdir().expect("a folder");
    std::fs::write(home.path().join("thesis.txt"), "years of work").expect("can be written");
    let ended = wardround(&["demo", "--keep", &home.path().to_string_lossy()]);
    assert_eq!(ended.status.code(), Some(2));
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(errors.contains("is not a folder of this demonstration"), "{errors}");
    assert!(errors.contains("hint: "), "{errors}");
    let kept = std::fs::read_to_string(home.path().join("thesis.txt"));
    assert_eq!(kept.expect("is there"), "years of work");
}

#[test]
fn numbers_of_hospitals_and_rounds_have_bounds() {
    for arguments in [["--nodes", "0"], ["--nodes", "9"], ["--rounds", "0"], ["--plan", "tree"]] {
        let ended = wardround(&[&["demo"], &arguments[..]].concat());
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn an_interrupt_ends_its_processes() {
    let (mut demo, children) = running();
    signal(&demo.child, Signal::INT);
    assert_eq!(demo.end().code(), Some(130));
    await_all_gone(&children);
}

#[test]
fn an_interrupt_ends_the_comparison_at_once() {
    let (mut demo, _) = running_until("60", "\"event\":\"completed\"");
    let since = Instant::now();
    signal(&demo.child, Signal::INT);
    assert_eq!(demo.end().code(), Some(130));
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
}

#[test]
fn a_kill_ends_its_processes() {
    let (mut demo, children) = running();
    signal(&demo.child, Signal::KILL);
    demo.end();
    await_all_gone(&children);
}

/// A demonstration that has come to its end, and what it said.
struct Demo {
    home: TempDir,
    events: Vec<Value>,
    last: Value,
    took: Duration,
}

impl Demo {
    #[track_caller]
    fn run(arguments: &[&str]) -> Self {
        Self::run_in(tempfile::tempdir().expect("a folder"), arguments)
    }

    /// Runs another one in the same folder.
    #[track_caller]
    fn again(self, arguments: &[&str]) -> Self {
        Self::run_in(self.home, arguments)
    }

    #[track_caller]
    fn run_in(home: TempDir, arguments: &[&str]) -> Self {
        let begun = Instant::now();
        let folder = home.path().join("kept");
        let keep = ["demo", "--json", "--keep", &folder.to_string_lossy()];
        let ended = wardround(&[&keep[..], arguments].concat());
        let took = begun.elapsed();
        let output = String::from_utf8(ended.stdout).expect("UTF-8");
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(0), "{output}\n{errors}");
        let lines = output.lines().map(|line| serde_json::from_str(line).expect("is JSON"));
        let events: Vec<Value> = lines.collect();
        let last = events.last().expect("it says something").clone();
        Self { home, events, last, took }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join("kept").join(name)
    }

    #[track_caller]
    fn read(&self, name: &str) -> String {
        let path = self.path(name);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    #[track_caller]
    fn model(&self) -> Digest {
        Digest::of(&std::fs::read(self.path("model.safetensors")).expect("is left"))
    }
}

/// A demonstration in the midst of its rounds; dropping it kills it.
struct Running {
    child: Child,
    _home: TempDir,
}

impl Running {
    /// Waits until the process has ended.
    fn end(&mut self) -> std::process::ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("it was started") {
                return status;
            }
            assert!(Instant::now() < deadline, "the demonstration does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts a demonstration and waits until its rounds run; gives it and its children.
fn running() -> (Running, Vec<u32>) {
    let (demo, children) = running_until("1000", "\"round-finished\"");
    assert_eq!(children.len(), 4, "a coordinator and three nodes run");
    (demo, children)
}

/// A demonstration of so many rounds that has printed such a line, and the processes that it has then.
fn running_until(rounds: &str, line_has: &str) -> (Running, Vec<u32>) {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("kept");
    let mut command = command();
    command.args(["demo", "--json", "--rounds", rounds, "--keep"]).arg(&folder);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    let output = BufReader::new(child.stdout.take().expect("was piped"));
    let demo = Running { child, _home: home };
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in output.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let deadline = Instant::now() + PATIENCE;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = receiver.recv_timeout(left).expect("the rounds run in time");
        if line.contains(line_has) {
            break;
        }
    }
    let children = children(demo.child.id());
    (demo, children)
}

/// The processes that a process has started, from the kernel's table.
fn children(parent: u32) -> Vec<u32> {
    let entries = std::fs::read_dir("/proc").expect("the kernel's table").flatten();
    let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| state(*id).is_some_and(|(_, its_parent)| its_parent == parent)).collect()
}

/// The state of a process and its parent; none where it is gone.
fn state(id: u32) -> Option<(char, u32)> {
    let text =
        std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).ok()?;
    // The name in parentheses may hold anything; what follows it is regular.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[track_caller]
fn await_all_gone(processes: &[u32]) {
    let deadline = Instant::now() + Duration::from_secs(5);
    // One that has ended and that nobody has asked about is a zombie: it runs no more.
    let alive = |id: &u32| state(*id).is_some_and(|(state, _)| !matches!(state, 'Z' | 'X'));
    while processes.iter().any(alive) {
        assert!(Instant::now() < deadline, "children live on after the demonstration");
        std::thread::yield_now();
    }
}

fn signal(child: &Child, signal: Signal) {
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("is positive");
    kill_process(id, signal).expect("the process has not been waited for");
}

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardround"));
    command.stdin(Stdio::null()).env_remove("WARDROUND_HOME").env_remove("WARDROUND_COORDINATOR");
    command
}

/// Runs a command to its end.
#[track_caller]
fn wardround(arguments: &[&str]) -> Output {
    let mut command = command();
    command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let id = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("is positive");
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    let Ok(ended) = receiver.recv_timeout(PATIENCE) else {
        let _ = kill_process(id, Signal::KILL);
        panic!("`wardround {}` does not end", arguments.join(" "));
    };
    ended.expect("the program was started")
}

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(90);
