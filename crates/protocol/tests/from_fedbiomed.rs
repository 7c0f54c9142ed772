//! The page for those who come from Fed-BioMed leaves no name out and names nothing that is not there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use protocol::{Scalar, TrainReply, TrainRequest, Warning};
use serde_json::{Value, json};

/// The arguments of the constructor of Fed-BioMed v4.0's `Round`.
const ROUND_ARGUMENTS: &[&str] = &[
    "model_kwargs",
    "training_kwargs",
    "training",
    "dataset",
    "training_plan_url",
    "training_plan_class",
    "params_url",
    "job_id",
    "researcher_id",
    "history_monitor",
    "node_args",
    "dlp_and_loading_block_metadata",
];

/// The fields of its reply.
const REPLY_FIELDS: &[&str] = &[
    "node_id",
    "job_id",
    "researcher_id",
    "command",
    "success",
    "dataset_id",
    "params_url",
    "msg",
    "timing",
];

/// The keys of its `TrainingArgs`.
const TRAINING_ARGUMENTS: &[&str] = &[
    "optimizer_args",
    "batch_size",
    "epochs",
    "dry_run",
    "batch_maxnum",
    "test_ratio",
    "test_on_local_updates",
    "test_on_global_updates",
    "test_metric",
    "test_metric_args",
    "log_interval",
    "fedprox_mu",
    "use_gpu",
    "dp_args",
];

/// The names of its metrics.
const METRICS: &[&str] = &[
    "ACCURACY",
    "F1_SCORE",
    "PRECISION",
    "RECALL",
    "MEAN_SQUARE_ERROR",
    "MEAN_ABSOLUTE_ERROR",
    "EXPLAINED_VARIANCE",
];

/// The fields of a message of its history monitor.
const MONITOR_FIELDS: &[&str] = &[
    "researcher_id",
    "node_id",
    "job_id",
    "train",
    "test",
    "test_on_local_updates",
    "test_on_global_updates",
    "metric",
    "epoch",
    "total_samples",
    "batch_samples",
    "num_batches",
    "iteration",
    "command",
];

#[test]
fn every_name_has_exactly_one_row_of_three_cells() {
    let page = page();
    for (heading, names) in [
        ("`Round`'s constructor", ROUND_ARGUMENTS),
        ("The reply", REPLY_FIELDS),
        ("TrainingArgs", TRAINING_ARGUMENTS),
        ("Metrics", METRICS),
        ("HistoryMonitor", MONITOR_FIELDS),
    ] {
        let rows = rows(&page, heading);
        let found: Vec<&str> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
        let missing: Vec<_> = names.iter().filter(|name| !found.contains(name)).collect();
        assert!(missing.is_empty(), "section {heading:?} lacks {missing:?}");
        let distinct: BTreeSet<&str> = found.iter().copied().collect();
        assert_eq!((distinct.len(), found.len()), (names.len(), names.len()), "{heading:?}");
        for row in &rows {
            assert!(!row[2].is_empty(), "{} says no difference", row[0]);
        }
    }
}

#[test]
fn every_field_that_the_page_names_is_one() {
    let page = page();
    let types = fields();
    let mut checked = BTreeSet::new();
    for name in quoted(&page) {
        let Some((owner, field)) = name.split_once('.') else { continue };
        let Some(known) = types.get(owner) else { continue };
        assert!(known.contains(field), "{name} is no field");
        checked.insert(name);
    }
    // What the second column names, at the least.
    for heading in ["`Round`'s constructor", "The reply", "HistoryMonitor"] {
        for row in rows(&page, heading) {
            let target = quoted(&row[1]);
            let is_named = target.iter().all(|name| checked.contains(name));
            assert!(is_named && (row[1] == "–" || target.len() == 1), "row {row:?}");
        }
    }
}

