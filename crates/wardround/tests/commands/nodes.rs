//! `wardround node init|status|pause|resume` and `wardround node plan …`, on a node that does not run.

use crate::place::Place;

const INIT: &[&str] =
    &["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north", "--coordinator"];

#[test]
fn a_folder_becomes_a_nodes() {
    let place = Place::new();
    place.snapshot("node-init", &[INIT, &["http://127.0.0.1:7400"]].concat());
    place.snapshot("node-init-again", &[INIT, &["http://127.0.0.1:7400"]].concat());
    let south = [
        "node",
        "init",
        "--insecure-loopback",
        "--name",
        "south",
        "--coordinator",
        "127.0.0.1:7400",
        "--json",
    ];
    place.snapshot("node-init-json", &south);
    assert!(place.path("home/node/node.toml").exists(), "WARDROUND_HOME is where it lives");
    place.snapshot("node-status", &["node", "status", "--dir", "north"]);
    place.snapshot("node-status-json", &["node", "status", "--dir", "north", "--json"]);
    place.snapshot("node-pause", &["node", "pause", "--dir", "north"]);
    place.snapshot("node-pause-json", &["node", "pause", "--dir", "north", "--json"]);
    place.snapshot("node-resume", &["node", "resume", "--dir", "north"]);
    place.snapshot("node-resume-json", &["node", "resume", "--dir", "north", "--json"]);
}

#[test]
fn a_node_is_backed_up_and_restored() {
    let place = Place::new();
    place.done(&[INIT, &["http://127.0.0.1:7400"]].concat());
    place.done(&["node", "pause", "--dir", "north"]);
    place.snapshot("node-backup", &["node", "backup", "north.backup", "--dir", "north"]);
    place.snapshot(
        "node-backup-json",
        &["node", "backup", "north.backup", "--dir", "north", "--json"],
    );
    place.snapshot("node-backup-nowhere", &["node", "backup", "nowhere/x", "--dir", "north"]);
    place.snapshot("node-restore", &["node", "restore", "north.backup", "--dir", "other"]);
    place.snapshot("node-restore-again", &["node", "restore", "north.backup", "--dir", "north"]);
    let json = ["node", "restore", "north.backup", "--dir", "north", "--json"];
    place.snapshot("node-restore-json", &json);
    let status = place.document(&["node", "status", "--dir", "other"]);
    assert_eq!(status["is_paused"], true);
    place.write("no.backup", "anything else");
    place.snapshot("node-restore-no-backup", &["node", "restore", "no.backup", "--dir", "other"]);
    place.done(&[
        "node",
        "init",
        "--insecure-loopback",
        "--dir",
        "south",
        "--name",
        "south",
        "--coordinator",
        "127.0.0.1:7400",
    ]);
    let south = ["node", "restore", "north.backup", "--dir", "south"];
    place.snapshot("node-restore-other-node", &south);
}

#[test]
fn an_address_that_is_not_this_machines_is_refused() {
    let place = Place::new();
    for (name, address) in [
        ("not-loopback", "http://192.0.2.7:7400"),
        ("open", "http://0.0.0.0:7400"),
        ("https", "https://127.0.0.1:7400"),
        ("malformed", "nonsense"),
    ] {
        place.snapshot(&format!("node-init-{name}"), &[INIT, &[address]].concat());
        assert!(!place.path("north").exists());
    }
    let name = [
        "node",
        "init",
        "--insecure-loopback",
        "--name",
        "two words",
        "--coordinator",
        "127.0.0.1:7400",
    ];
    place.snapshot("node-init-bad-name", &name);
    place.snapshot(
        "node-init-no-coordinator",
        &["node", "init", "--insecure-loopback", "--name", "north"],
    );
}

