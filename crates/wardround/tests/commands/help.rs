//! What `--help` tells, of the program and of each group of commands.

use crate::place::Place;

#[test]
fn the_program_and_each_group_explain_themselves() {
    let place = Place::new();
    place.snapshot("help", &["--help"]);
    for group in [
        &["demo"][..],
        &["coordinator"],
        &["node"],
        &["node", "backup"],
        &["node", "restore"],
        &["node", "dataset"],
        &["node", "plan"],
        &["node", "round"],
        &["node", "audit"],
        &["node", "audit", "list"],
        &["node", "audit", "verify"],
        &["node", "audit", "export"],
        &["node", "audit", "rotate-key"],
        &["experiment"],
        &["dataset"],
        &["plan"],
        &["sandbox"],
    ] {
        place.snapshot(&format!("help-{}", group.join("-")), &[group, &["--help"][..]].concat());
    }
}

#[test]
fn every_command_has_help_and_takes_json() {
    let place = Place::new();
    for command in COMMANDS {
        let words: Vec<&str> = command.split(' ').collect();
        let answer = place.run(&[&words[..], &["--help"]].concat());
        assert_eq!(answer.status, 0, "{}", answer.transcript());
        assert!(answer.output.contains("--json"), "{}", answer.transcript());
        assert_eq!(answer.errors, "", "{command}");
    }
}

#[test]
fn the_version_is_told() {
    Place::new().snapshot("version", &["--version"]);
}

#[test]
fn completions_are_printed_for_each_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let answer = place.run(&["completions", shell]);
        assert_eq!(answer.status, 0, "{}", answer.transcript());
        assert!(answer.output.contains("wardround"), "{shell}");
        if shell == "bash" {
            place.compare("completions-bash", &answer.shortened(10).transcript());
        }
    }
    place.snapshot("completions-unknown-shell", &["completions", "tcl"]);
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let place = Place::new();
    let answer = place.run(&["manual", "pages"]);
    assert_eq!(answer.status, 0, "{}", answer.transcript());
    let page =
        |name: &str| std::fs::read_to_string(place.path(&format!("pages/{name}.1"))).unwrap();
    for command in COMMANDS {
        let name = format!("wardround-{}", command.replace(' ', "-"));
        assert!(page(&name).contains(".SH SYNOPSIS"), "{name}");
    }
    assert!(page("wardround-node-backup").contains("encrypt it before it leaves the machine"));
    assert!(!page("wardround").contains("wardround\\-manual"), "a hidden command has no page");
    assert!(!place.path("pages/wardround-manual.1").exists());
}

/// Every command that does something, as it is typed.
const COMMANDS: &[&str] = &[
    "demo",
    "coordinator init",
    "coordinator start",
    "coordinator status",
    "coordinator token",
    "coordinator nodes",
    "coordinator nodes list",
    "coordinator nodes receipts",
    "coordinator nodes revoke",
    "coordinator researchers",
    "coordinator researchers list",
    "coordinator researchers revoke",
    "node init",
    "researcher init",
    "researcher status",
    "node start",
    "node status",
    "node backup",
    "node restore",
    "node doctor",
    "node pause",
    "node resume",
    "node dataset add",
    "node dataset list",
    "node dataset show",
    "node dataset check",
    "node dataset update",
    "node dataset remove",
    "node plan list",
    "node plan show",
    "node plan diff",
    "node plan dossier",
    "node plan approve",
    "node plan reject",
    "node plan revoke",
    "node plan countersign",
    "node plan register",
    "node round list",
    "node round show",
    "node round log",
    "node round run",
    "node round cancel",
    "node round drop",
    "node audit list",
    "node audit verify",
    "node audit export",
    "node audit report",
    "node audit rotate-key",
    "experiment submit",
    "experiment watch",
    "experiment list",
    "experiment show",
    "experiment history",
    "experiment download",
    "experiment table",
    "experiment report",
    "experiment cancel",
    "experiment resume",
    "dataset search",
    "plan check",
    "plan digest",
    "plan request-approval",
    "plan status",
    "sandbox run",
    "sandbox check",
    "completions",
];
