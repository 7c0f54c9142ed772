//! `wardround node dataset …`.

use crate::place::{Answer, Place};

/// A node's place with small tables of every shape.
fn place() -> Place {
    let place = Place::with_examples();
    let init = ["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north"];
    place.done(&[&init[..], &["--coordinator", "http://127.0.0.1:7400"]].concat());
    place
}

#[track_caller]
fn snapshot(place: &Place, name: &str, words: &[&str]) -> Answer {
    let name = format!("node-dataset-{name}");
    place.snapshot(&name, &[&["node", "dataset"], words, &["--dir", "north"]].concat())
}

#[test]
fn a_dataset_is_registered_shown_checked_and_forgotten() {
    let place = place();
    snapshot(&place, "list-none", &["list"]);
    let about =
        ["--description", "Fine needle aspirates", "--tag", "breast-cancer", "--tag", "fna"];
    let add = ["add", "north.csv", "--name", "breast-cancer", "--withhold", "area_worst"];
    snapshot(&place, "add", &[&add[..], &about].concat());
    snapshot(&place, "add-again", &add);
    place.write("small.csv", "patient,age,sex\n1,44,f\n1,,m\n2,61,f\n");
    let small = ["add", "small.csv", "--name", "small", "--patient-id", "patient", "--json"];
    snapshot(&place, "add-json", &small);
    snapshot(&place, "list", &["list"]);
    snapshot(&place, "show", &["show", "small"]);
    snapshot(&place, "show-json", &["show", "small", "--json"]);
    snapshot(&place, "update", &["update", "small", "--minimum-level", "A", "--tag", "trial"]);
    snapshot(&place, "update-json", &["update", "small", "--description", "A few", "--json"]);
    snapshot(&place, "update-nothing", &["update", "small"]);
    snapshot(&place, "update-bad-level", &["update", "small", "--minimum-level", "D"]);
    let unknown = ["update", "unknown", "--minimum-level", "A"];
    snapshot(&place, "update-unknown", &unknown);
    snapshot(&place, "check", &["check", "small"]);
    snapshot(&place, "check-json", &["check", "small", "--json"]);
    place.write("small.csv", "patient,age,height\n1,old,1.80\n1,,1.75\n2,61,1.70\n2,62,1.70\n");
    snapshot(&place, "check-changed", &["check", "small"]);
    snapshot(&place, "check-changed-json", &["check", "small", "--json"]);
    snapshot(&place, "check-update", &["check", "small", "--update"]);
    snapshot(&place, "check-updated", &["check", "small"]);
    snapshot(&place, "remove", &["remove", "small"]);
    assert!(place.path("small.csv").exists(), "the owner's file stays");
    snapshot(&place, "remove-again", &["remove", "small"]);
    snapshot(&place, "remove-json", &["remove", "breast-cancer", "--json"]);
    snapshot(&place, "show-unknown", &["show", "small"]);
    snapshot(&place, "check-unknown", &["check", "small"]);
    snapshot(&place, "list-none-json", &["list", "--json"]);
}

#[test]
fn patients_who_withdraw_are_put_on_a_list() {
    let place = place();
    place.write("small.csv", "patient,age,sex\n1,44,f\n1,,m\n2,61,f\n");
    place.write("plain.csv", "age,sex\n44,f\n61,m\n");
    place.write("withdrawn.txt", "1\n\n 9 \n");
    place.write("wrong.txt", "1\n2\u{7}\n");
    let add = ["node", "dataset", "add", "--dir", "north"];
    place.done(&[&add[..], &["small.csv", "--name", "small", "--patient-id", "patient"]].concat());
    place.done(&[&add[..], &["plain.csv", "--name", "plain"]].concat());
    snapshot(&place, "excluded-none", &["excluded", "small"]);
    snapshot(&place, "exclude", &["exclude", "small", "--file", "withdrawn.txt"]);
    snapshot(&place, "exclude-json", &["exclude", "small", "--patient", "2", "--json"]);
    snapshot(&place, "excluded", &["excluded", "small"]);
    snapshot(&place, "excluded-json", &["excluded", "small", "--json"]);
    snapshot(&place, "show-excluded", &["show", "small"]);
    snapshot(&place, "include", &["include", "small", "--patient", "9"]);
    snapshot(&place, "include-all", &["include", "small", "--all"]);
    snapshot(&place, "exclude-nobody", &["exclude", "small"]);
    snapshot(&place, "include-nobody", &["include", "small"]);
    snapshot(&place, "exclude-wrong", &["exclude", "small", "--file", "wrong.txt"]);
    snapshot(&place, "exclude-unnamed", &["exclude", "plain", "--patient", "1"]);
    snapshot(&place, "exclude-unknown", &["exclude", "unknown", "--patient", "1"]);
}

#[test]
fn formats_are_detected_or_stated() {
    let place = place();
    place.write("semicolons.csv", "\u{feff}age;height\n44;1,80\n61;1,75\n");
    snapshot(&place, "add-detected", &["add", "semicolons.csv", "--name", "detected"]);
    place.write("tabs.tsv", "44\t1.80\n61\t1.75\n");
    snapshot(&place, "add-no-header", &["add", "tabs.tsv", "--name", "tabs", "--header", "absent"]);
    place.write("odd.txt", "age|height\n44|1,80\n61|1,75\n");
    let stated = [
        "--format",
        "delimited",
        "--delimiter",
        "pipe",
        "--header",
        "present",
        "--decimal",
        "comma",
    ];
    let add = ["add", "odd.txt", "--name", "odd", "--description", "as stated"];
    snapshot(&place, "add-stated", &[&add[..], &stated].concat());
    snapshot(
        &place,
        "add-unknown-delimiter",
        &["add", "odd.txt", "--name", "o", "--delimiter", "x"],
    );
}

#[test]
fn a_file_that_is_no_table_is_refused_with_its_reason() {
    let place = place();
    let broken: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("header-only", b"age,height\n"),
        ("ragged", b"age,height\n44,1.8\n61\n"),
        ("twice", b"age,age\n44,45\n"),
        ("not-utf8", b"age,name\n44,\xff\xfe\n"),
        ("nul", b"\x00\x01\x02\x03"),
    ];
    for (name, bytes) in broken {
        place.write("broken.csv", bytes);
        snapshot(&place, &format!("add-{name}"), &["add", "broken.csv", "--name", "broken"]);
    }
    place.write("broken.parquet", "PAR1 this is none");
    snapshot(&place, "add-no-parquet", &["add", "broken.parquet", "--name", "broken"]);
    snapshot(&place, "add-no-file", &["add", "nowhere.csv", "--name", "broken"]);
    snapshot(&place, "add-folder", &["add", ".", "--name", "broken"]);
    snapshot(&place, "add-bad-name", &["add", "north.csv", "--name", "two words"]);
    let no_column = ["add", "north.csv", "--name", "broken", "--withhold", "area"];
    snapshot(&place, "add-no-withheld-column", &no_column);
    let no_column = ["add", "north.csv", "--name", "broken", "--patient-id", "patient"];
    snapshot(&place, "add-no-patient-column", &no_column);
    snapshot(&place, "list-none-after", &["list"]);
}
