//! The audit log of real nodes: what it says, what `kill -9` leaves of it, and what a full disk stops.

use std::sync::atomic::{AtomicBool, Ordering};

use federation::{ExperimentFile, Federation, Hospital, SmallDisk, share};
use serde_json::Value;

/// Smaller than anything else of a node needs: only the audit log lies on it.
const AUDIT_DISK: u64 = 256 << 10;

fn listed(hospital: &Hospital, options: &[&str]) -> Vec<Value> {
    let list = [&["node", "audit", "list"], options].concat();
    hospital.document(&list).as_array().expect("records are a list").clone()
}

fn actions(records: &[Value]) -> Vec<&str> {
    records.iter().map(|record| record["action"].as_str().expect("is a text")).collect()
}

#[test]
fn a_hospital_sees_where_its_dataset_was_used_and_proves_it_elsewhere() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { rounds: 2, ..ExperimentFile::default() };
    let experiment = federation.submit_approved(&file);
    experiment.await_model();
    let south = federation.hospital("south");
    let used = listed(south, &["--dataset", "breast-cancer"]);
    let starts = actions(&used).iter().filter(|action| **action == "round.start").count();
    let releases: Vec<&Value> =
        used.iter().filter(|record| record["action"] == "round.release").collect();
    assert!(starts >= 2 && releases.len() == starts, "{:?}", actions(&used));
    assert!(releases.iter().all(|record| record["objects"]["plan"] == *experiment.plan));
    assert_eq!(actions(&listed(south, &["--action", "plan"])), ["plan.ask", "plan.approve"]);
    assert_eq!(listed(south, &["--since", "2999-01-01"]), Vec::<Value>::new());

    // The daemon still runs; the copy is verified where no node is.
    let copy = south.home().with_extension("audit").to_string_lossy().into_owned();
    let exported = south.document(&["node", "audit", "export", &copy]);
    let nowhere = south.home().join("nowhere").to_string_lossy().into_owned();
    let verify = |more: &[&str]| {
        let words = ["node", "audit", "verify", &copy, "--dir", &nowhere];
        south.program().run(&[&words, more].concat())
    };
    let key = exported["key"].as_str().expect("is a text");
    let head = exported["head"].as_str().expect("is a text");
    assert_eq!(verify(&["--key", key, "--head", head]).document(), exported);
    let mut bytes = std::fs::read(&copy).expect("the copy can be read");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let home = south.home().to_string_lossy().into_owned();
    assert!(!text.contains(&home) && !text.contains(".csv") && !text.contains("radius"), "a path");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&copy, bytes).expect("the copy can be written");
    let refused = verify(&[]);
    assert_eq!(refused.status, 1);
    assert!(refused.error.contains("error: record "), "{}", refused.error);
}

#[test]
fn a_node_that_is_killed_while_it_records_goes_on_with_a_whole_log() {
    let mut federation = Federation::without_hospitals();
    federation.prepare_hospital("north", &share("north"), &[]);
    let mut known = 0;
    for turn in 0..6 {
        let north = federation.hospital("north");
        north.launch();
        let is_killed = AtomicBool::new(false);
        let dir = north.home().to_string_lossy().into_owned();
        let program = north.program().clone();
        std::thread::scope(|scope| {
            for command in ["pause", "resume"] {
                let (is_killed, dir, program) = (&is_killed, &dir, &program);
                scope.spawn(move || {
                    while !is_killed.load(Ordering::Relaxed) {
                        // Whether the node still answers is what is left to chance.
                        program.run(&["node", command, "--dir", dir]);
                    }
                });
            }
            let deadline = std::time::Instant::now() + federation::PATIENCE;
            while listed(north, &["--action", "node"]).len() < known + 3 + turn {
                assert!(std::time::Instant::now() < deadline, "nothing is recorded");
            }
            north.kill();
            is_killed.store(true, Ordering::Relaxed);
        });
        north.launch();
        let verified = north.document(&["node", "audit", "verify"]);
        let records = listed(north, &["--action", "node"]).len();
        assert!(records > known, "what was recorded stays");
        let verified = verified["records"].as_u64().expect("is a number");
        assert!(verified >= records as u64, "{verified} of {records}");
        known = records;
        north.kill();
    }
}

#[test]
fn a_full_disk_refuses_rounds_and_changes_until_there_is_room() {
    let Some(disk) = SmallDisk::mount(AUDIT_DISK) else { return };
    let mut federation = Federation::with(&[], |folder| disk.link(&folder.join("south/audit")));
    for name in ["north", "south", "east"] {
        federation.add_hospital(name);
    }
    let file = ExperimentFile { experiment: "round_retries = 0", ..ExperimentFile::default() };
    let model = federation.submit_approved(&file).await_model();
    let before = listed(federation.hospital("south"), &[]).len();

    disk.fill();
    fill_the_last_page(federation.hospital("south"));
    let experiment = federation.submit(&file);
    let reply = experiment.await_event("the reply of the full node", |event| {
        event["event"] == "reply" && event["site"]["node"] == "south"
    });
    assert_eq!(reply["code"], "audit.unavailable", "{reply}");
    experiment.await_named("paused");
    let south = federation.hospital("south");
    let remove = south.run(&["node", "dataset", "remove", "breast-cancer"]);
    assert_eq!(remove.status, 1);
    assert!(remove.error.contains("nothing was changed, for it cannot be recorded"), "{remove:?}");
    assert_eq!(south.document(&["node", "dataset", "list"]).as_array().map(Vec::len), Some(1));
    let status = south.run(&["node", "status"]);
    assert!(status.output.contains("audit_trouble"), "{status:?}");

    disk.free();
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    assert_eq!(experiment.await_model(), model, "the same process takes the next round");
    let south = federation.hospital("south");
    south.document(&["node", "audit", "verify"]);
    let since = listed(south, &[]).split_off(before);
    let refusal = since.iter().find(|record| record["result"] == "audit.unavailable");
    assert_eq!(refusal.expect("it is recorded afterwards")["action"], "round.refuse");
}

/// A full disk still takes what fits into the log's last page; a few decisions use it up.
fn fill_the_last_page(hospital: &Hospital) {
    for _ in 0..64 {
        if hospital.run(&["node", "resume"]).status != 0 {
            return;
        }
    }
    panic!("the disk is not full");
}
