//! Unusual values in hospitals' tables, looked for in everything that is written anywhere else.
//!
//! The logs are at the level `trace`, and every file of the federation is searched but the tables themselves: databases,
//! artifacts, logs of rounds and of processes, and all that owners and researchers are shown. Numbers are looked for as
//! text and as the bytes of their binary forms.

use std::fs;
use std::path::{Path, PathBuf};

use federation::{Experiment, ExperimentFile, Federation, Hospital, share};

#[test]
fn no_value_of_a_table_leaves_it_while_everything_goes_well() {
    let mut federation = Federation::with_log_level("trace");
    for name in NAMES {
        let options = ["--withhold", "ward", "--withhold", "marker", "--patient-id", "patient"];
        federation.add_hospital_with(name, &planted(&share(name)), &options);
    }
    let experiment = federation.submit_approved(&ExperimentFile::default());
    experiment.await_model();
    let shown = everything_shown(&federation, &experiment);
    // The search finds what is there: the names of columns that may be shown, and the plan's own words.
    assert!(shown.contains("radius_mean") && shown.contains("breast-cancer-logistic"));
    nothing_planted(&federation, &shown);
}

#[test]
fn no_value_of_a_table_leaves_it_when_its_cells_cause_errors() {
    let mut federation = Federation::with_log_level("trace");
    let north = planted(&share("north"));
    // A class that the plan does not know, and a number that no single precision holds.
    let south = planted(&share("south")).replacen("\nM,", &format!("\n{CLASS},"), 1);
    let east = planted(&share("east")).replacen(&format!(",{FEATURE},"), &format!(",{HUGE},"), 1);
    assert!(south.contains(CLASS) && east.contains(HUGE));
    let options = ["--withhold", "ward", "--withhold", "marker", "--patient-id", "patient"];
    for (name, table) in [("north", north), ("south", south), ("east", east)] {
        federation.add_hospital_with(name, &table, &options);
    }
    let file = ExperimentFile { experiment: "round_retries = 0", ..ExperimentFile::default() };
    let experiment = federation.submit_approved(&file);
    experiment.await_named("paused");
    let failed: Vec<String> = experiment
        .events()
        .iter()
        .filter(|event| event["event"] == "reply" && event["code"] != "ok")
        .map(|event| format!("{} {}", event["site"]["node"], event["code"]))
        .collect();
    assert_eq!(failed.len(), 2, "{failed:?}");
    assert!(failed.iter().all(|text| text.contains("data.invalid")), "{failed:?}");
    let shown = everything_shown(&federation, &experiment);
    nothing_planted(&federation, &shown);
}

#[test]
fn a_table_that_cannot_be_read_is_refused_without_a_word_of_its_cells() {
    let mut federation = Federation::with_log_level("trace");
    federation.add_hospital_with("north", &planted(&share("north")), &[]);
    let hospital = federation.hospital("north");
    let ragged = planted(&share("east")) + &format!("{CLASS},{TEXT},{HUGE}\n");
    let folder = hospital.home().join("tables");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let mut shown = String::new();
    let broken = [
        ("ragged.csv", ragged.as_bytes().to_vec()),
        ("bytes.csv", [b"a,b\n1,", TEXT.as_bytes(), &[0xff, 0xfe, b'\n']].concat()),
        ("broken.parquet", [b"PAR1", TEXT.as_bytes(), b"PAR1"].concat()),
    ];
    for (name, bytes) in broken {
        let path = folder.join(name);
        fs::write(&path, bytes).expect("the table can be written");
        let add = ["node", "dataset", "add", &path.to_string_lossy(), "--name", "broken"];
        let answer = hospital.run(&add);
        assert_ne!(answer.status, 0, "{name} is no table: {answer:?}");
        shown.push_str(&answer.output);
        shown.push_str(&answer.error);
    }
    assert!(shown.contains("ragged.csv") || shown.contains("broken"), "{shown}");
    nothing_planted(&federation, &shown);
}

/// The table with an identifier, a text and two numbers that nothing else has.
fn planted(table: &str) -> String {
    let mut lines = table.lines();
    let header = lines.next().expect("the table has a header");
    let mut planted = format!("{header},ward,marker,patient\n");
    for (row, line) in lines.enumerate() {
        let mut cells: Vec<&str> = line.split(',').collect();
        if row == 3 {
            cells[1] = FEATURE;
        }
        let marker = if row % 2 == 0 { MARKER } else { OTHER_MARKER };
        planted.push_str(&format!("{},{TEXT},{marker},{PATIENT}-{row}\n", cells.join(",")));
    }
    planted
}

