//! Every code of the runtime's phases, reached by a real cause.

use parameters::{Durability, Parameters, Tensor};
use protocol::{Code, Detail, Mode, RuntimeKind};
use runtime::{Failure, Interruption, Unfollowed, check_plan};
use serde_json::{Map, Value, json};
use training_plan::Bundle;
use training_plan::arguments::TrainingArguments;

use crate::support::{Recorder, Ward, bundle, logistic, logistic_text, table};

fn ward() -> Ward {
    Ward::new(logistic(""), &["a", "b"], &table(30), 1)
}

fn code(ward: &Ward, arguments: &Value) -> Code {
    failure(ward, arguments).code
}

fn failure(ward: &Ward, arguments: &Value) -> Failure {
    ward.run(arguments).expect_err("the round fails")
}

fn with_parameters(tensors: &[(&str, &[usize])], value: f32) -> Ward {
    let ward = ward();
    let mut parameters = Parameters::new();
    for (name, shape) in tensors {
        let values = vec![value; shape.iter().product()];
        let tensor = Tensor::from_f32(shape, &values).expect("the values fill the shape");
        parameters.insert(name, tensor).expect("the names differ");
    }
    parameters.write(&ward.parameters, None, Durability::Renamed).expect("it can be written");
    ward
}

#[test]
fn a_python_plan_is_not_for_this_runtime() {
    let mut ward = ward();
    let files = [("plan.py".to_owned(), "class Plan: ...".to_owned())];
    ward.bundle = Bundle::new(RuntimeKind::Python, files.into()).expect("the file is plain");
    assert_eq!(code(&ward, &json!({})), Code::PlanUnsupportedRuntime);
}

#[test]
fn a_plan_that_breaks_a_rule_is_not_loadable() {
    for (from, to) in
        [("[loss]", "[los]"), ("dense", "dens"), ("units", "unit"), ("\"sgd\"", "\"sdg\"")]
    {
        let mut ward = ward();
        ward.bundle = bundle(&logistic_text("").replace(from, to));
        assert_eq!(code(&ward, &json!({})), Code::PlanNotLoadable, "{to}");
    }
}

#[test]
fn what_the_engine_refuses_is_refused_with_its_line() {
    let refused = |from: &str, to: &str| {
        let error = check_plan(&bundle(&logistic_text("").replace(from, to)));
        let error = error.expect_err("the plan breaks a rule");
        format!("{error} | {}", error.hint().unwrap_or_default())
    };
    assert_eq!(
        refused("dense", "dens"),
        "plan.toml, line 13: key \"model.layers[0].dens\" is refused: layer \"dens\" is unknown; known \
         are dense, dropout, elu, gelu, identity, layer_norm, leaky_relu, relu, sigmoid, silu, \
         softplus, tanh | did you mean \"dense\"?"
    );
    assert_eq!(
        refused("units = 1", "units = 3"),
        "plan.toml, line 13: key \"model.layers[0].dense\" does not fit: loss binary_cross_entropy: \
         takes one output, the model has 3 outputs | "
    );
}

#[test]
fn model_arguments_are_not_taken() {
    let ward = ward();
    let mut instance = ward.instance().expect("the plan is right");
    let model_args = Map::from_iter([("depth".to_owned(), json!(3))]);
    let error = instance.initialise(&model_args, &TrainingArguments::default(), &mut Unfollowed);
    let error = error.expect_err("a native plan takes no model arguments");
    assert_eq!(error.code, Code::PlanInitFailed);
    assert!(
        matches!(error.detail.as_deref(), Some(Detail::Argument { key, .. }) if key == "model_args.depth")
    );
}

#[test]
fn columns_that_are_not_the_plans_fail_to_initialise() {
    let mut ward = ward();
    ward.columns.reverse();
    assert_eq!(code(&ward, &json!({})), Code::PlanInitFailed);
}

