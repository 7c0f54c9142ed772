//! `wardround experiment …`, against a real coordinator and a real node.

use runtime::Predictor;
use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::federation::{Federation, Owner};
use crate::place::Place;

#[track_caller]
fn snapshot(place: &Place, name: &str, words: &[&str]) -> crate::place::Answer {
    place.snapshot(&format!("experiment-{name}"), &[&["experiment"], words].concat())
}

#[test]
fn an_experiment_runs_to_its_end() {
    let federation = Federation::start(Owner::Approved);
    let place = &federation.place;
    snapshot(place, "list-none", &["list"]);
    let id = federation.submit();
    place.done(&["experiment", "watch", &id]);
    snapshot(place, "watch", &["watch", &id]);
    place.compare(
        "experiment-watch-json",
        &contract(place.run(&["experiment", "watch", &id, "--json"])),
    );
    snapshot(place, "list", &["list"]);
    snapshot(place, "list-json", &["list", "--json"]);
    snapshot(place, "show", &["show", &id]);
    snapshot(place, "show-json", &["show", &id, "--json"]);
    snapshot(place, "history", &["history", &id]);
    snapshot(place, "history-csv", &["history", &id, "--csv"]);
    snapshot(place, "history-json", &["history", &id, "--json"]);
    snapshot(place, "history-csv-and-json", &["history", &id, "--csv", "--json"]);
    snapshot(place, "download", &["download", &id]);
    snapshot(place, "download-json", &["download", &id, "--output", "m.safetensors", "--json"]);
    snapshot(place, "download-nowhere", &["download", &id, "--output", "no/m.safetensors"]);
    let files = ["model.safetensors", "m.safetensors"].map(|name| place.path(name));
    Predictor::open(&files[0]).expect("the model can be used without its plan");
    let [one, other] = files.map(|file| std::fs::read(file).expect("was written"));
    assert_eq!(one, other);
    snapshot(place, "report", &["report", &id]);
    snapshot(place, "report-json", &["report", &id, "--output", "r.html", "--json"]);
    snapshot(place, "report-nowhere", &["report", &id, "--output", "no/r.html"]);
    let page = std::fs::read_to_string(place.path("report.html")).expect("was written");
    assert!(page.contains("sepsis from lactate"));
    snapshot(place, "cancel-ended", &["cancel", &id]);
    snapshot(place, "resume-ended", &["resume", &id]);
    snapshot(place, "resume-ended-json", &["resume", &id, "--json"]);
    let rounds = place.document(&["node", "round", "list", "--dir", "north"]);
    // Two rounds that train, and one that measures the last model.
    assert_eq!(rounds.as_array().map(Vec::len), Some(3));
    let accuracy =
        place.document(&["experiment", "history", &id])["rounds"][1]["metrics"][0]["value"]
            .as_f64();
    assert!(accuracy.is_some_and(|accuracy| accuracy > 0.6), "{accuracy:?}");
}

#[test]
fn an_experiment_waits_for_an_owner_and_says_for_whom() {
    let mut federation = Federation::start(Owner::Undecided);
    let submit = ["submit", "experiment.toml", "--seed", "7"];
    let submitted = snapshot(&federation.place, "submit", &submit);
    let id = submitted.output.split_whitespace().nth(1).expect("the identifier").to_owned();
    let place = &federation.place;
    let mut watch = Daemon::start(place, &["experiment", "watch", &id]);
    watch.await_line(|line| line.starts_with("waiting for the approval"));
    place.compare("experiment-watch-detached", &watch.end(Signal::INT).transcript());
    snapshot(place, "show-waiting", &["show", &id]);
    snapshot(place, "list-waiting", &["list"]);
    snapshot(place, "history-waiting", &["history", &id]);
    snapshot(place, "resume-waiting", &["resume", &id]);
    place.snapshot("node-plan-list-asked", &["node", "plan", "list", "--dir", "north"]);
    let digest = place.done(&["plan", "digest", "plan.toml"]).trim().to_owned();
    let show = ["node", "plan", "show", &digest, "--dir", "north"];
    place.snapshot("node-plan-show-asked", &show);
    place.snapshot("node-plan-show-asked-json", &[&show[..], &["--json"]].concat());
    place.done(&["node", "plan", "approve", &digest, "--dir", "north"]);
    place.done(&["experiment", "watch", &id]);
    federation.node.await_event(|event| event["event"] == "round-ended" && event["code"] == "ok");
    snapshot(&federation.place, "watch-approved", &["watch", &id]);
}

#[test]
fn an_owner_may_refuse() {
    let federation = Federation::start(Owner::Undecided);
    let place = &federation.place;
    let id = federation.submit_and_ask();
    let digest = place.done(&["plan", "digest", "plan.toml"]).trim().to_owned();
    let reject = ["node", "plan", "reject", &digest, "--dir", "north", "--note", "not reviewed"];
    place.done(&reject);
    let mut watch = Daemon::start(place, &["experiment", "watch", &id, "--json"]);
    watch.await_event(|event| event["event"] == "paused" || event["event"] == "failed");
    drop(watch);
    snapshot(place, "show-rejected", &["show", &id]);
    snapshot(place, "list-rejected", &["list"]);
    place.done(&["node", "plan", "approve", &digest, "--dir", "north"]);
    snapshot(place, "resume-rejected", &["resume", &id]);
}

