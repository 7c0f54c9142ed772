//! `wardround node audit …`, on a node that does not run.

use crate::place::Place;

const INIT: &[&str] =
    &["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north", "--coordinator"];

/// A node whose owner has done a few things.
fn place() -> Place {
    let place = Place::with_examples();
    place.done(&[INIT, &["http://127.0.0.1:7400"]].concat());
    place.snapshot("node-audit-list-none", &["node", "audit", "list", "--dir", "north"]);
    place.snapshot("node-audit-verify-none", &["node", "audit", "verify", "--dir", "north"]);
    place.done(&["node", "pause", "--dir", "north"]);
    place.done(&["node", "dataset", "add", "north.csv", "--name", "ward", "--dir", "north"]);
    place.done(&["node", "plan", "register", "logistic.toml", "--dir", "north"]);
    place
}

#[test]
fn an_owner_lists_verifies_and_exports_what_was_done() {
    let place = place();
    let audit = |words: &[&'static str]| [&["node", "audit"], words, &["--dir", "north"]].concat();
    place.snapshot("node-audit-list", &audit(&["list"]));
    place.snapshot("node-audit-list-dataset", &audit(&["list", "--dataset", "ward"]));
    place.snapshot("node-audit-list-action-json", &audit(&["list", "--action", "plan", "--json"]));
    place.snapshot("node-audit-list-since", &audit(&["list", "--since", "2999-12-31"]));
    place.snapshot("node-audit-list-no-action", &audit(&["list", "--action", "plans"]));
    place.snapshot("node-audit-list-no-time", &audit(&["list", "--since", "soon"]));
    place.snapshot("node-audit-verify", &audit(&["verify"]));
    place.snapshot("node-audit-verify-json", &audit(&["verify", "--json"]));
    place.snapshot("node-audit-export", &audit(&["export", "north.audit"]));
    place.snapshot("node-audit-export-json", &audit(&["export", "north.audit", "--json"]));
    place.snapshot("node-audit-export-nowhere", &audit(&["export", "nowhere/north.audit"]));
    place.snapshot("node-audit-no-node", &["node", "audit", "list", "--dir", "elsewhere"]);
}

#[test]
fn a_copy_is_verified_and_its_first_bad_record_is_named() {
    let place = place();
    let exported = place.document(&["node", "audit", "export", "north.audit", "--dir", "north"]);
    let verify =
        |words: &[&'static str]| [&["node", "audit", "verify", "north.audit"], words].concat();
    place.snapshot("node-audit-verify-file", &verify(&[]));
    let head = exported["head"].as_str().expect("is a text");
    place.done(&[&verify(&[])[..], &["--head", head]].concat());
    let other = "ed25519:3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c";
    let answer = place.run(&[&verify(&["--key"])[..], &[other]].concat());
    assert_eq!(answer.status, 1, "{}", answer.transcript());
    assert!(answer.errors.contains("which is not the expected one"), "{}", answer.transcript());
    place.snapshot("node-audit-verify-bad-key", &verify(&["--key", "ed25519:00"]));

    let whole = std::fs::read(place.path("north.audit")).expect("it was exported");
    let at = whole.windows(11).position(|part| part == b"dataset.add").expect("it is recorded");
    let mut changed = whole.clone();
    changed[at] = b'D';
    place.write("north.audit", changed);
    place.snapshot("node-audit-verify-changed", &verify(&[]));
    place.write("north.audit", &whole[..whole.len() - 9]);
    place.snapshot("node-audit-verify-torn", &verify(&[]));
    place.write("north.audit", "no log at all");
    place.snapshot("node-audit-verify-no-log", &verify(&[]));
    place.snapshot("node-audit-verify-no-file", &["node", "audit", "verify", "nowhere.audit"]);
}

#[test]
fn a_sheet_tells_of_a_period_and_says_first_whether_the_log_is_whole() {
    let place = place();
    let report = |words: &[&'static str]| {
        let start = ["node", "audit", "report", "--output", "sheet.html", "--dir", "north"];
        [&start[..], words].concat()
    };
    let sheet = || std::fs::read_to_string(place.path("sheet.html")).expect("it was written");
    place.snapshot("node-audit-report", &report(&[]));
    let told = sheet();
    for text in ["The log is whole.", "Audit report of north", "plan.register", "dataset=ward"] {
        assert!(told.contains(text), "{text}: {told}");
    }
    place.snapshot("node-audit-report-later", &report(&["--from", "2999-01-01", "--json"]));
    assert!(!sheet().contains("dataset=ward") && sheet().contains("The log is whole."));
    place.done(&report(&["--to", "2001-01-01"]));
    assert!(!sheet().contains("dataset=ward"));
    let nowhere = ["node", "audit", "report", "--output", "no/x.html", "--dir", "north"];
    assert_eq!(place.run(&nowhere).status, 1);

    let mut changed = std::fs::read(place.path("north/audit/log")).expect("it is there");
    let last = changed.len() - 1;
    changed[last] ^= 1;
    place.write("north/audit/log", changed);
    let answer = place.run(&report(&[]));
    assert_eq!(answer.status, 1, "{}", answer.transcript());
    assert!(sheet().contains("THE LOG IS DAMAGED"), "{}", sheet());
}

#[test]
fn a_key_is_replaced_and_one_that_is_lost_too() {
    let place = place();
    let audit = |words: &[&'static str]| [&["node", "audit"], words, &["--dir", "north"]].concat();
    place.snapshot("node-audit-rotate-key-there", &audit(&["rotate-key", "--lost"]));
    let first = place.document(&audit(&["verify"]))["key"].clone();
    place.snapshot("node-audit-rotate-key", &audit(&["rotate-key"]));
    place.snapshot("node-audit-rotate-key-json", &audit(&["rotate-key", "--json"]));
    place.snapshot("node-audit-verify-rotated", &audit(&["verify"]));
    place.done(&audit(&["export", "north.audit"]));
    let first = first.as_str().expect("is a text");
    place.done(&["node", "audit", "verify", "north.audit", "--key", first]);

    std::fs::remove_file(place.path("north/audit/key")).expect("it is there");
    place.snapshot("node-audit-verify-no-key", &audit(&["verify"]));
    place.snapshot("node-audit-rotate-key-none", &audit(&["rotate-key"]));
    place.snapshot("node-audit-rotate-key-lost", &audit(&["rotate-key", "--lost"]));
    place.snapshot("node-audit-verify-lost", &audit(&["verify"]));
    place.snapshot("node-audit-verify-lost-json", &audit(&["verify", "--json"]));
    place.snapshot("node-audit-list-keys", &audit(&["list", "--action", "log"]));
    place.done(&audit(&["export", "north.audit"]));
    let answer = place.run(&["node", "audit", "verify", "north.audit", "--key", first]);
    assert_eq!(answer.status, 1, "{}", answer.transcript());
    let place_of_the_break = answer.errors.contains("error: record 7 ");
    assert!(place_of_the_break && answer.errors.contains("was lost"), "{}", answer.transcript());
    place.done(&audit(&["report", "--output", "sheet.html"]));
    let sheet = std::fs::read_to_string(place.path("sheet.html")).expect("it was written");
    assert!(sheet.contains("A key was lost:") && sheet.contains("Key before"), "{sheet}");
}
