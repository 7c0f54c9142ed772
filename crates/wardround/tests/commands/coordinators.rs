//! `wardround coordinator …`, and what everybody sees of a coordinator and its node.

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::federation::{Federation, Owner};
use crate::place::Place;

#[test]
fn a_folder_becomes_a_coordinators() {
    let place = Place::new();
    place.snapshot("coordinator-init", &["coordinator", "init", "--dir", "coordinator"]);
    place.snapshot("coordinator-init-again", &["coordinator", "init", "--dir", "coordinator"]);
    place.snapshot("coordinator-init-json", &["coordinator", "init", "--json"]);
    let init = ["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north"];
    place.done(&[&init[..], &["--coordinator", "127.0.0.1:7400"]].concat());
    place.snapshot("coordinator-init-of-a-node", &["coordinator", "init", "--dir", "north"]);
    let init = ["node", "init", "--insecure-loopback", "--dir", "coordinator", "--name", "north"];
    let init = [&init[..], &["--coordinator", "127.0.0.1:7400"]].concat();
    place.snapshot("node-init-of-a-coordinator", &init);
}

#[test]
fn a_coordinator_starts_only_where_it_may() {
    let place = Place::new();
    place.snapshot("coordinator-start-no-folder", &["coordinator", "start", "--dir", "nowhere"]);
    place.done(&["coordinator", "init", "--dir", "coordinator"]);
    let start = ["coordinator", "start", "--dir", "coordinator", "--insecure-loopback", "--listen"];
    place.snapshot("coordinator-start-open", &[&start[..], &["0.0.0.0:0"]].concat());
    place.snapshot("coordinator-start-bad-address", &[&start[..], &["7400"]].concat());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = taken.local_addr().expect("is bound").to_string();
    place.snapshot("coordinator-start-taken", &[&start[..], &[&address]].concat());
}

#[test]
fn daemons_say_when_they_are_ready_and_end_when_they_are_asked() {
    let place = Place::new();
    place.done(&["coordinator", "init", "--dir", "coordinator"]);
    let start = [
        "coordinator",
        "start",
        "--dir",
        "coordinator",
        "--insecure-loopback",
        "--listen",
        "127.0.0.1:0",
    ];
    let mut coordinator = Daemon::start(&place, &start);
    let line = coordinator.await_line(|line| line.starts_with("listening on"));
    let url = line.rsplit(' ').next().expect("the line ends with the address").to_owned();
    let init = [
        "node",
        "init",
        "--insecure-loopback",
        "--dir",
        "north",
        "--name",
        "north",
        "--coordinator",
    ];
    place.done(&[&init[..], &[&url]].concat());
    let mut node = Daemon::start(&place, &["node", "start", "--dir", "north"]);
    node.await_line(|line| line == "connected");
    place.done(&["coordinator", "status", "--dir", "coordinator"]);
    place.done(&["coordinator", "nodes", "--dir", "coordinator"]);
    for (name, daemon) in [("node", node), ("coordinator", coordinator)] {
        let mut ended = daemon.end(Signal::TERM);
        assert_eq!(ended.status, 0, "{}", ended.transcript());
        // The log has lines of its own; what the program says stands on standard output.
        ended.errors.clear();
        place.compare(&format!("{name}-start"), &ended.transcript());
    }
    place
        .snapshot("coordinator-status-stopped", &["coordinator", "status", "--dir", "coordinator"]);
    place.snapshot("coordinator-nodes-stopped", &["coordinator", "nodes", "--dir", "coordinator"]);
    place.snapshot("coordinator-nodes-nowhere", &["coordinator", "nodes", "--dir", "nowhere"]);
}

#[test]
fn whoever_watches_waits_for_a_coordinator_that_starts_later() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = free.local_addr().expect("is bound").to_string();
    drop(free);
    let mut place = Place::new();
    place.coordinator = Some(format!("http://{address}"));
    let id = "01890000-0000-7000-8000-00000000000e";
    let watch = Daemon::start(&place, &["experiment", "watch", id]);
    place.done(&["coordinator", "init", "--dir", "coordinator"]);
    let start = [
        "coordinator",
        "start",
        "--dir",
        "coordinator",
        "--insecure-loopback",
        "--listen",
        &address,
    ];
    let mut coordinator = Daemon::start(&place, &start);
    coordinator.await_line(|line| line.starts_with("listening on"));
    // The coordinator answers: it knows no such experiment.
    let answer = watch.await_end();
    assert_eq!(answer.status, 1, "{}", answer.transcript());
    assert!(answer.errors.contains("code: experiment.unknown"), "{}", answer.transcript());
}

