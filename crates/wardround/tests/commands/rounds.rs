//! `wardround node round run REQUEST.json`: one request on local files, under the node's own policy.

use protocol::{ArtifactReference, Digest, TrainRequest};
use serde_json::json;
use training_plan::Bundle;

use crate::place::Place;

/// A request for one round of the example's logistic regression, and the file of its parameters.
fn prepare(place: &Place, round_id: &str, dataset_id: &str) -> TrainRequest {
    let plan = std::fs::read_to_string(place.path("logistic.toml")).expect("was copied");
    let bundle = Bundle::native(&plan, |name| std::fs::read_to_string(place.path(name)))
        .expect("the example is a plan");
    let table = std::fs::read_to_string(place.path("north.csv")).expect("was copied");
    let header = table.lines().next().expect("the table has a header");
    let mut columns: Vec<String> = header.split(',').skip(1).map(str::to_owned).collect();
    columns.sort();
    let parameters = place.path("parameters.safetensors");
    runtime::initial_parameters(&bundle, &columns, 42, &parameters).expect("the plan has a model");
    serde_json::from_value(json!({
        "round_id": round_id,
        "experiment_id": "01890000-0000-7000-8000-00000000000e",
        "round": 1,
        "researcher_id": "ada",
        "dataset_id": dataset_id,
        "mode": "train",
        "training_args": {
            "epochs": 1, "test_ratio": 0.2, "test_on_global_updates": true,
            "test_on_local_updates": true, "loader_args": {"batch_size": 32},
            "optimizer_args": {"lr": 0.1},
        },
        "seed": 42,
        "plan": reference(bundle.bytes()),
        "runtime": "native",
        "columns": columns,
        "parameters": reference(&std::fs::read(&parameters).expect("was written")),
        "time_left": 60_000,
    }))
    .expect("is a request")
}

/// What a failing disk does, with the interpreter that every Linux has.
fn damage(place: &Place, statement: &str) {
    let script =
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()";
    let mut python = std::process::Command::new("/usr/bin/python3");
    python.args(["-c", script]).arg(place.path("north/node.sqlite")).arg(statement);
    assert!(python.status().expect("it starts").success(), "{statement}");
}

fn reference(bytes: &[u8]) -> ArtifactReference {
    let size = u64::try_from(bytes.len()).expect("files of tests are small");
    ArtifactReference { digest: Digest::of(bytes), size, url: String::new() }
}

#[test]
fn a_request_runs_on_local_files_and_is_answered_once() {
    let place = Place::with_examples();
    let node = |words: &[&str]| -> Vec<String> {
        let words = ["node"].iter().chain(words).chain(&["--dir", "north"]);
        words.map(|&word| word.to_owned()).collect()
    };
    let snapshot = |name: &str, words: &[&str]| {
        let words = node(words);
        place.snapshot(name, &words.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let init = ["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north"];
    place.done(&[&init[..], &["--coordinator", "127.0.0.1:7400"]].concat());
    let add = ["node", "dataset", "add", "north.csv", "--dir", "north", "--name", "breast-cancer"];
    let dataset = place.document(&add)["dataset_id"].as_str().expect("has an id").to_owned();
    let run = |file| {
        let files = ["--plan", "logistic.toml", "--parameters", "parameters.safetensors"];
        [&["round", "run", file], &files[..], &["--output", "out"]].concat()
    };
    std::fs::create_dir(place.path("out")).expect("the place can be written");
    let refused = "01890000-0000-7000-8000-000000000001";
    let request = prepare(&place, refused, &dataset);
    place.write("refused.json", serde_json::to_string(&request).expect("is JSON"));
    let answer = snapshot("node-round-run-refused", &run("refused.json"));
    assert_eq!(answer.status, 3);
    snapshot("node-plan-list-pending", &["plan", "list"]);
    snapshot("node-plan-approve-pending", &["plan", "approve", &request.plan.digest.short()]);

    let done = "01890000-0000-7000-8000-000000000002";
    let request = TrainRequest { round_id: done.parse().expect("is an id"), ..request };
    place.write("request.json", serde_json::to_string(&request).expect("is JSON"));
    let first = snapshot("node-round-run", &run("request.json"));
    let again = snapshot("node-round-run-again", &run("request.json"));
    assert_eq!(first.output, again.output, "one reply for one request, always the same");
    snapshot("node-round-run-json", &[&run("request.json")[..], &["--json"]].concat());

    snapshot("node-round-list", &["round", "list"]);
    snapshot("node-round-list-one", &["round", "list", "--limit", "1", "--json"]);
    for id in [refused, done] {
        let name = if id == done { "" } else { "-refused" };
        snapshot(&format!("node-round-show{name}"), &["round", "show", id]);
        snapshot(&format!("node-round-log{name}"), &["round", "log", id]);
    }
    snapshot("node-round-show-json", &["round", "show", done, "--json"]);
    snapshot("node-round-log-json", &["round", "log", refused, "--json"]);
    snapshot("node-round-cancel-ended", &["round", "cancel", done]);
    snapshot("node-round-cancel-ended-json", &["round", "cancel", done, "--json"]);
    snapshot("node-round-drop-healthy", &["round", "drop", done]);
    let unknown = "01890000-0000-7000-8000-00000000000f";
    snapshot("node-round-drop-unknown", &["round", "drop", unknown]);
    snapshot("node-round-drop-unknown-json", &["round", "drop", unknown, "--json"]);

    // A row is made again from its journal; where both are damaged, the round is named.
    damage(&place, "UPDATE node_rounds SET body = 'torn'");
    snapshot("node-round-list-rebuilt", &["round", "list"]);
    damage(
        &place,
        &format!("UPDATE journal_events SET body = 'torn' WHERE machine = 'round/{refused}'"),
    );
    snapshot("node-round-list-damaged", &["round", "list"]);
    snapshot("node-round-list-damaged-json", &["round", "list", "--json"]);
    snapshot("node-round-drop", &["round", "drop", refused]);
    let listed = place.document(&["node", "round", "list", "--dir", "north"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
}

#[test]
fn a_request_that_cannot_be_read_is_a_wrong_usage() {
    let place = Place::with_examples();
    let init = ["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north"];
    place.done(&[&init[..], &["--coordinator", "127.0.0.1:7400"]].concat());
    let run = |request, plan| {
        let files = ["--plan", plan, "--parameters", "parameters.safetensors", "--dir", "north"];
        [&["node", "round", "run", request], &files[..]].concat()
    };
    place.snapshot("node-round-run-no-file", &run("nowhere.json", "logistic.toml"));
    place.write("request.json", "{\"round_id\": 7}");
    place.snapshot("node-round-run-no-request", &run("request.json", "logistic.toml"));
    let dataset = "01890000-0000-7000-8000-00000000000d";
    let request = prepare(&place, "01890000-0000-7000-8000-000000000003", dataset);
    place.write("request.json", serde_json::to_string(&request).expect("is JSON"));
    place.snapshot("node-round-run-no-plan", &run("request.json", "nowhere.toml"));
    // The files are not those that the request names.
    place.snapshot("node-round-run-other-plan", &run("request.json", "mlp.toml"));
}
