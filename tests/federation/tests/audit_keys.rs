//! Another key for a real node's audit log and grants: what `kill -9` leaves at each step, and what goes on without a key.

use std::time::Instant;

use federation::{Daemon, ExperimentFile, Federation, Hospital, PATIENCE};

/// What was replaced last is in force from the second step on.
const STEPS: [(&str, bool); 3] = [("drawn", false), ("recorded", true), ("granted", true)];

/// Replaces the key until the step, where all stands still.
fn stand_still(hospital: &Hospital, step: &str) -> Daemon {
    let dir = hospital.home().to_string_lossy().into_owned();
    let words = ["node", "audit", "rotate-key", "--pause-at", step, "--dir", &dir];
    let seen = stops(hospital);
    let command = Daemon::start("rotate-key", hospital.program(), &words, &hospital.log());
    let deadline = Instant::now() + PATIENCE;
    while stops(hospital) == seen {
        assert!(Instant::now() < deadline, "{step}: nothing stands still");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    command
}

fn stops(hospital: &Hospital) -> usize {
    let log = std::fs::read_to_string(hospital.log()).unwrap_or_default();
    log.matches("the replacement of the key stands still").count()
}

fn key(hospital: &Hospital) -> String {
    let verified = hospital.document(&["node", "audit", "verify"]);
    verified["key"].as_str().expect("is a text").to_owned()
}

#[test]
fn a_node_that_is_killed_at_any_step_of_a_rotation_has_one_key_and_its_grants() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile::default();
    let model = federation.submit_approved(&file).await_model();
    for (step, is_in_force) in STEPS {
        let south = federation.hospital("south");
        south.await_idle();
        let before = key(south);
        // Of the daemon, which the command asks: its end is the end of both.
        let command = stand_still(south, step);
        south.kill();
        command.await_end();
        check_the_key(south, &before, is_in_force, step);
        // Of the command, which does it where no daemon runs.
        let before = key(south);
        stand_still(south, step).kill();
        check_the_key(south, &before, is_in_force, step);
        south.start();
        assert!(!south.home().join("audit/key.next").exists(), "{step}: it is finished or undone");
        let verified = south.document(&["node", "audit", "verify"]);
        let earlier = verified["earlier_keys"].as_array().map_or(0, Vec::len);
        // The grant that was given before is believed still: nobody approves anything now.
        assert_eq!(federation.submit(&file).await_model(), model, "killed at {step}");
        let south = federation.hospital("south");
        let replaced = south.document(&["node", "audit", "rotate-key"]);
        assert_eq!(replaced["grants"], 1, "{step}: {replaced}");
        let verified = south.document(&["node", "audit", "verify"]);
        assert_eq!(verified["earlier_keys"].as_array().map(Vec::len), Some(earlier + 1), "{step}");
        assert_eq!(verified["key"], replaced["key"], "{step}");
    }
    assert_eq!(federation.submit(&file).await_model(), model, "with the last key");
}

/// What lies there is a whole log, whose key has changed where the step says so.
fn check_the_key(hospital: &Hospital, before: &str, is_in_force: bool, step: &str) {
    let now = key(hospital);
    assert_eq!(now != before, is_in_force, "{step}: {now}");
}

#[test]
fn a_node_whose_key_is_lost_takes_no_round_until_its_owner_goes_on_with_another() {
    let mut federation = Federation::encrypted();
    for name in ["north", "south", "east"] {
        federation.add_hospital(name);
    }
    let file = ExperimentFile { experiment: "round_retries = 0", ..ExperimentFile::default() };
    let model = federation.submit_approved(&file).await_model();
    let south = federation.hospital("south");
    south.await_idle();
    let first = key(south);
    await_receipt(south);

    // While the process has the key in memory, it is not lost.
    std::fs::remove_file(south.home().join("audit/key")).expect("it is there");
    let refused = south.run(&["node", "audit", "rotate-key", "--lost"]);
    assert!(refused.status == 1 && refused.error.contains("in memory"), "{refused:?}");
    south.kill();
    south.start();
    let refused = south.run(&["node", "audit", "rotate-key"]);
    assert!(refused.status == 1 && refused.error.contains("rotate-key --lost"), "{refused:?}");
    let experiment = federation.submit(&file);
    // Its own signature under its grants cannot be told from another's, so that none counts.
    experiment.await_event("the node without a key is waited for", |event| {
        let pending = event["pending"].as_array().map(Vec::as_slice).unwrap_or_default();
        event["event"] == "waiting-for-approval" && pending.iter().any(|one| one["node"] == "south")
    });

    let south = federation.hospital("south");
    let replaced = south.document(&["node", "audit", "rotate-key", "--lost"]);
    let (end, before) = (&replaced["end"], &replaced["before"]);
    assert!(end == "lost" && *before == *first && replaced["grants"] == 1, "{replaced}");
    let signed = replaced["countersigned"].as_u64().expect("the coordinator has signed the log");
    assert_eq!(experiment.await_model(), model, "the grant of the lost key's time still counts");

    // Elsewhere: the old key vouches up to the break, the new one for all, and the receipts for both parts.
    let south = federation.hospital("south");
    south.await_idle();
    let at_break = replaced["record"].as_u64().expect("is a number");
    await_receipt_of(south, at_break);
    let copy = south.home().with_extension("audit").to_string_lossy().into_owned();
    let exported = south.document(&["node", "audit", "export", &copy]);
    assert_eq!(exported["earlier_keys"][0]["countersigned"], signed, "{exported}");
    let receipts = federation.coordinator.operate(&["coordinator", "nodes", "receipts", "south"]);
    let texts = receipts.as_array().expect("receipts are a list").iter();
    let texts: Vec<&str> = texts.map(|one| one.as_str().expect("is a text")).collect();
    let kept = federation.folder().join("receipts").to_string_lossy().into_owned();
    std::fs::write(&kept, texts.join("\n")).expect("the folder can be written");
    let verify = |key: &str| {
        let words = ["node", "audit", "verify", &copy, "--receipts", &kept, "--key", key];
        federation.program().run(&words)
    };
    let new = replaced["key"].as_str().expect("is a text");
    assert_eq!(verify(new).document()["records"], exported["records"]);
    let refused = verify(&first);
    let named = format!("error: record {at_break} ");
    assert!(refused.status == 1 && refused.error.contains(&named), "{refused:?}");
}

/// Waits until the coordinator has signed the log.
fn await_receipt(hospital: &Hospital) {
    await_receipt_of(hospital, 1);
}

/// Waits until the coordinator has signed so many records of the log.
fn await_receipt_of(hospital: &Hospital, records: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let verified = hospital.document(&["node", "audit", "verify"]);
        if verified["countersigned"]["records"].as_u64().is_some_and(|signed| signed >= records) {
            return;
        }
        assert!(Instant::now() < deadline, "no receipt: {verified}");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}
