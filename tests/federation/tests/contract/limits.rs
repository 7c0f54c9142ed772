//! What a Python plan may use: each limit ends the round with its own code, and the next round runs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::Code;
use runtime::{Failure, PythonRuntime};
use sandbox::{Launcher, Level, Limits};
use serde_json::json;
use training_plan::Bundle;

use crate::python::{cold, launcher, limited};
use crate::ward::{Recorder, Study, Ward};

/// A plan of scikit-learn, which starts faster than torch; it does something while it opens its data.
const PLAN: &str = r#"
import os
import pandas
from wardround.plans import DataManager, FedSGDClassifier


def act():
    pass


class Plan(FedSGDClassifier):
    metrics = ("ACCURACY",)

    def training_data(self):
        act()
        frame = pandas.read_csv(self.dataset_path)
        target = (frame["class"] == "ill").to_numpy().astype(float)
        return DataManager(frame[["x", "y"]].to_numpy(), target=target)
"#;

fn limits() -> Limits {
    Limits { wall: Duration::from_secs(60), memory: 2 << 30, ..Limits::default() }
}

/// Runs a plan that does this, and then one that does nothing, with the same limits and interpreter.
fn end(act: &str, limits: Limits) -> Option<Failure> {
    let runtime: &'static PythonRuntime = Box::leak(Box::new(limited(limits)?));
    let body = format!("def act():\n    {}", act.replace('\n', "\n    "));
    let failure = attempt(runtime, &PLAN.replace("def act():\n    pass", &body));
    let failure = failure.expect_err("the plan uses too much");
    attempt(runtime, PLAN).expect("the next round runs");
    Some(failure)
}

fn ward(runtime: &'static PythonRuntime, plan: &str) -> Ward {
    let mut ward = Ward::of(Study::Python(runtime));
    ward.bundle = Bundle::python(plan).expect("the plan is short");
    ward.model_args =
        json!({"n_features": 2, "n_classes": 2}).as_object().cloned().expect("is one");
    ward
}

fn attempt(runtime: &'static PythonRuntime, plan: &str) -> Result<(), Failure> {
    let ward = ward(runtime, plan);
    let initial = ward.make_initial()?;
    ward.run_from(&initial, &json!({}), Recorder::default()).map(drop)
}

#[test]
fn time_is_limited() {
    let limits = Limits { wall: Duration::from_secs(6), ..limits() };
    let Some(failure) = end("import time\ntime.sleep(3600)", limits) else { return };
    assert_eq!(failure.code, Code::LimitsTime, "{}", failure.local);
}

#[test]
fn processor_time_is_limited() {
    let limits = Limits { processor: Some(Duration::from_secs(4)), ..limits() };
    let Some(failure) = end("while True:\n    pass", limits) else { return };
    assert_eq!(failure.code, Code::LimitsCpu, "{}", failure.local);
}

#[test]
fn memory_is_limited() {
    let limits = Limits { memory: 700 << 20, ..limits() };
    let act = "held = [bytearray(os.urandom(1 << 20)) for _ in range(4000)]";
    let Some(failure) = end(act, limits) else { return };
    assert_eq!(failure.code, Code::LimitsMemory, "{}", failure.local);
}

#[test]
fn processes_are_limited() {
    let limits = Limits { processes: 8, ..limits() };
    let act = "import threading, time\n\
               for _ in range(64):\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n\
               time.sleep(60)";
    let Some(failure) = end(act, limits) else { return };
    assert_eq!(failure.code, Code::LimitsProcesses, "{}", failure.local);
}

#[test]
fn disk_is_limited() {
    let limits = Limits { disk: 16 << 20, ..limits() };
    let act = "import time\nfile = open(os.path.join(os.environ[\"TMPDIR\"], \"fill\"), \"wb\")\n\
               try:\n    while True:\n        file.write(bytes(1 << 20))\n        file.flush()\n\
               except OSError:\n    time.sleep(60)";
    let Some(failure) = end(act, limits) else { return };
    assert_eq!(failure.code, Code::LimitsDisk, "{}", failure.local);
}

#[test]
fn disk_is_limited_for_one_round() {
    let Some(runtime) = limited(limits()) else { return };
    let act = "import time\nfile = open(os.path.join(os.environ[\"TMPDIR\"], \"fill\"), \"wb\")\n\
               try:\n    file.write(bytes(8 << 20))\n    file.flush()\n\
               except OSError:\n    time.sleep(60)";
    let body = format!("def act():\n    {}", act.replace('\n', "\n    "));
    let mut ward = ward(Box::leak(Box::new(runtime)), &PLAN.replace("def act():\n    pass", &body));
    let initial = ward.make_initial().expect("no data are opened for it");
    let run = |ward: &Ward| ward.run_from(&initial, &json!({}), Recorder::default());
    ward.disk_limit = Some(16 << 20);
    run(&ward).expect("half of it is used");
    ward.disk_limit = Some(4 << 20);
    let failure = run(&ward).expect_err("it is twice as much");
    assert_eq!(failure.code, Code::LimitsDisk, "{}", failure.local);
}

#[test]
fn output_is_limited() {
    let limits = Limits { output: 1 << 20, ..limits() };
    let act = "while True:\n    print(\"x\" * 10_000, flush=True)";
    let Some(failure) = end(act, limits) else { return };
    assert_eq!(failure.code, Code::LimitsOutput, "{}", failure.local);
}

#[test]
fn what_no_plan_may_do_ends_the_round() {
    let act = "import ctypes\nctypes.CDLL(None).ptrace(0, 0, 0, 0)";
    let Some(failure) = end(act, limits()) else { return };
    assert_eq!(failure.code, Code::SandboxViolation, "{}", failure.local);
}

#[test]
fn what_a_plan_prints_and_raises_stays_in_the_nodes_own_text() {
    let act = "print(\"patient 4711 has been here\", flush=True)\nraise KeyError(\"patient 4711\")";
    let Some(failure) = end(act, limits()) else { return };
    assert_eq!(failure.code, Code::DataInvalid);
    assert!(failure.local.contains("patient 4711 has been here"), "{}", failure.local);
    let told =
        serde_json::to_string(&failure.detail.expect("the class is known")).expect("it is right");
    assert!(told.contains("KeyError") && !told.contains("4711"), "{told}");
}

#[test]
fn a_plan_that_cannot_be_confined_does_not_run() {
    let Some(workers) = cold(Launcher::new("/bin/false"), Level::B) else { return };
    let made = PythonRuntime::new(Arc::new(workers), None);
    let failure = attempt(Box::leak(Box::new(made)), PLAN).expect_err("nothing confines it");
    assert_eq!(failure.code, Code::SandboxUnavailable);
}

#[test]
fn a_cancel_is_heard_while_the_interpreter_warms_up_and_the_next_round_finds_it_warm() {
    let Some(workers) = cold(launcher(), Level::B) else { return };
    let runtime: &'static PythonRuntime =
        Box::leak(Box::new(PythonRuntime::new(Arc::new(workers), None)));
    let ward = Ward::of(Study::Python(runtime));
    let begin = Instant::now();
    let recorder =
        Recorder { interrupt_at: Some(begin + Duration::from_millis(200)), ..Recorder::default() };
    let unused = ward.folder.path().join("none");
    let failure = ward.run_from(&unused, &json!({}), recorder).expect_err("it is cancelled");
    assert_eq!(failure.code, Code::Cancelled, "{}", failure.local);
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    ward.run(&json!({})).expect("the next round runs");
}
