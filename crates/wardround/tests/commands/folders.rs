//! `wardround node dataset …` with folders and data loading plans.

use std::path::Path;
use std::time::Instant;

use crate::federation::{Federation, Owner};
use crate::place::{Answer, PATIENCE, Place};

/// A node's place with the images and volumes of other writers.
fn place() -> Place {
    let place = Place::new();
    let init = ["node", "init", "--insecure-loopback", "--dir", "north", "--name", "north"];
    place.done(&[&init[..], &["--coordinator", "http://127.0.0.1:7400"]].concat());
    for (name, fixture) in [
        ("patches/benign/1.png", "alpha.png"),
        ("patches/benign/2.jpg", "colour.jpg"),
        ("patches/M/3.jpg", "grey.jpg"),
        ("patches/unsure/4.png", "palette.png"),
        ("patches/M/notes.txt", "make_images.py"),
        ("mri/sub-01/T1w/x.nii.gz", "scaled.nii.gz"),
        ("mri/sub-01/seg/x.nii", "labels.nii"),
        ("mri/sub-02/T1_mprage/x.nii", "big-endian.nii"),
        ("mri/sub-02/seg/x.nii", "labels.nii"),
        ("mri/sub-03/T1w/x.nii.gz", "second.nii.gz"),
        ("mri/sub-04/T1w/x.nii", "big-endian.nii"),
        ("mri/sub-04/seg/x.nii", "labels.nii"),
    ] {
        put(&place, name, &std::fs::read(fixtures().join(fixture)).expect("it is shipped"));
    }
    let table = "participant_id\tAGE\tsex\tname\nsub-01\t61\t1\tAnn\nsub-02\t48\t2\tBob\nsub-03\t70\t1\tEve\n";
    put(&place, "mri/participants.tsv", table.as_bytes());
    place
}

fn fixtures() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dataset/tests/fixtures")
}

fn put(place: &Place, name: &str, bytes: &[u8]) {
    let path = place.path(name);
    std::fs::create_dir_all(path.parent().expect("is in a folder")).expect("can be made");
    std::fs::write(path, bytes).expect("can be written");
}

#[track_caller]
fn snapshot(place: &Place, name: &str, words: &[&str]) -> Answer {
    let name = format!("node-dataset-{name}");
    place.snapshot(&name, &[&["node", "dataset"], words, &["--dir", "north"]].concat())
}

const CLASSES: &str = "\
kind = \"image-folder\"
name = \"histology\"
version = 3
description = \"Two classes in the study's order\"