#[test]
fn no_field_of_request_and_reply_is_left_out() {
    let page = page();
    let named: BTreeSet<&str> = quoted(&page).into_iter().collect();
    for (owner, fields) in fields() {
        for field in fields {
            let name = format!("{owner}.{field}");
            assert!(named.contains(name.as_str()), "the page does not name {name}");
        }
    }
}

#[test]
fn every_code_and_warning_that_the_page_names_exists() {
    let page = page();
    let groups = ["plan.", "parameters.", "data.", "training.", "egress.", "results.", "node."];
    let mut codes = 0;
    for name in quoted(&page) {
        if groups.iter().any(|group| name.starts_with(group)) && !name.ends_with(".toml") {
            assert!(name.parse::<protocol::Code>().is_ok(), "{name} is no code");
            codes += 1;
        }
        if name.starts_with("metric.") {
            assert!(name.parse::<Warning>().is_ok(), "{name} is no warning");
        }
    }
    assert!(codes > 20, "only {codes} codes are named");
}

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/from-fedbiomed.md");
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rows of the table with the fixed columns below a heading.
fn rows(page: &str, heading: &str) -> Vec<[String; 3]> {
    let title = format!("## {heading}");
    let lines = page.lines().skip_while(|line| *line != title).skip(1);
    let section: Vec<&str> = lines.take_while(|line| !line.starts_with("## ")).collect();
    let header = section.iter().position(|line| *line == "| Fed-BioMed | Wardround | difference |");
    let header = header.unwrap_or_else(|| panic!("section {heading:?} has no table"));
    let table = section[header + 2..].iter().take_while(|line| line.starts_with('|'));
    table
        .map(|line| {
            let cells: Vec<String> =
                line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
            cells.try_into().unwrap_or_else(|_| panic!("three cells in {line:?}"))
        })
        .collect()
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    let lines = text.lines();
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The fields of each message, as its JSON has them.
fn fields() -> BTreeMap<&'static str, BTreeSet<String>> {
    let keys = |value: Value| match value {
        Value::Object(object) => object.into_iter().map(|(key, _)| key).collect(),
        other => panic!("a message is an object, not {other}"),
    };
    let request: TrainRequest = parse(request());
    let reply: TrainReply = parse(reply());
    let scalar: Scalar = parse(scalar());
    BTreeMap::from([
        ("TrainRequest", keys(write(&request))),
        ("TrainReply", keys(write(&reply))),
        ("Scalar", keys(write(&scalar))),
    ])
}

fn parse<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("the sample is a message")
}

fn write(message: &impl serde::Serialize) -> Value {
    serde_json::to_value(message).expect("a message is JSON")
}

fn artifact() -> Value {
    json!({"digest": protocol::Digest::of(b"file").to_string(), "size": 4})
}

fn request() -> Value {
    json!({
        "round_id": ID, "experiment_id": ID, "round": 1, "researcher_id": "ada",
        "dataset_id": ID, "mode": "train", "seed": 42, "plan": artifact(),
        "runtime": "native", "parameters": artifact(), "time_left": 60_000,
    })
}

fn reply() -> Value {
    json!({
        "round_id": ID, "experiment_id": ID, "round": 1, "node_id": "north",
        "researcher_id": "ada", "dataset_id": ID, "code": "ok", "correlation_id": ID,
        "detail": null, "warnings": [],
        "timing": {"rtime_training": 0.5, "ptime_training": 0.4, "phases": [["train", 0.5]]},
        "update": artifact(), "sample_count": 20, "metrics_before": null, "metrics_after": null,
        "optimizer_args": {}, "auxiliary_state": null, "state_id": null,
    })
}

fn scalar() -> Value {
    json!({
        "round_id": ID, "attempt": 1, "sequence": 1, "train": true, "test": false,
        "test_on_local_updates": false, "test_on_global_updates": false,
        "metrics": [["Loss", 0.5]], "epoch": 1, "iteration": 1, "total_samples": 20,
        "batch_samples": 10, "num_batches": 2, "num_samples_trained": 10,
    })
}

const ID: &str = "0197f3a0-0000-7000-8000-000000000001";
