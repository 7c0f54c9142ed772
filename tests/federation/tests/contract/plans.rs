//! Python plans that fail or do not keep to the protocol: each phase has its code, and nothing of an exception's text
//! leaves.

use parameters::Parameters;
use protocol::{Code, Detail};
use runtime::Failure;
use serde_json::{Value, json};
use training_plan::Bundle;

use crate::python::shared;
use crate::ward::{Outcome, Recorder, Study, TORCH, Ward, table};

fn arguments() -> Value {
    json!({
        "epochs": 2, "test_ratio": 0.25, "test_on_global_updates": true,
        "test_on_local_updates": true, "loader_args": {"batch_size": 16},
        "optimizer_args": {"lr": 0.1},
    })
}

/// A ward with a variant of the plan, in which the text must stand that is replaced.
fn ward(replaced: &str, by: &str) -> Option<(Ward, String)> {
    assert!(TORCH.contains(replaced), "the plan has no {replaced:?}");
    let plan = TORCH.replace(replaced, by);
    let mut ward = Ward::of(Study::Python(shared()?));
    ward.bundle = Bundle::python(&plan).expect("the plan is short");
    Some((ward, plan))
}

/// Runs a variant of the plan with parameters that the proper one has made.
fn run(replaced: &str, by: &str) -> Option<Result<Outcome, Failure>> {
    let (ward, _) = ward(replaced, by)?;
    let proper = Ward::of(Study::Python(shared()?));
    Some(ward.run_from(&proper.initial(), &arguments(), Recorder::default()))
}

fn fail(replaced: &str, by: &str) -> Option<Failure> {
    run(replaced, by).map(|outcome| outcome.expect_err("the plan fails"))
}

/// Puts a line before another one, both in a method.
fn before(line: &str, added: &str) -> String {
    format!("        {added}\n{line}")
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
    let wrong = format!("        this is no Python\n{OUTPUT}");
    let Some(failure) = fail(OUTPUT, &wrong) else { return };
    assert_eq!(failure.code, Code::PlanNotLoadable);
    let line = line_of(&TORCH.replace(OUTPUT, &wrong), "this is no Python");
    assert_eq!(failure.detail.map(|detail| *detail), exception("SyntaxError", line));
}

#[test]
fn an_exception_in_each_phase_has_the_phases_code_and_no_text() {
    let cases = [
        ("        model = torch.nn.Linear(2, 1)", Code::PlanInitFailed),
        ("        frame = pandas.read_csv(self.dataset_path)", Code::DataInvalid),
        (OUTPUT, Code::TrainingFailed),
    ];
    for (line, code) in cases {
        let wrong = before(line, "raise ValueError('patient 4711')");
        let Some(failure) = fail(line, &wrong) else { return };
        assert_eq!(failure.code, code, "{}", failure.local);
        let raised = line_of(&TORCH.replace(line, &wrong), "patient 4711");
        assert_eq!(failure.detail.map(|detail| *detail), exception("ValueError", raised));
    }
}

#[test]
fn a_loss_that_is_not_finite_has_diverged() {
    let Some(failure) = fail(LOSS, "        return output.sum() * float('nan')") else { return };
    assert_eq!(failure.code, Code::TrainingDiverged);
}

#[test]
fn a_plan_that_makes_more_samples_than_the_node_counts_is_refused() {
    let doubled = before("        rows = ", "frame = pandas.concat([frame, frame])");
    let Some(failure) = fail("        rows = ", &doubled) else { return };
    assert_eq!(failure.code, Code::DataInvalid);
    assert!(failure.local.contains("160 samples of 80 rows"), "{}", failure.local);
}

/// A step that says something to the node by itself.
fn speaking(text: &str) -> String {
    let lines = [
        "import gc, socket, struct",
        "node = next(one for one in gc.get_objects() if isinstance(one, socket.socket))",
        &format!("text = b'{text}'"),
        "node.sendall(struct.pack('<IQ', len(text), 0) + text)",
    ];
    lines.iter().map(|line| format!("        {line}\n")).collect::<String>() + OUTPUT
}

#[test]
fn a_worker_that_speaks_out_of_turn_is_ended() {
    let text = r#"{"id":7,"ok":{"steps":1,"samples_trained":1,"more":1}}"#;
    let Some(failure) = fail(OUTPUT, &speaking(text)) else { return };
    assert_eq!(failure.code, Code::TrainingFailed);
    assert!(failure.local.contains("another result than asked for"), "{}", failure.local);
    assert!(failure.detail.is_none());
}