[classes]
malignant = \"M\"
benign = [\"benign\", \"B\"]
";
const MODALITIES: &str = "\
kind = \"medical-folder\"
name = \"glioma\"
version = 1

[modalities]
T1 = [\"T1w\", \"T1_mprage\"]
label = \"seg\"

[columns]
age = \"AGE\"

[categories.sex]
1 = \"female\"
2 = \"male\"

[units.age]
from = \"years\"
to = \"decades\"
factor = 0.1
";

#[test]
fn an_image_folder_is_registered_shown_and_checked() {
    let place = place();
    snapshot(&place, "add-images", &["add", "patches", "--name", "patches", "--tag", "histology"]);
    place.write("histology.toml", CLASSES);
    snapshot(&place, "loading-plan-images", &["loading-plan", "patches", "histology.toml"]);
    snapshot(&place, "show-images-json", &["show", "patches", "--json"]);
    snapshot(&place, "check-images", &["check", "patches"]);
    put(&place, "patches/B/5.jpg", &std::fs::read(fixtures().join("grey.jpg")).expect("shipped"));
    snapshot(&place, "check-images-changed", &["check", "patches"]);
    snapshot(&place, "loading-plan-changed", &["loading-plan", "patches", "--detach"]);
    snapshot(&place, "check-images-update", &["check", "patches", "--update"]);
    snapshot(&place, "loading-plan-detach", &["loading-plan", "patches", "--detach"]);
    snapshot(&place, "list-folders", &["list"]);
}

#[test]
fn a_medical_folder_is_registered_under_its_plan() {
    let place = place();
    place.write("glioma.toml", MODALITIES);
    let add = ["add", "mri", "--name", "mri", "--modality", "T1", "--modality", "label"];
    let table = ["--demographics", "mri/participants.tsv", "--subject-column", "participant_id"];
    let rest = ["--withhold", "name", "--loading-plan", "glioma.toml"];
    snapshot(&place, "add-volumes", &[&add[..], &table, &rest].concat());
    snapshot(&place, "show-volumes-json", &["show", "mri", "--json"]);
    snapshot(&place, "check-volumes", &["check", "mri"]);
    std::fs::remove_file(place.path("mri/sub-02/seg/x.nii")).expect("is there");
    snapshot(&place, "check-volumes-changed", &["check", "mri"]);
    snapshot(&place, "check-volumes-update", &["check", "mri", "--update"]);
}

#[test]
fn a_table_gets_a_plan_and_loses_it() {
    let place = place();
    place.write("ward.csv", "ALTER;sex\n61;1\n48;2\n70;1\n");
    let plan = "kind = \"table\"\nname = \"ward\"\nversion = 1\n[columns]\nage = \"ALTER\"\n[categories.sex]\n1 = \"f\"\n2 = \"m\"\n";
    place.write("ward.toml", plan);
    snapshot(
        &place,
        "add-planned",
        &["add", "ward.csv", "--name", "ward", "--loading-plan", "ward.toml"],
    );
    place.write("ward.toml", plan.replace("2 = \"m\"\n", ""));
    snapshot(&place, "loading-plan-unmapped", &["loading-plan", "ward", "ward.toml"]);
    place.write("ward.toml", plan.replace("ALTER", "YEARS"));
    snapshot(&place, "loading-plan-no-column", &["loading-plan", "ward", "ward.toml"]);
    place.write("ward.toml", plan.replace("version", "verson"));
    snapshot(&place, "loading-plan-misspelt", &["loading-plan", "ward", "ward.toml"]);
    place.write("ward.toml", CLASSES);
    snapshot(&place, "loading-plan-other-kind", &["loading-plan", "ward", "ward.toml"]);
    snapshot(&place, "loading-plan-no-file", &["loading-plan", "ward", "nowhere.toml"]);
    snapshot(&place, "loading-plan-none-given", &["loading-plan", "ward"]);
    place.write("ward.csv", "ALTER;sex\n61;1\n48;2\n70;3\n");
    snapshot(&place, "check-planned-unmapped", &["check", "ward", "--update"]);
}

#[test]
fn a_folder_that_cannot_be_used_is_refused_with_the_file_s_name() {
    let place = place();
    let image = std::fs::read(fixtures().join("colour.jpg")).expect("is shipped");
    put(&place, "patches/M/half.jpg", &image[..300]);
    snapshot(&place, "add-broken-image", &["add", "patches", "--name", "patches"]);
    let volume = std::fs::read(fixtures().join("labels.nii")).expect("is shipped");
    put(&place, "mri/sub-02/seg/x.nii", &volume[..360]);
    snapshot(&place, "add-broken-volume", &["add", "mri", "--name", "mri"]);
    std::os::unix::fs::symlink("/etc/hosts", place.path("patches/M/half.png"))
        .expect("can be made");
    std::fs::remove_file(place.path("patches/M/half.jpg")).expect("is there");
    snapshot(&place, "add-link", &["add", "patches", "--name", "patches"]);
    snapshot(&place, "add-unknown-kind", &["add", "patches", "--name", "p", "--kind", "pictures"]);
    snapshot(&place, "add-wrong-kind", &["add", "patches", "--name", "p", "--kind", "table"]);
    let lonely = ["add", "mri", "--name", "m", "--demographics", "mri/participants.tsv"];
    snapshot(&place, "add-no-subject-column", &lonely);
}

#[test]
fn researchers_find_folders_by_their_classes_and_modalities() {
    let federation = Federation::start(Owner::Undecided);
    let place = &federation.place;
    for (folder, fixture) in [("images/benign", "alpha.png"), ("images/malignant", "grey.jpg")] {
        let bytes = std::fs::read(fixtures().join(fixture)).expect("is shipped");
        for copy in 0..11 {
            let ending = fixture.rsplit('.').next().expect("has an ending");
            put(place, &format!("{folder}/{copy}.{ending}"), &bytes);
        }
    }
    let volume = std::fs::read(fixtures().join("labels.nii")).expect("is shipped");
    for subject in 0..3 {
        put(place, &format!("volumes/sub-{subject}/T1w/x.nii"), &volume);
    }
    place.write("glioma.toml", MODALITIES.split("[columns]").next().expect("begins so"));
    // These commands reach the daemon that holds the folder.
    place.done(&["node", "dataset", "add", "images", "--name", "images", "--dir", "north"]);
    let planned = ["--loading-plan", "glioma.toml", "--dir", "north"];
    place.done(
        &[&["node", "dataset", "add", "volumes", "--name", "volumes"][..], &planned].concat(),
    );
    let deadline = Instant::now() + PATIENCE;
    while place.document(&["dataset", "search"]).as_array().map(Vec::len) != Some(3) {
        assert!(Instant::now() < deadline, "the coordinator hears of the folders");
    }
    place.snapshot("dataset-search-folders", &["dataset", "search", "--columns"]);
    place.snapshot("dataset-search-folders-json", &["dataset", "search", "--json"]);
}
