//! Plans that try to carry rows out by what may leave: each is refused, or says no more than an honest plan.

use protocol::Code;
use runtime::Failure;
use serde_json::{Value, json};
use training_plan::Bundle;

use crate::python::shared;
use crate::ward::{Outcome, Recorder, Study, TORCH, Ward};

fn arguments(test_ratio: f64) -> Value {
    json!({
        "epochs": 2, "test_ratio": test_ratio, "test_on_global_updates": true,
        "loader_args": {"batch_size": 16}, "optimizer_args": {"lr": 0.1},
    })
}

/// Runs a plan into which lines are put, at a node that demands the usual number of samples.
fn run(line: &str, put: &[&str], test_ratio: f64) -> Option<Result<Outcome, Failure>> {
    assert!(TORCH.contains(line), "the plan has no {line:?}");
    let put: String = put.iter().map(|line| format!("        {line}\n")).collect();
    let mut ward = Ward::of(Study::Python(shared()?));
    let first = ward.initial();
    ward.minimum_samples = 20;
    ward.bundle = Bundle::python(&TORCH.replace(line, &(put + line))).expect("the plan is short");
    Some(ward.run_from(&first, &arguments(test_ratio), Recorder::default()))
}

/// What a researcher learns of a failure.
fn told(failure: &Failure) -> (Code, Option<&protocol::Detail>) {
    (failure.code, failure.detail.as_deref())
}

#[test]
fn the_exit_code_is_not_passed_on() {
    for number in [0, 1, 47, 255] {
        let exit = format!("import os; os._exit({number})");
        let Some(outcome) = run(STEP, &[&exit], 0.25) else { return };
        let failure = outcome.expect_err("the worker is gone");
        assert_eq!(told(&failure), (Code::TrainingFailed, None), "exit code {number}");
    }
}

#[test]
fn a_plan_that_keeps_one_patient_is_too_few_samples() {
    for kept in ["frame = frame[:1]", "frame = frame[frame.x == 4][:19]"] {
        let Some(outcome) = run(ROWS, &[kept], 0.0) else { return };
        let failure = outcome.expect_err("the node's minimum holds for what the plan keeps");
        assert_eq!(failure.code, Code::DataTooFewSamples, "{kept}: {}", failure.local);
    }
    // Enough are kept, and the split leaves too few to train on.
    let Some(outcome) = run(ROWS, &["frame = frame[:24]"], 0.5) else { return };
    assert_eq!(outcome.expect_err("12 are left").code, Code::DataTooFewSamples);
}

#[test]
fn a_validation_of_one_row_says_that_it_is_one() {
    // The node withholds metrics by this number, which is its own.
    let Some(outcome) = run(ROWS, &["pass"], 0.013) else { return };
    let outcome = outcome.expect("it trains");
    assert_eq!((outcome.data.train, outcome.data.validation), (79, 1));
    let report = outcome.before.expect("it was validated");
    assert_eq!(report.validation_count, 1, "{report:?}");
}

#[test]
fn scalars_are_no_more_than_the_arguments_say_and_where_they_say() {
    // Four batches an epoch and an interval of ten: the fourth is due, and no other.
    for (forged, said) in [
        (r#"{"id":7,"scalar":{"epoch":1,"iteration":1,"metrics":{"loss":4711.0}}}"#, "too early"),
        (r#"{"id":7,"scalar":{"epoch":1,"iteration":4,"metrics":{"loss":4711.0}}}"#, "twice"),
        (r#"{"id":7,"scalar":{"epoch":2,"iteration":4,"metrics":{"loss":4711.0}}}"#, "of later"),
        (r#"{"id":7,"scalar":{"epoch":1,"iteration":5,"metrics":{"loss":4711.0}}}"#, "of none"),
    ] {
        let lines = [
            "import gc, socket, struct",
            "node = next(one for one in gc.get_objects() if isinstance(one, socket.socket))",
            &format!("text = b'{forged}'"),
            "node.sendall(struct.pack('<IQ', len(text), 0) + text)",
        ];
        let Some(outcome) = run(STEP, &lines, 0.25) else { return };
        let failure = outcome.expect_err(said);
        assert_eq!(told(&failure), (Code::TrainingFailed, None), "{said}");
        assert!(failure.local.contains("a scalar of no batch that is due"), "{}", failure.local);
    }
}

/// The first line of the training step.
const STEP: &str = "        output = self.model()(data).squeeze(1)";
/// The first line after the table was read.
const ROWS: &str = "        rows = ";