#[test]
fn an_owner_registers_and_decides_about_plans() {
    let place = Place::with_examples();
    place.done(&[INIT, &["http://127.0.0.1:7400"]].concat());
    let plan = |words: &[&'static str]| [&["node", "plan"], words, &["--dir", "north"]].concat();
    let digest = place.done(&["plan", "digest", "logistic.toml"]).trim().to_owned();
    let short = &digest["sha256:".len()..][..12];
    place.snapshot("node-plan-list-none", &plan(&["list"]));
    place.snapshot("node-plan-list-none-json", &plan(&["list", "--json"]));
    place.snapshot("node-plan-register", &plan(&["register", "logistic.toml"]));
    place.snapshot("node-plan-register-json", &plan(&["register", "logistic.toml", "--json"]));
    place.snapshot("node-plan-register-no-file", &plan(&["register", "nowhere.toml"]));
    place.snapshot("node-plan-register-no-plan", &plan(&["register", "north.csv"]));
    place.snapshot("node-plan-list", &plan(&["list"]));
    place.snapshot("node-plan-list-json", &plan(&["list", "--json"]));
    let show = ["node", "plan", "show", short, "--dir", "north"];
    place.snapshot("node-plan-show", &show);
    place.snapshot("node-plan-show-json", &[&show[..], &["--json"]].concat());
    for decision in ["reject", "approve"] {
        let words = ["node", "plan", decision, short, "--dir", "north", "--note", "seen on Monday"];
        place.snapshot(&format!("node-plan-{decision}"), &words);
        let words = ["node", "plan", decision, &digest, "--dir", "north", "--json"];
        place.snapshot(&format!("node-plan-{decision}-json"), &words);
    }
    owner_grants(&place, short, &plan);
    place.snapshot("node-plan-show-unknown", &plan(&["show", "012345"]));
    place.snapshot("node-plan-show-too-short", &plan(&["show", "67"]));
    place.snapshot("node-plan-approve-no-digest", &plan(&["approve", "logistic.toml"]));
}

#[test]
fn a_node_without_rounds_says_so() {
    let place = Place::new();
    place.done(&[INIT, &["http://127.0.0.1:7400"]].concat());
    place.snapshot("node-round-list-none", &["node", "round", "list", "--dir", "north"]);
    let unknown = "01890000-0000-7000-8000-000000000000";
    for command in ["show", "log", "cancel"] {
        let words = ["node", "round", command, unknown, "--dir", "north"];
        place.snapshot(&format!("node-round-{command}-unknown"), &words);
    }
    place.snapshot("node-round-show-no-id", &["node", "round", "show", "7", "--dir", "north"]);
}

/// Bounds, differences, withdrawal and the second person, of a plan that is registered.
fn owner_grants(place: &Place, short: &str, plan: &dyn Fn(&[&'static str]) -> Vec<&'static str>) {
    let typed = |words: &[&str]| {
        let words: Vec<&str> = ["node", "plan", words[0], short]
            .into_iter()
            .chain(words[1..].iter().copied())
            .collect();
        [&words[..], &["--dir", "north"]]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let snapshot = |name: &str, words: &[&str]| {
        let typed = typed(words);
        place.snapshot(name, &typed.iter().map(String::as_str).collect::<Vec<_>>());
    };
    let bounds = [
        "approve",
        "--researcher",
        "ada",
        "--dataset",
        "ward",
        "--max",
        "epochs=5",
        "--min",
        "batch_size=8",
        "--require",
        "dp_args",
        "--rounds",
        "50",
        "--min-samples",
        "100",
        "--metric",
        "loss",
        "--expires",
        "90d",
        "--purpose",
        "ethics vote 17",
        "--note",
        "for ada",
    ];
    snapshot("node-plan-approve-bounds", &bounds);
    place.write("grant.toml", "researchers = [\"ada\"]\n[family]\nmost_units = 8\n");
    snapshot("node-plan-approve-file", &["approve", "--grant", "grant.toml", "--json"]);
    snapshot("node-plan-show-granted", &["show"]);
    place.snapshot("node-plan-list-granted", &plan(&["list"]));
    snapshot("node-plan-revoke-one", &["revoke", "--grant", "4"]);
    snapshot("node-plan-revoke", &["revoke", "--note", "the study has ended"]);
    snapshot("node-plan-revoke-nothing", &["revoke"]);
    place.write("grant.toml", "researchers = [\"ada\"]\nround = 5\n");
    snapshot("node-plan-approve-mistake", &["approve", "--grant", "grant.toml"]);
    snapshot("node-plan-approve-no-file", &["approve", "--grant", "nowhere.toml"]);
    snapshot("node-plan-approve-no-bound", &["approve", "--max", "epochs"]);
    snapshot("node-plan-approve-both", &["approve", "--grant", "grant.toml", "--rounds", "5"]);
    snapshot("node-plan-countersign-nothing", &["countersign"]);
    snapshot("node-plan-diff-nothing", &["diff"]);
    let text = std::fs::read_to_string(place.path("logistic.toml")).expect("was copied");
    place.write("other.toml", format!("# read again\n{text}"));
    place
        .snapshot("node-plan-register-bounds", &plan(&["register", "other.toml", "--rounds", "5"]));
    snapshot("node-plan-diff", &["diff"]);
    snapshot("node-plan-show-same", &["show"]);
    snapshot("node-plan-dossier", &["dossier", "--output", "dossier.html"]);
    let page = std::fs::read_to_string(place.path("dossier.html")).expect("was written");
    place.compare("node-plan-dossier-page", &page);
    snapshot("node-plan-dossier-nowhere", &["dossier", "--output", "nowhere/dossier.html"]);
    std::fs::write(place.path("north/policy.toml"), "[defaults]\nsecond_person = true\n")
        .expect("is a folder");
    snapshot("node-plan-approve-waiting", &["approve"]);
    snapshot("node-plan-countersign-same", &["countersign"]);
}