#[test]
fn an_optimizer_argument_that_is_not_taken_is_named() {
    let failure = failure(&ward(), &json!({ "optimizer_args": { "betas": [0.9, 0.9] } }));
    assert_eq!(failure.code, Code::ArgumentsInvalid);
    assert_eq!(
        failure.detail.as_deref(),
        Some(&Detail::Argument {
            key: "optimizer_args.betas".to_owned(),
            value: json!([0.9, 0.9]),
            rule: "is not taken by the plan's optimizer".to_owned(),
        })
    );
}

#[test]
fn a_metric_of_another_task_is_refused() {
    assert_eq!(code(&ward(), &json!({ "test_metric": "R2_SCORE" })), Code::ArgumentsInvalid);
}

#[test]
fn parameters_of_another_model_are_a_mismatch_with_the_tensors() {
    let ward = with_parameters(&[("layers.0.weight", &[3, 1]), ("layers.0.bias", &[1])], 0.0);
    let failure = failure(&ward, &json!({}));
    assert_eq!(failure.code, Code::ParametersMismatch);
    let Some(Detail::Tensors { expected, found }) = failure.detail.as_deref() else {
        panic!("the tensors are named");
    };
    assert_eq!((expected.len(), &expected[0].shape), (1, &vec![2, 1]));
    assert_eq!((found.len(), &found[0].shape), (1, &vec![3, 1]));
}

#[test]
fn parameters_that_are_no_file_of_ours_are_invalid() {
    let broken = ward();
    std::fs::write(&broken.parameters, b"not a model").expect("it can be written");
    assert_eq!(code(&broken, &json!({})), Code::ParametersInvalid);
    let infinite =
        with_parameters(&[("layers.0.weight", &[2, 1]), ("layers.0.bias", &[1])], f32::INFINITY);
    assert_eq!(code(&infinite, &json!({})), Code::ParametersInvalid);
}

#[test]
fn parameters_that_are_gone_are_unavailable() {
    let ward = ward();
    std::fs::remove_file(&ward.parameters).expect("it was there");
    assert_eq!(code(&ward, &json!({})), Code::ParametersUnavailable);
}

#[test]
fn a_table_that_is_gone_is_unavailable_and_a_changed_one_invalid() {
    let gone = ward();
    std::fs::remove_file(&gone.table).expect("it was there");
    assert_eq!(code(&gone, &json!({})), Code::DataUnavailable);
    let changed = ward();
    std::fs::write(&changed.table, table(31)).expect("it can be written");
    assert_eq!(code(&changed, &json!({})), Code::DataInvalid);
}

#[test]
fn data_that_the_plan_does_not_allow_is_invalid_and_no_cell_is_told() {
    let missing = Ward::new(logistic(""), &["a", "b"], "a,b,y\n1,2,yes\n,3,no\n", 1);
    let other_class = Ward::new(logistic(""), &["a", "b"], "a,b,y\n1,2,yes\n2,3,CANARY\n", 1);
    let too_large = Ward::new(logistic(""), &["a", "b"], "a,b,y\n1e300,2,yes\n2,3,no\n", 1);
    for ward in [missing, other_class, too_large] {
        let failure = failure(&ward, &json!({}));
        assert_eq!((failure.code, &failure.detail), (Code::DataInvalid, &None));
        assert!(!failure.local.contains("CANARY") && !failure.local.contains("300"), "{failure}");
    }
}

#[test]
fn too_few_rows_are_told_without_their_number() {
    let mut ward = ward();
    ward.minimum_samples = 31;
    let failure = failure(&ward, &json!({}));
    assert_eq!((failure.code, failure.detail), (Code::DataTooFewSamples, None));
}

#[test]
fn the_minimum_counts_what_is_trained_on() {
    let mut ward = ward();
    ward.minimum_samples = 20;
    let split = |ratio: f64| json!({ "test_ratio": ratio, "test_on_global_updates": true });
    let (_, summary) = ward.opened(&split(0.3)).expect("21 of 30 rows are left");
    assert_eq!((summary.train, summary.validation), (21, 9));
    assert_eq!(code(&ward, &split(0.4)), Code::DataTooFewSamples);
    assert_eq!(code(&ward, &split(1.0)), Code::DataNoTrainingSamples);
    ward.mode = Mode::Validate;
    let (_, summary) = ward.opened(&split(0.4)).expect("nothing is trained on");
    assert_eq!((summary.train, summary.validation), (18, 12));
    ward.minimum_samples = 31;
    assert_eq!(code(&ward, &split(0.4)), Code::DataTooFewSamples);
}

