//! `wardround node policy …`, on a node that does not run.

use crate::place::Place;

const INIT: &[&str] = &[
    "node",
    "init",
    "--insecure-loopback",
    "--dir",
    "north",
    "--name",
    "north",
    "--coordinator",
    "127.0.0.1:7400",
];

#[test]
fn an_owner_checks_a_policy_and_sees_what_is_in_effect() {
    let place = Place::new();
    place.done(INIT);
    let policy =
        |words: &[&'static str]| [&["node", "policy"], words, &["--dir", "north"]].concat();
    place.snapshot("node-policy-check", &policy(&["check"]));
    place.write(
        "strict.toml",
        "[defaults]\nresearchers = []\nmetric_digits = 3\narguments.epochs = { maximum = 5 }\n\
         [dataset.ward]\nresearchers = [\"ada\"]\narguments.dp_args = \"required\"\n",
    );
    place.snapshot("node-policy-check-file", &policy(&["check", "strict.toml"]));
    place.snapshot("node-policy-check-json", &policy(&["check", "strict.toml", "--json"]));
    place.snapshot("node-policy-check-no-file", &policy(&["check", "nowhere.toml"]));
    place.write("loose.toml", "[defaults]\nhold = true\n\n[dataset.ward]\narguments.epochs = 5\n");
    place.snapshot("node-policy-check-mistake", &policy(&["check", "loose.toml"]));
    place.snapshot("node-policy-check-mistake-json", &policy(&["check", "loose.toml", "--json"]));
    std::fs::copy(place.path("strict.toml"), place.path("north/policy.toml")).expect("is a file");
    place.snapshot("node-policy-reload", &policy(&["reload"]));
    place.snapshot("node-policy-show", &policy(&["show"]));
    place.snapshot("node-policy-show-unknown", &policy(&["show", "--dataset", "nobody"]));
}

#[test]
fn where_no_update_waits_nothing_is_released() {
    let place = Place::new();
    place.done(INIT);
    let release =
        |words: &[&'static str]| [&["node", "release"], words, &["--dir", "north"]].concat();
    let unknown = "01a208b6-62d6-7d6e-9a42-2641c4677572";
    place.snapshot("node-release-list-none", &release(&["list"]));
    place.snapshot("node-release-list-none-json", &release(&["list", "--json"]));
    place.snapshot("node-release-show-unknown", &release(&["show", unknown]));
    place.snapshot("node-release-approve-unknown", &release(&["approve", unknown]));
    place.snapshot("node-release-reject-no-identifier", &release(&["reject", "latest"]));
}
