//! What is said when a command cannot find whom or what it needs.

use crate::place::Place;

/// A place whose coordinator is not there: the port was free a moment ago.
fn nobody_there() -> Place {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = free.local_addr().expect("is bound");
    let mut place = Place::new();
    place.coordinator = Some(format!("http://{address}"));
    place
}

#[test]
fn a_command_without_a_coordinator_is_a_wrong_usage() {
    let place = Place::new();
    let answer = place.snapshot("no-coordinator", &["experiment", "list"]);
    assert_eq!(answer.status, 2);
    place.snapshot("no-coordinator-json", &["coordinator", "status", "--json"]);
}

#[test]
fn a_coordinator_that_is_not_there_is_named() {
    let place = nobody_there();
    for (name, words) in [
        ("status", &["coordinator", "status"][..]),
        ("list", &["experiment", "list"]),
        ("search", &["dataset", "search"]),
    ] {
        let answer = place.snapshot(&format!("nobody-there-{name}"), words);
        assert_eq!(answer.status, 4);
    }
    let watch = ["experiment", "watch", "01890000-0000-7000-8000-00000000000e", "--wait"];
    let answer = place.snapshot("nobody-there-watch", &[&watch[..], &["0s"]].concat());
    assert_eq!(answer.status, 4);
    let since = std::time::Instant::now();
    let answer = place.snapshot("nobody-there-watch-waiting", &[&watch[..], &["1s"]].concat());
    assert_eq!(answer.status, 4);
    assert!(since.elapsed() >= std::time::Duration::from_secs(1), "{:?}", since.elapsed());
    place.snapshot("nobody-there-json", &["experiment", "list", "--json"]);
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let place = Place::new();
    let list = ["experiment", "list", "--coordinator"];
    for (name, address) in [
        ("other-machine", "http://192.0.2.7:7400"),
        ("https", "https://127.0.0.1:7400"),
        ("malformed", "nonsense"),
    ] {
        let answer = place.snapshot(&format!("address-{name}"), &[&list[..], &[address]].concat());
        assert_eq!(answer.status, 2);
    }
}

#[test]
fn a_researchers_configuration_is_read_from_the_home_folder() {
    let mut place = nobody_there();
    let url = place.coordinator.take().expect("was set");
    std::fs::create_dir(place.path("home")).expect("the place can be written");
    place.write("home/researcher.toml", format!("coordinator = \"{url}\"\nname = \"bo\"\n"));
    place.snapshot("configuration", &["experiment", "list"]);
    place.write("home/researcher.toml", "coordinator = 7\n");
    place.snapshot("configuration-broken", &["experiment", "list"]);
    place.write("home/researcher.toml", format!("coordinator = \"{url}\"\nnmae = \"bo\"\n"));
    place.snapshot("configuration-unknown-key", &["experiment", "list"]);
    let list = ["experiment", "list", "--researcher", "two words", "--coordinator", &url];
    place.write("home/researcher.toml", "");
    place.snapshot("bad-researcher", &list);
}

#[test]
fn a_folder_that_is_no_nodes_is_refused() {
    let place = Place::new();
    for (name, words) in [
        ("status", &["node", "status"][..]),
        ("start", &["node", "start"]),
        ("dataset-list", &["node", "dataset", "list"]),
    ] {
        let words = [words, &["--dir", "nowhere"]].concat();
        place.snapshot(&format!("no-node-{name}"), &words);
        assert!(!place.path("nowhere").exists(), "a refused command makes nothing");
    }
    place.snapshot("no-node-json", &["node", "status", "--dir", "nowhere", "--json"]);
}

#[test]
fn a_configuration_that_breaks_a_rule_is_refused() {
    let place = Place::new();
    let init = ["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north"];
    place.done(&[&init[..], &["--coordinator", "127.0.0.1:7400"]].concat());
    let text = std::fs::read_to_string(place.path("north/node.toml")).expect("was written");
    for (name, text) in [
        ("unknown-key", text.replace("rounds_at_once", "rounds_at_one")),
        ("no-round", text.replace("rounds_at_once = 1", "rounds_at_once = 0")),
        ("not-loopback", text.replace("127.0.0.1", "192.0.2.7")),
        ("no-toml", text.replace("rounds_at_once = 1", "rounds_at_once")),
    ] {
        place.write("north/node.toml", text);
        place
            .snapshot(&format!("node-configuration-{name}"), &["node", "status", "--dir", "north"]);
    }
    place.done(&["coordinator", "init", "--dir", "coordinator"]);
    let text =
        std::fs::read_to_string(place.path("coordinator/coordinator.toml")).expect("is there");
    for (name, text) in [
        ("unknown-key", text.replace("connections =", "conections =")),
        ("open", text.replace("127.0.0.1", "0.0.0.0")),
    ] {
        place.write("coordinator/coordinator.toml", text);
        let start = ["coordinator", "start", "--dir", "coordinator", "--insecure-loopback"];
        place.snapshot(&format!("coordinator-configuration-{name}"), &start);
    }
}

#[test]
fn a_word_that_is_no_command_is_a_wrong_usage() {
    let place = Place::new();
    place.snapshot("unknown-command", &["experimnt", "list"]);
    place.snapshot("no-command", &[]);
    place.snapshot("unknown-flag", &["node", "status", "--folder", "north"]);
}
