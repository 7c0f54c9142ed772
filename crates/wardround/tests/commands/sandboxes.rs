//! Confining any program.

use std::io::Write as _;

use crate::place::Place;

#[test]
fn a_program_runs_confined_and_its_end_is_told() {
    let Some(place) = confining() else { return };
    snapshot(&place, "sandbox-run", &["sandbox", "run", "--", PYTHON, "-c", "print('done')"]);
    snapshot(&place, "sandbox-run-json", &["sandbox", "run", "--json", "--", "echo", "done"]);
    let failing = "import sys; print('no', file=sys.stderr); sys.exit(7)";
    snapshot(&place, "sandbox-run-failing", &["sandbox", "run", "--", PYTHON, "-c", failing]);
}

#[test]
fn a_program_reads_what_it_was_granted_and_nothing_else() {
    let Some(place) = confining() else { return };
    place.write("granted.csv", "age\n63\n");
    place.write("other.csv", "age\n64\n");
    let granted = place.path("granted.csv").to_string_lossy().into_owned();
    let other = place.path("other.csv").to_string_lossy().into_owned();
    let read = ["sandbox", "run", "--read", "granted.csv", "--", "cat"];
    let answer = place.run(&[&read[..], &[&granted]].concat());
    assert_eq!((answer.status, answer.output.as_str()), (0, "age\n63\n"), "{}", answer.errors);
    let answer = place.run(&[&read[..], &[&other]].concat());
    assert_eq!((answer.status, answer.output.as_str()), (1, ""), "{}", answer.errors);
    assert!(answer.errors.contains("sandbox: failed"), "{}", answer.errors);
}

#[test]
fn a_program_that_oversteps_is_ended_and_the_rule_is_named() {
    let Some(place) = confining() else { return };
    let sleeping = ["sandbox", "run", "--wall", "300ms", "--", "sleep", "60"];
    snapshot(&place, "sandbox-run-wall", &sleeping);
    let filling = "b = bytearray(b'x') * (256 << 20)";
    let memory = ["sandbox", "run", "--memory", "64MiB", "--", PYTHON, "-c", filling];
    snapshot(&place, "sandbox-run-memory", &memory);
    let changing = "import os; os.setuid(0)";
    let answer = place.run(&["sandbox", "run", "--json", "--", PYTHON, "-c", changing]);
    assert_eq!(answer.status, 3, "{}", answer.transcript());
    assert!(answer.output.contains("\"policy:setuid\""), "{}", answer.transcript());
}

#[test]
fn mistakes_are_named_before_anything_runs() {
    let Some(place) = confining() else { return };
    snapshot(&place, "sandbox-run-no-program", &["sandbox", "run", "--", "no-such-program"]);
    let missing = ["sandbox", "run", "--read", "missing.csv", "--", "cat"];
    snapshot(&place, "sandbox-run-no-file", &missing);
    let script = ["sandbox", "run", "--", "./script"];
    place.write("script", "#!/bin/sh\necho done\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(place.path("script"), mode).expect("it was written");
    snapshot(&place, "sandbox-run-script", &script);
    snapshot(&place, "sandbox-run-size", &["sandbox", "run", "--memory", "much", "--", "true"]);
}

#[test]
fn the_self_test_shows_the_level_and_every_probe() {
    let Some(place) = confining() else { return };
    let document = place.document(&["sandbox", "check"]);
    let probes = document["probes"].as_array().expect("they are listed");
    assert!(probes.len() >= 12 && probes.iter().all(|probe| probe["held"] == true), "{document}");
    let told = place.done(&["sandbox", "check"]);
    assert!(told.starts_with("this machine reaches level "), "{told}");
    assert_eq!(told.lines().filter(|line| line.contains(" held ")).count(), probes.len());
}

/// A place on a machine that can confine; says so where it cannot.
fn confining() -> Option<Place> {
    let place = Place::new();
    let answer = place.run(&["sandbox", "check"]);
    if answer.status == 0 {
        return Some(place);
    }
    let told = writeln!(std::io::stderr(), "left out: the sandbox, {}", answer.output);
    told.expect("standard error is open");
    None
}

/// Compares an answer without what depends on the machine.
fn snapshot(place: &Place, name: &str, arguments: &[&str]) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter("level [ABC],", "level [LEVEL],");
    settings.add_filter(r#""level": "[ABC]""#, r#""level": "[LEVEL]""#);
    settings.add_filter(r"\d+ [KM]iB at most, \d+\.\d\d s", "[MEMORY] at most, [TIME] s");
    settings.add_filter(r#"("peak_memory_bytes"|"processor_seconds"): [0-9.]+"#, "$1: [NUMBER]");
    settings.bind(|| {
        place.snapshot(name, arguments);
    });
}

/// The system's own interpreter, which every user can read.
const PYTHON: &str = "/usr/bin/python3";
