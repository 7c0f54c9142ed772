//! Plans that fail: each phase has its code, and nothing of the exception's text leaves.

use std::time::Duration;

use protocol::{Code, Detail};
use runtime::Failure;
use serde_json::{Value, json};

use crate::support::{TORCH, Ward, table};

fn arguments() -> Value {
    json!({"epochs": 1, "test_ratio": 0.25, "test_on_global_updates": true, "optimizer_args": {"lr": 0.1}})
}

/// Runs a variant of the plan with parameters that the proper one has made.
fn fail(plan: &str) -> Option<Failure> {
    let proper = Ward::new(TORCH, &table())?;
    let initial = proper.initial(&arguments()).expect("the proper plan works");
    let ward = Ward::new(plan, &table())?;
    Some(ward.run(&initial, &arguments()).err().expect("the plan fails"))
}

fn exception(class: &str, line: u32) -> Option<Detail> {
    Some(Detail::Exception { class: class.to_owned(), line: Some(line) })
}

fn line_of(plan: &str, part: &str) -> u32 {
    let place = plan.lines().position(|line| line.contains(part)).expect("the plan has it");
    u32::try_from(place + 1).expect("the plan is short")
}

#[test]
fn a_plan_that_does_not_load_says_the_line() {
    let plan = format!("{TORCH}\nthis is no Python\n");
    let Some(failure) = fail(&plan) else { return };
    assert_eq!(failure.code, Code::PlanNotLoadable);
    let detail = failure.detail.map(|detail| *detail);
    assert_eq!(detail, exception("SyntaxError", line_of(&plan, "this is no Python")));
}

#[test]
fn an_exception_in_each_phase_has_the_phases_code_and_no_text() {
    let cases = [
        ("        model = torch.nn.Linear(2, 1)", Code::PlanInitFailed),
        ("        frame = pandas.read_csv(self.dataset_path)", Code::DataInvalid),
        ("        output = self.model()(data).squeeze(1)", Code::TrainingFailed),
    ];
    for (line, code) in cases {
        let plan =
            TORCH.replace(line, &format!("        raise ValueError('patient 4711')\n{line}"));
        let Some(failure) = fail(&plan) else { return };
        assert_eq!(failure.code, code, "{}", failure.local);
        let detail = failure.detail.map(|detail| *detail);
        assert_eq!(detail, exception("ValueError", line_of(&plan, "patient 4711")));
    }
}

#[test]
fn an_optimizer_argument_that_is_not_taken_is_named() {
    let Some(ward) = Ward::new(TORCH, &table()) else { return };
    let initial = ward.initial(&arguments()).unwrap();
    let mut wrong = arguments();
    wrong["optimizer_args"]["betas"] = json!([0.9, 0.99]);
    let failure = ward.run(&initial, &wrong).err().expect("SGD takes no betas");
    assert_eq!(failure.code, Code::ArgumentsInvalid);
    let detail = failure.detail.map(|detail| *detail);
    assert!(
        matches!(&detail, Some(Detail::Argument { key, .. }) if key == "optimizer_args.betas"),
        "{detail:?}"
    );
}

#[test]
fn parameters_of_another_model_are_a_mismatch() {
    let plan = TORCH.replace("torch.nn.Linear(2, 1)", "torch.nn.Linear(3, 1)");
    let Some(failure) = fail(&plan) else { return };
    assert_eq!(failure.code, Code::ParametersMismatch);
    assert!(matches!(failure.detail.as_deref(), Some(Detail::Tensors { .. })));
}

#[test]
fn a_loss_that_is_not_finite_has_diverged() {
    let loss =
        "        return torch.nn.functional.binary_cross_entropy_with_logits(output, target)";
    let plan = TORCH.replace(loss, "        return output.sum() * float('nan')");
    let Some(failure) = fail(&plan) else { return };
    assert_eq!(failure.code, Code::TrainingDiverged);
}

#[test]
fn a_plan_that_makes_more_samples_than_the_node_counts_is_refused() {
    let plan = TORCH.replace(
        "        rows = ",
        "        frame = pandas.concat([frame, frame])\n        rows = ",
    );
    let Some(failure) = fail(&plan) else { return };
    assert_eq!(failure.code, Code::DataInvalid);
    assert!(failure.local.contains("160 samples of 80 rows"), "{}", failure.local);
}

#[test]
fn a_worker_that_speaks_out_of_turn_is_ended() {
    let plan = TORCH.replace(
        "        output = ",
        "        import socket, struct\n        text = b'{\"id\":7,\"ok\":{\"steps\":1,\"samples_trained\":1,\"more\":1}}'\n        \
         socket.socket(fileno=0).sendall(struct.pack('<IQ', len(text), 0) + text)\n        output = ",
    );
    let Some(failure) = fail(&plan) else { return };
    assert_eq!(failure.code, Code::TrainingFailed);
    assert!(failure.detail.is_none());
}

#[test]
fn a_worker_that_asks_for_more_epochs_than_the_arguments_say_is_ended() {
    let plan = TORCH.replace(
        "        output = ",
        "        import socket, struct\n        text = b'{\"id\":7,\"order\":{\"epoch\":1}}'\n        \
         socket.socket(fileno=0).sendall(struct.pack('<IQ', len(text), 0) + text)\n        output = ",
    );
    let Some(failure) = fail(&plan) else { return };
    assert_eq!(failure.code, Code::TrainingFailed);
    assert!(failure.local.contains("out of place in training"), "{}", failure.local);
}

#[test]
fn a_worker_that_is_gone_fails_in_the_phase_that_it_left() {
    let plan =
        TORCH.replace("        output = ", "        import os; os._exit(0)\n        output = ");
    let Some(failure) = fail(&plan) else { return };
    assert_eq!(failure.code, Code::TrainingFailed);
}

#[test]
fn a_plan_that_never_answers_ends_with_its_time() {
    let plan = TORCH
        .replace("        output = ", "        import time; time.sleep(3600)\n        output = ");
    let Some(proper) = Ward::new(TORCH, &table()) else { return };
    let initial = proper.initial(&arguments()).unwrap();
    let Some(ward) = Ward::timed(&plan, &table(), Some(Duration::from_secs(20))) else { return };
    let failure = ward.run(&initial, &arguments()).err().expect("the time is over");
    assert_eq!(failure.code, Code::LimitsTime);
}