#[test]
fn nothing_left_to_train_on_is_its_own_code() {
    let mut ward = ward();
    let all = json!({ "test_ratio": 1, "test_on_global_updates": true });
    assert_eq!(code(&ward, &all), Code::DataNoTrainingSamples);
    let dropped = json!({ "loader_args": { "batch_size": 31, "drop_last": true } });
    assert_eq!(code(&ward, &dropped), Code::DataNoTrainingSamples);
    ward.mode = Mode::Validate;
    let (_, summary) = ward.opened(&all).expect("validating needs no training rows");
    assert_eq!((summary.train, summary.validation), (0, 30));
}

#[test]
fn a_learning_rate_beyond_reason_diverges() {
    let text = logistic_text("")
        .replace("\"binary\"\ntarget", "\"regression\"\ntarget")
        .replace("classes = [\"no\", \"yes\"]\n", "")
        .replace("[metrics]\nnames = [\"ACCURACY\", \"ROC_AUC\"]\n", "")
        .replace("binary_cross_entropy", "mean_squared_error");
    let csv = "a,b,y\n".to_owned() + &"1,2,3\n2,1,5\n4,2,1\n".repeat(10);
    let ward = Ward::new(bundle(&text), &["a", "b"], &csv, 1);
    let arguments = json!({ "epochs": 400, "batch_size": 2, "optimizer_args": { "lr": 1e6 } });
    assert_eq!(code(&ward, &arguments), Code::TrainingDiverged);
}

#[test]
fn an_interruption_ends_training_between_batches() {
    for (interruption, expected) in [
        (Interruption::Cancelled, Code::Cancelled),
        (Interruption::DeadlineExceeded, Code::DeadlineExceeded),
    ] {
        let recorder = Recorder { interrupt: Some((3, interruption)), ..Recorder::default() };
        let arguments = json!({ "epochs": 1_000_000, "batch_size": 2, "log_interval": 1 });
        let failure = ward().run_with(&arguments, recorder).expect_err("it is interrupted");
        assert_eq!(failure.code, expected);
    }
}

#[test]
fn a_model_that_needs_more_memory_than_allowed_is_refused_before_it_runs() {
    let mut ward = ward();
    ward.memory_limit = Some(1_000_000);
    assert!(ward.run(&json!({})).is_ok());
    ward.memory_limit = Some(100);
    let failure = failure(&ward, &json!({}));
    assert_eq!(failure.code, Code::LimitsMemory);
    assert!(
        matches!(failure.detail.as_deref(), Some(Detail::Bound { limit, requested, .. }) if requested > limit)
    );
}

#[test]
fn a_model_beyond_the_limit_is_refused_without_being_built() {
    let text = logistic_text("").replace(
        "layers = [",
        "layers = [{ dense = { units = 1000000 } }, { dense = { units = 2000 } }, ",
    );
    let mut ward = ward();
    ward.bundle = bundle(&text);
    ward.memory_limit = Some(1 << 30);
    assert_eq!(code(&ward, &json!({})), Code::LimitsMemory);
}

#[test]
fn an_update_that_cannot_be_written_fails_to_export() {
    let ward = ward();
    let (mut instance, _) = ward.opened(&json!({})).expect("the data is right");
    let path = ward.folder.path().join("no such folder").join("update.safetensors");
    let error =
        instance.export(&path, &mut Recorder::default()).expect_err("the folder is not there");
    assert_eq!(error.code, Code::PlanExportFailed);
}

#[test]
fn a_step_out_of_order_is_a_defect_of_the_caller() {
    let mut instance = ward().instance().expect("the plan is right");
    let error = instance.train(&mut Recorder::default()).expect_err("nothing is loaded");
    assert_eq!(error.code, Code::NodeInternal);
}