/// What owners and researchers can ask for, as one text.
fn everything_shown(federation: &Federation, experiment: &Experiment) -> String {
    let coordinator = &federation.coordinator;
    let id = &experiment.id;
    let researcher: [&[&str]; 8] = [
        &["experiment", "show", id],
        &["experiment", "history", id],
        &["experiment", "list"],
        &["experiment", "report", id, "--output", "/dev/stdout"],
        &["dataset", "search"],
        &["dataset", "search", "--tag", "breast-cancer"],
        &["coordinator", "nodes"],
        &["coordinator", "status"],
    ];
    let mut shown = String::new();
    for arguments in researcher {
        let answer = coordinator.run(arguments);
        shown.push_str(&answer.output);
        shown.push_str(&answer.error);
    }
    for event in experiment.events() {
        shown.push_str(&event.to_string());
    }
    for hospital in &federation.hospitals {
        shown.push_str(&everything_an_owner_sees(hospital, experiment));
    }
    shown
}

fn everything_an_owner_sees(hospital: &Hospital, experiment: &Experiment) -> String {
    let mut shown = String::new();
    let mut ask = |arguments: &[&str]| {
        let answer = hospital.run(arguments);
        shown.push_str(&answer.output);
        shown.push_str(&answer.error);
    };
    ask(&["node", "dataset", "list"]);
    ask(&["node", "dataset", "show", "breast-cancer"]);
    ask(&["node", "dataset", "check", "breast-cancer"]);
    ask(&["node", "plan", "list"]);
    ask(&["node", "plan", "show", &experiment.plan]);
    ask(&["node", "status"]);
    ask(&["node", "audit", "list"]);
    for round in hospital.rounds(&experiment.id) {
        let id = round["round_id"].as_str().expect("is a text");
        ask(&["node", "round", "show", id]);
        ask(&["node", "round", "log", id]);
    }
    for event in hospital.daemon().events() {
        shown.push_str(&event.to_string());
    }
    shown
}

/// Searches what was shown, and every file but the tables.
fn nothing_planted(federation: &Federation, shown: &str) {
    let patterns = patterns();
    let text = shown.as_bytes();
    for (name, pattern) in &patterns {
        assert!(!contains(text, pattern), "{name} was shown: {}", around(text, pattern));
    }
    let mut files = Vec::new();
    walk(federation.folder(), &mut files);
    let searched = files.iter().filter(|path| !is_table(path));
    let mut sizes = 0;
    let mut levels = 0;
    for path in searched {
        let bytes = fs::read(path).expect("the file can be read");
        sizes += bytes.len();
        levels += usize::from(contains(&bytes, b" TRACE ") || contains(&bytes, b" DEBUG "));
        for (name, pattern) in &patterns {
            assert!(
                !contains(&bytes, pattern),
                "{name} is in {}: {}",
                path.display(),
                around(&bytes, pattern)
            );
        }
    }
    assert!(sizes > 10_000, "only {sizes} bytes were searched");
    assert!(levels > 0, "no log is more than its usual self");
    let table = fs::read(federation.hospitals[0].table()).expect("the table can be read");
    for text in [TEXT, PATIENT, MARKER, OTHER_MARKER, FEATURE] {
        assert!(contains(&table, text.as_bytes()), "{text} was not planted");
    }
}

/// Every planted value in every form in which it could be written.
fn patterns() -> Vec<(String, Vec<u8>)> {
    let mut patterns: Vec<(String, Vec<u8>)> = Vec::new();
    for text in [TEXT, PATIENT, CLASS, MARKER, OTHER_MARKER, FEATURE, HUGE] {
        patterns.push((text.to_owned(), text.as_bytes().to_vec()));
    }
    for text in [MARKER, OTHER_MARKER, FEATURE, HUGE] {
        let number: f64 = text.parse().expect("is a number");
        patterns.push((format!("{text} printed"), number.to_string().into_bytes()));
        patterns.push((format!("{text} as f64"), number.to_le_bytes().to_vec()));
        patterns.push((format!("{text} as f64, big-endian"), number.to_be_bytes().to_vec()));
    }
    patterns
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder can be read") {
        let entry = entry.expect("the folder can be read");
        let kind = entry.file_type().expect("the entry has a type");
        if kind.is_dir() {
            walk(&entry.path(), files);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
}

fn is_table(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "csv" || extension == "parquet")
}

fn contains(bytes: &[u8], pattern: &[u8]) -> bool {
    bytes.windows(pattern.len()).any(|window| window == pattern)
}

/// What stands around a pattern, for whoever has to find who wrote it.
fn around(bytes: &[u8], pattern: &[u8]) -> String {
    let at = bytes.windows(pattern.len()).position(|window| window == pattern).unwrap_or(0);
    let end = bytes.len().min(at + pattern.len() + 100);
    String::from_utf8_lossy(&bytes[at.saturating_sub(200)..end]).into_owned()
}

const NAMES: [&str; 3] = ["north", "south", "east"];
const TEXT: &str = "Quokka-Zebrafinch-77";
const PATIENT: &str = "PAT-Numbat-4711";
const CLASS: &str = "Axolotl-91";
const MARKER: &str = "918273.64550191";
const OTHER_MARKER: &str = "-73645.509182";
const FEATURE: &str = "17.918273645501";
const HUGE: &str = "9.182736455e201";