#[test]
fn a_running_federation_is_seen_by_everybody() {
    let federation = Federation::start(Owner::Undecided);
    let place = &federation.place;
    place.snapshot("coordinator-status", &["coordinator", "status"]);
    place.snapshot("coordinator-status-json", &["coordinator", "status", "--json"]);
    place.snapshot("coordinator-nodes", &["coordinator", "nodes"]);
    place.snapshot("coordinator-nodes-json", &["coordinator", "nodes", "--json"]);
    place.snapshot("dataset-search", &["dataset", "search"]);
    place.snapshot("dataset-search-columns", &["dataset", "search", "sepsis", "--columns"]);
    place.snapshot("dataset-search-json", &["dataset", "search", "sepsis", "--json"]);
    place.snapshot("dataset-search-none", &["dataset", "search", "sepsis", "mri"]);
    place.snapshot("node-status-running", &["node", "status", "--dir", "north"]);
    place.snapshot("node-start-held", &["node", "start", "--dir", "north"]);
    place.snapshot("coordinator-start-held", &["coordinator", "start", "--dir", "coordinator"]);
    // Commands reach the daemon that holds the folder.
    place.snapshot("node-pause-running", &["node", "pause", "--dir", "north"]);
    place.snapshot("node-dataset-list-running", &["node", "dataset", "list", "--dir", "north"]);
    place.done(&["node", "resume", "--dir", "north"]);
}

#[test]
fn members_are_invited_listed_and_put_out_while_no_coordinator_runs() {
    let place = Place::new();
    let address = "https://ward.example:7400";
    place.snapshot(
        "coordinator-init-bad-address",
        &["coordinator", "init", "--dir", "coordinator", "--address", "http://ward.example:7400"],
    );
    place.done(&["coordinator", "init", "--dir", "coordinator", "--address", address]);
    let token = ["coordinator", "token", "--dir", "coordinator", "--role"];
    let made = place.run(&[&token[..], &["node", "--name", "north", "--json"]].concat());
    assert_eq!(made.status, 0, "{}", made.transcript());
    let made: serde_json::Value = serde_json::from_str(&made.output).expect("is JSON");
    let text = made["token"].as_str().expect("is a text");
    let parsed: identity::Token = text.parse().expect("is a token");
    assert_eq!(
        (parsed.address.as_str(), parsed.member.to_string().as_str()),
        (address, "node:north")
    );
    let shown =
        place.run(&[&token[..], &["researcher", "--name", "ada", "--expires", "1h"]].concat());
    let mut lines = shown.output.lines();
    assert!(lines.next().is_some_and(|line| line.parse::<identity::Token>().is_ok()));
    assert!(shown.output.contains("`wardround researcher init --join TOKEN`"), "{}", shown.output);
    for (name, arguments) in [
        ("bad-role", &["admin", "--name", "north"][..]),
        ("bad-name", &["node", "--name", "two words"]),
        ("too-long", &["node", "--name", "north", "--expires", "61days"]),
    ] {
        let command = [&token[..], arguments].concat();
        place.snapshot(&format!("coordinator-token-{name}"), &command);
    }
    let dir = ["--dir", "coordinator"];
    for role in ["nodes", "researchers"] {
        let list = [&["coordinator", role, "list"], &dir[..]].concat();
        place.snapshot(&format!("coordinator-{role}-list-none"), &list);
        let revoke = [&["coordinator", role, "revoke", "nobody"], &dir[..]].concat();
        place.snapshot(&format!("coordinator-{role}-revoke-nobody"), &revoke);
    }
    // What was invited and has not come may be put out, too: its token is good for nothing then.
    let revoke = [&["coordinator", "nodes", "revoke", "north"], &dir[..]].concat();
    place.snapshot("coordinator-nodes-revoke", &revoke);
}
