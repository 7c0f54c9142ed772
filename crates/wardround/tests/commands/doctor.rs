//! `wardround node doctor`, on healthy nodes and on broken ones.

use std::os::unix::fs::PermissionsExt as _;

use crate::federation::{Federation, Owner};
use crate::place::{Answer, Place};

/// A node `north` of a coordinator that is not there: the port was free a moment ago.
fn place() -> Place {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = free.local_addr().expect("is bound").to_string();
    let place = Place::with_examples();
    let init = [
        "node",
        "init",
        "--insecure-loopback",
        "--dir",
        "north",
        "--name",
        "north",
        "--coordinator",
        &address,
    ];
    place.done(&init);
    place
}

/// Asks the doctor, and compares all that does not depend on the machine.
#[track_caller]
fn snapshot(place: &Place, name: &str, flags: &[&str]) -> Answer {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"(?m)^\w+ +(sandbox|disk) .*\n( {20}.*\n)*", "[MACHINE] $1\n");
    let object = r#"(?s)\{\s+"area": "(sandbox|disk)".*?\n    \}"#;
    settings.add_filter(object, "[MACHINE] $1");
    settings.bind(|| {
        let words = [&["node", "doctor", "--dir", "north"], flags].concat();
        place.snapshot(&format!("node-doctor-{name}"), &words)
    })
}

#[test]
fn a_node_that_runs_is_looked_at_by_itself() {
    let federation = Federation::start(Owner::Undecided);
    let place = &federation.place;
    assert_eq!(snapshot(place, "running", &[]).status, 0);
    assert_eq!(snapshot(place, "running-json", &["--json"]).status, 0);
    // The coordinator goes, the node stays.
    let Federation { mut node, coordinator, place } = federation;
    drop(coordinator);
    node.await_event(|event| event["event"] == "disconnected");
    let answer = snapshot(&place, "running-alone", &[]);
    assert_eq!(answer.status, 1);
}

#[test]
fn a_node_that_does_not_run_is_looked_at_too() {
    let place = place();
    let answer = snapshot(&place, "nobody-there", &[]);
    assert_eq!(answer.status, 1);
    place.done(&["node", "status", "--dir", "north"]);
}

#[test]
fn what_is_wrong_with_datasets_and_permissions_is_named() {
    let place = place();
    let add = |file: &str, name: &str| {
        place.done(&["node", "dataset", "add", file, "--dir", "north", "--name", name]);
    };
    place.write("few.csv", "age,sex\n61,f\n62,m\n63,f\n");
    place.write("gone.csv", "age,sex\n61,f\n62,m\n63,f\n");
    add("north.csv", "changed");
    add("few.csv", "few");
    add("gone.csv", "gone");
    std::fs::remove_file(place.path("gone.csv")).expect("it was written");
    std::fs::copy(place.path("south.csv"), place.path("north.csv")).expect("both are there");
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path("north"), open).expect("it is our own");
    assert_eq!(snapshot(&place, "datasets", &[]).status, 1);
}

#[test]
fn a_changed_audit_log_is_told_with_its_record() {
    let place = place();
    place.write("few.csv", "age,sex\n61,f\n62,m\n63,f\n");
    place.done(&["node", "dataset", "add", "few.csv", "--dir", "north", "--name", "few"]);
    let path = place.path("north/audit/log");
    let mut log = std::fs::read(&path).expect("an act is recorded");
    *log.last_mut().expect("is not empty") ^= 1;
    std::fs::write(&path, log).expect("it is our own");
    let answer = place.run(&["node", "doctor", "--dir", "north"]);
    assert_eq!(answer.status, 1, "{}", answer.transcript());
    let told = "audit log      the audit log does not hold: record 2";
    assert!(answer.output.contains(told), "{}", answer.transcript());
}

#[test]
fn a_folder_that_cannot_be_opened_is_told_with_the_reason() {
    let place = place();
    let answer = place.snapshot("node-doctor-nowhere", &["node", "doctor", "--dir", "nowhere"]);
    assert_eq!(answer.status, 1);
    assert!(!place.path("nowhere").exists(), "nothing is made");
    place.write("north/node.sqlite", "this is no database, and it is long enough to be seen");
    assert_eq!(snapshot(&place, "no-database", &[]).status, 1);
    let text = std::fs::read_to_string(place.path("north/node.toml")).expect("was written");
    place.write("north/node.toml", text.replace("rounds_at_once", "rounds_at_one"));
    assert_eq!(snapshot(&place, "no-configuration", &[]).status, 1);
}

#[test]
fn whoever_answers_without_being_a_coordinator_is_told_apart() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("is bound").to_string();
    // It ends with the test's process.
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let place = Place::new();
    let init = [
        "node",
        "init",
        "--insecure-loopback",
        "--dir",
        "north",
        "--name",
        "north",
        "--coordinator",
        &address,
    ];
    place.done(&init);
    let answer = place.run(&["node", "doctor", "--dir", "north"]);
    assert_eq!(answer.status, 1, "{}", answer.transcript());
    let told = format!("http://{address} answers, but not as a coordinator");
    assert!(answer.output.contains(&told), "{}", answer.transcript());
}