#[test]
fn a_worker_that_asks_for_more_epochs_than_the_arguments_say_is_ended() {
    let twice = speaking(r#"{"id":7,"order":{"epoch":2}}"#);
    let Some(failure) = fail(OUTPUT, &twice) else { return };
    assert_eq!(failure.code, Code::TrainingFailed);
    assert!(failure.local.contains("out of place in training"), "{}", failure.local);
}

#[test]
fn a_worker_that_is_gone_fails_in_the_phase_that_it_left() {
    let Some(failure) = fail(OUTPUT, &before(OUTPUT, "import os; os._exit(0)")) else { return };
    assert_eq!(failure.code, Code::TrainingFailed);
}

#[test]
fn plans_see_no_column_that_was_not_asked_for() {
    let looks = before(
        "        rows = ",
        "assert list(frame.columns) == ['class', 'x', 'y'], frame.columns",
    );
    let Some(runtime) = shared() else { return };
    let plan = TORCH.replace("        rows = ", &looks);
    let csv = table(80).replace("x,y,class", "x,y,class,name").replace('\n', ",n\n");
    let csv = csv.replacen(",name,n", ",name", 1);
    let mut ward = Ward::with_table(Study::Python(runtime), &csv);
    ward.bundle = Bundle::python(&plan).expect("the plan is short");
    assert_eq!(ward.run(&arguments()).expect_err("it sees the name").code, Code::DataInvalid);
    ward.columns = Some(["class", "x", "y"].map(str::to_owned).to_vec());
    ward.run(&arguments()).expect("it sees what it is to see");
}

#[test]
fn a_plan_whose_predictions_fail_trains_all_the_same() {
    let wrong = "        raise ValueError('patient 4711')";
    let Some(outcome) = run(PREDICTION, wrong) else { return };
    let outcome = outcome.expect("no metric ends a round");
    assert!(outcome.before.is_none() && outcome.after.is_none());
    assert_eq!(outcome.training.steps, 8);
    let update = Parameters::from_bytes(&outcome.update).expect("the update can be read");
    assert_eq!(update.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["bias", "weight"]);
}

#[test]
fn measured_numbers_never_pass_for_classes_in_what_leaves() {
    let numbers = "        return data.sum(1).round() * 4711";
    let Some((mut ward, plan)) = ward(PREDICTION, numbers) else { return };
    let measured = plan.replace("== \"ill\").values,", "== \"ill\").values * 4711,");
    assert_ne!(plan, measured);
    ward.bundle = Bundle::python(&measured).expect("the plan is short");
    let report = ward.run(&arguments()).expect("it trains").before.expect("was validated");
    assert!(report.sums.is_none(), "{:?}", report.sums);
    let mut regression = arguments();
    regression["test_metric"] = json!("MEAN_SQUARE_ERROR");
    let report = ward.run(&regression).expect("it trains").before.expect("was validated");
    let sums = report.sums.expect("squares can be pooled");
    assert!(sums.get("confusion").is_none() && sums["residuals"].is_array(), "{sums}");
}

#[test]
fn a_split_cannot_be_stratified_by_targets_that_are_no_classes() {
    let Some((mut ward, plan)) = ward("metrics = (", "metrics = (") else { return };
    let measured = plan.replace("== \"ill\").values,", "== \"ill\").values * 0.5,");
    assert_ne!(plan, measured);
    ward.bundle = Bundle::python(&measured).expect("the plan is short");
    let mut stratified = arguments();
    stratified["stratify"] = json!(true);
    let failure = ward.run(&stratified).expect_err("0.5 is no class");
    assert_eq!(failure.code, Code::ArgumentsInvalid, "{}", failure.local);
    let named = failure.detail.expect("the argument is named");
    assert!(matches!(&*named, Detail::Argument { key, .. } if key == "stratify"), "{named:?}");
}

const OUTPUT: &str = "        output = self.model()(data).squeeze(1)";

const LOSS: &str =
    "        return torch.nn.functional.binary_cross_entropy_with_logits(output, target)";

const PREDICTION: &str = "        return torch.sigmoid(self.model()(data)).squeeze(1)";
