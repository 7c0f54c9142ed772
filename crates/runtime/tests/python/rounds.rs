//! Whole rounds of plans that work.

use parameters::Reader;
use runtime::Stage;
use serde_json::{Value, json};

use crate::support::{Recorder, TORCH, Ward, table};

fn arguments() -> Value {
    json!({
        "epochs": 2, "log_interval": 2, "test_ratio": 0.25,
        "test_on_global_updates": true, "test_on_local_updates": true,
        "loader_args": {"batch_size": 16}, "optimizer_args": {"lr": 0.5},
    })
}

#[test]
fn a_torch_plan_runs_all_phases_of_a_round() {
    let Some(ward) = Ward::new(TORCH, &table()) else { return };
    let initial = ward.initial(&arguments()).unwrap();
    let outcome = ward.run(&initial, &arguments()).unwrap();
    assert_eq!((outcome.data.train, outcome.data.validation, outcome.data.dropped), (60, 20, 0));
    assert_eq!((outcome.training.sample_count, outcome.training.steps), (60, 8));
    assert_eq!(outcome.training.optimizer_args["kind"], "SGD");
    assert_eq!(outcome.training.optimizer_args["lr"], 0.5);
    let accuracy = |report: &Option<protocol::MetricsReport>| {
        let report = report.as_ref().expect("was validated");
        assert_eq!(report.validation_count, 20);
        assert!(report.sums.is_some(), "exact pooling needs sums");
        report.metrics.iter().find(|(name, _)| name == "ACCURACY").expect("is declared").1
    };
    assert!(accuracy(&outcome.after) > accuracy(&outcome.before), "the plan learns");
    assert!(accuracy(&outcome.after) > 0.9);
    let reader = Reader::open(&outcome.update).unwrap();
    let names: Vec<&str> = reader.schema().tensors().iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["bias", "weight"]);
    assert!(reader.header().is_canonical());
}

#[test]
fn scalars_come_when_they_are_due_and_count_what_the_node_counts() {
    let Some(ward) = Ward::new(TORCH, &table()) else { return };
    let initial = ward.initial(&arguments()).unwrap();
    let outcome = ward.run(&initial, &arguments()).unwrap();
    let places: Vec<_> = outcome
        .measurements
        .iter()
        .filter_map(|measurement| match measurement.stage {
            Stage::Training { epoch } => Some((
                epoch,
                measurement.iteration,
                measurement.batch_samples,
                measurement.num_batches,
                measurement.num_samples_trained,
            )),
            Stage::ValidatingGlobal | Stage::ValidatingLocal => None,
        })
        .collect();
    let expected = [(1, 2, 16, 4, 32), (1, 4, 12, 4, 60), (2, 2, 16, 4, 92), (2, 4, 12, 4, 120)];
    assert_eq!(places, expected);
}

#[test]
fn the_same_round_gives_the_same_bytes() {
    let Some(ward) = Ward::new(TORCH, &table()) else { return };
    let initial = ward.initial(&arguments()).unwrap();
    let once = ward.run(&initial, &arguments()).unwrap().export;
    let again = ward.run(&initial, &arguments()).unwrap().export;
    assert_eq!(once, again);
}

#[test]
fn a_cancelled_training_ends_at_once() {
    let Some(ward) = Ward::new(TORCH, &table()) else { return };
    let initial = ward.initial(&arguments()).unwrap();
    let mut long = arguments();
    long["epochs"] = json!(1_000_000);
    let recorder = Recorder { interrupt_after: Some(5), ..Recorder::default() };
    let failure = ward.run_with(&initial, &long, recorder).err().expect("was cancelled");
    assert_eq!(failure.code, protocol::Code::Cancelled);
}

#[test]
fn plans_see_no_column_that_was_not_asked_for() {
    let plan = TORCH.replace(
        "        rows = ",
        "        assert list(frame.columns) == [\"class\", \"x\", \"y\"], frame.columns\n        rows = ",
    );
    let csv = table().replace("x,y,class", "x,y,class,name").replace('\n', ",n\n");
    let csv = csv.replacen(",name,n", ",name", 1);
    let Some(mut ward) = Ward::new(&plan, &csv) else { return };
    ward.columns = ["class", "x", "y"].map(str::to_owned).to_vec();
    let initial = ward.initial(&arguments()).unwrap();
    ward.run(&initial, &arguments()).unwrap();
}

#[test]
fn a_plan_whose_predictions_fail_trains_all_the_same() {
    let proper = "        return torch.sigmoid(self.model()(data)).squeeze(1)";
    let plan = TORCH.replace(proper, "        raise ValueError('patient 4711')");
    let Some(ward) = Ward::new(&plan, &table()) else { return };
    let initial = ward.initial(&arguments()).unwrap();
    let outcome = ward.run(&initial, &arguments()).unwrap();
    assert!(outcome.before.is_none() && outcome.after.is_none());
    assert_eq!(outcome.training.steps, 8);
    assert!(Reader::open(&outcome.update).is_ok());
}

#[test]
fn measured_numbers_never_pass_for_classes_in_what_leaves() {
    let numbers = TORCH
        .replace("frame[\"class\"].values,", "frame[\"class\"].values * 4711,")
        .replace("torch.sigmoid(self.model()(data)).squeeze(1)", "data.sum(1).round() * 4711");
    let Some(ward) = Ward::new(&numbers, &table()) else { return };
    let initial = ward.initial(&arguments()).unwrap();
    let report = ward.run(&initial, &arguments()).unwrap().before.expect("was validated");
    assert!(report.sums.is_none(), "{:?}", report.sums);

    let mut regression = arguments();
    regression["test_metric"] = json!("MEAN_SQUARE_ERROR");
    let report = ward.run(&initial, &regression).unwrap().before.expect("was validated");
    let sums = report.sums.expect("squares can be pooled");
    assert!(sums.get("confusion").is_none() && sums["residuals"].is_array(), "{sums}");
}