#[test]
fn a_site_without_the_loading_plan_that_is_expected_is_refused_by_itself() {
    let mut federation = Federation::start(Owner::Approved);
    let text = std::fs::read_to_string(federation.place.path("experiment.toml")).expect("is there");
    let expecting = text.replace("rounds = 2", "rounds = 2\nloading_plan = \"sepsis@2\"");
    federation.place.write("experiment.toml", expecting);
    let plan = "kind = \"table\"\nname = \"sepsis\"\nversion = ";
    let code = |wanted: &'static str| {
        move |event: &serde_json::Value| event["event"] == "round-ended" && event["code"] == wanted
    };
    federation.submit();
    federation.node.await_event(code("data.invalid"));
    for (version, wanted) in [(1, "data.invalid"), (2, "ok")] {
        federation.place.write("loading.toml", format!("{plan}{version}\n"));
        let attach = ["node", "dataset", "loading-plan", "ward", "loading.toml", "--dir", "north"];
        federation.place.done(&attach);
        federation.submit();
        federation.node.await_event(code(wanted));
    }
}

#[test]
fn an_experiment_is_cancelled() {
    let federation = Federation::start(Owner::Undecided);
    let place = &federation.place;
    let id = federation.submit_and_ask();
    snapshot(place, "cancel", &["cancel", &id]);
    snapshot(place, "watch-cancelled", &["watch", &id]);
    snapshot(place, "watch-cancelled-json", &["watch", &id, "--json"]);
    snapshot(place, "show-cancelled", &["show", &id]);
    snapshot(place, "cancel-again", &["cancel", &id]);
    let other = federation.submit_and_ask();
    snapshot(place, "cancel-json", &["cancel", &other, "--json"]);
}

#[test]
fn an_experiment_is_submitted_and_followed_at_once() {
    let federation = Federation::start(Owner::Approved);
    let place = &federation.place;
    let answer = place.run(&["experiment", "submit", "experiment.toml", "--watch", "--json"]);
    assert_eq!(answer.status, 0, "{}", answer.transcript());
    let events = answer.output.lines().map(|line| {
        let event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        event["event"].as_str().expect("each line has an event").to_owned()
    });
    let events: Vec<String> = events.collect();
    assert_eq!(events.first().map(String::as_str), Some("submitted"));
    assert_eq!(events.last().map(String::as_str), Some("completed"));
    assert_eq!(events.iter().filter(|event| *event == "round-finished").count(), 2);
    // The model of one experiment is where the next one starts.
    let listed = place.document(&["experiment", "list"]);
    let id = listed[0]["experiment_id"].as_str().expect("has an id");
    place.done(&["experiment", "download", id]);
    let again = ["experiment", "submit", "experiment.toml", "--parameters", "model.safetensors"];
    let id = place.document(&again)["experiment_id"].as_str().expect("has an id").to_owned();
    let history = place.document(&["experiment", "history", &id]);
    let digest =
        protocol::Digest::of(&std::fs::read(place.path("model.safetensors")).expect("is there"));
    assert_eq!(history["rounds"][0]["model"]["digest"], digest.to_string());
    place.done(&["experiment", "watch", &id]);
}

#[test]
fn an_experiment_file_that_breaks_a_rule_is_refused() {
    let federation = Federation::start(Owner::Undecided);
    let place = &federation.place;
    let text = std::fs::read_to_string(place.path("experiment.toml")).expect("was written");
    let broken = [
        ("unknown-key", text.replace("min_nodes", "minimum_nodes")),
        ("no-rounds", text.replace("rounds = 2", "rounds = 0")),
        ("bad-deadline", text.replace("\"60s\"", "\"soon\"")),
        ("bad-batch", text.replace("batch_size = 8", "batch_size = 0")),
        ("no-plan", text.replace("\"plan.toml\"", "\"nowhere.toml\"")),
        ("no-dataset", text.replace("[\"sepsis\"]", "[\"mri\"]")),
        ("unknown-node", text.replace("tags = [\"sepsis\"]", "nodes = [\"west\"]")),
        ("unknown-argument", text.replace("epochs = 2", "epoch = 2")),
    ];
    for (name, text) in broken {
        place.write("broken.toml", text);
        snapshot(place, &format!("submit-{name}"), &["submit", "broken.toml"]);
    }
    snapshot(place, "submit-no-file", &["submit", "nowhere.toml"]);
    place.write("ward.toml", "not toml at all");
    snapshot(place, "submit-no-toml", &["submit", "ward.toml"]);
    let plan = std::fs::read_to_string(place.path("plan.toml")).expect("was written");
    place.write("plan.toml", plan.replace("[\"lactate\"]", "[\"creatinine\"]"));
    snapshot(place, "submit-no-column", &["submit", "experiment.toml"]);
}

#[test]
fn an_experiment_that_nobody_knows_is_not_found() {
    let federation = Federation::start(Owner::Undecided);
    let id = "01890000-0000-7000-8000-00000000000e";
    for command in ["show", "watch", "history", "download", "report", "cancel", "resume"] {
        snapshot(&federation.place, &format!("{command}-unknown"), &[command, id]);
    }
    snapshot(&federation.place, "show-unknown-json", &["show", id, "--json"]);
    snapshot(&federation.place, "show-no-id", &["show", "seven"]);
}

/// A transcript of events that come in the same order whenever an experiment runs: without the progress in between.
fn contract(mut answer: crate::place::Answer) -> String {
    let lines = answer.output.lines().filter_map(|line| {
        let mut event: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        let name = event["event"].as_str().expect("each event has a name");
        if ["scalar", "queued", "started"].contains(&name) {
            return None;
        }
        assert!(event["sequence"].is_u64(), "{line}");
        event["sequence"] = "[SEQUENCE]".into();
        Some(format!("{event}\n"))
    });
    answer.output = lines.collect();
    answer.transcript()
}
