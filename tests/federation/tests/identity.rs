//! Federations whose members have certificates: they join, work, are put out and come back, as real processes.

use std::time::Instant;

use federation::{ExperimentFile, Federation, PATIENCE};
use serde_json::Value;

fn of_three() -> Federation {
    let mut federation = Federation::encrypted();
    for name in ["north", "south", "east"] {
        federation.add_hospital(name);
    }
    federation
}

/// Asks again and again until the answer is as it should be.
fn await_answer(what: &str, mut is_there: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn await_status(
    federation: &mut Federation,
    node: &str,
    what: &str,
    wanted: impl Fn(&Value) -> bool,
) {
    await_answer(what, || wanted(&federation.hospital(node).document(&["node", "status"])));
}

#[test]
fn members_with_certificates_reach_the_same_model_through_kills() {
    let file = ExperimentFile { rounds: 3, ..ExperimentFile::default() };
    let plain = Federation::of_three().submit_approved(&file).await_model();

    let mut federation = of_three();
    let experiment = federation.submit_approved(&file);
    experiment.await_named("reply");
    federation.hospital("south").kill();
    federation.restart_coordinator(None);
    federation.hospital("south").start();
    assert_eq!(experiment.await_model(), plain, "how it travelled changes nothing");

    let nodes = federation.coordinator.operate(&["coordinator", "nodes", "list"]);
    let status = federation.hospital("north").document(&["node", "status"]);
    let north = nodes["members"]
        .as_array()
        .and_then(|nodes| nodes.iter().find(|node| node["name"] == "north"));
    let north = north.unwrap_or_else(|| panic!("no north among {nodes}"));
    assert_eq!(north["fingerprint"], status["certificate"]["fingerprint"], "both sides see one");
    let words = status["certificate"]["fingerprint"].as_str().expect("is a text");
    assert_eq!(words.split(' ').count(), 6, "{words}");
}

#[test]
fn a_node_that_is_put_out_is_cut_off_at_once_and_comes_back_with_a_new_token() {
    let mut federation = of_three();
    let is_connected = |status: &Value| status["is_connected"] == true;
    await_status(&mut federation, "north", "connection", is_connected);
    federation.coordinator.operate(&["coordinator", "nodes", "revoke", "north"]);
    await_status(&mut federation, "north", "cut line", |status| !is_connected(status));
    await_answer("a record of the refusal", || {
        let records = federation.hospital("north").document(&["node", "audit", "list"]);
        records.to_string().contains("identity.refuse")
    });
    let doctor = federation.hospital("north").run(&["node", "doctor"]);
    assert!(doctor.output.contains("was put out"), "{}", doctor.output);

    federation.hospital("north").terminate(PATIENCE);
    let token = federation.coordinator.token("node", "north", &["--replace"]);
    let again = federation.hospital("north").join_again(&token);
    assert_eq!(again["is_renewed"], true);
    federation.hospital("north").start();
    await_status(&mut federation, "north", "connection", is_connected);
    let experiment = federation.submit_approved(&ExperimentFile::default());
    experiment.await_model();
}

#[test]
fn a_token_is_good_for_its_member_and_once() {
    let federation = Federation::encrypted();
    let token = federation.coordinator.token("node", "north", &[]);
    let folder = federation.folder().join("somebody");
    let folder = folder.to_string_lossy();
    let researcher = ["researcher", "init", "--join", &token, "--identity", &folder];
    let refused = federation.program().run(&researcher);
    assert_ne!(refused.status, 0);
    assert!(refused.error.contains("node:north, which is not a researcher"), "{}", refused.error);
    let joined = federation.program().run(&["node", "init", "--join", &token, "--dir", &folder]);
    assert_eq!(joined.status, 0, "{}", joined.error);
    let other = federation.folder().join("thief");
    let other = other.to_string_lossy();
    let stolen = federation.program().run(&["node", "init", "--join", &token, "--dir", &other]);
    assert_eq!(stolen.code().as_deref(), Some("identity.refused"), "{stolen:?}");
    let broken = token.replace("wardround-join-", "wardround-join-A");
    let broken = federation.program().run(&["node", "init", "--join", &broken, "--dir", &other]);
    assert_eq!(broken.status, 2, "{}", broken.error);
}

#[test]
fn nobody_is_served_without_a_certificate_and_a_researcher_sees_only_their_own() {
    let mut federation = of_three();
    let experiment = federation.submit_approved(&ExperimentFile::default());
    experiment.await_model();
    let url = federation.coordinator.url();
    let plain = url.replace("https://", "http://");
    let nobody = ["experiment", "list", "--coordinator", &plain, "--researcher", "ada"];
    assert_ne!(federation.program().run(&nobody).status, 0);

    let token = federation.coordinator.token("researcher", "bob", &[]);
    let keys = federation.coordinator.keys("bob");
    federation.program().document(&["researcher", "init", "--join", &token, "--identity", &keys]);
    let as_bob =
        |command: &[&str]| federation.program().run(&[command, &["--identity", &keys]].concat());
    assert_eq!(as_bob(&["experiment", "list"]).document(), serde_json::json!([]));
    let target = federation.folder().join("stolen.safetensors");
    let target = target.to_string_lossy();
    for command in [
        &["experiment", "show", &experiment.id][..],
        &["experiment", "history", &experiment.id],
        &["experiment", "cancel", &experiment.id],
        &["experiment", "resume", &experiment.id],
        &["experiment", "download", &experiment.id, "--output", &target],
    ] {
        let answer = as_bob(command);
        assert_eq!(answer.code().as_deref(), Some("experiment.unknown"), "{command:?}: {answer:?}");
    }
    federation.coordinator.operate(&["coordinator", "researchers", "revoke", "bob"]);
    let answer = as_bob(&["experiment", "list"]);
    assert_eq!(answer.code().as_deref(), Some("identity.refused"), "{answer:?}");
}

#[test]
fn a_log_whose_end_is_cut_off_shows_by_what_the_coordinator_has_signed() {
    let mut federation = Federation::encrypted();
    federation.add_hospital("north");
    let receipt = federation.hospital("north").home().join("audit/receipt");
    await_answer("receipt", || receipt.exists());
    let verified = federation.hospital("north").document(&["node", "audit", "verify"]);
    let signed = verified["countersigned"]["records"].as_u64().expect("is a number");
    assert!(signed > 0 && signed <= verified["records"].as_u64().expect("is a number"));

    let receipts = federation.coordinator.operate(&["coordinator", "nodes", "receipts", "north"]);
    let receipts =
        receipts.as_array().expect("is a list").iter().map(|one| one.as_str().unwrap_or(""));
    let kept = federation.folder().join("receipts");
    std::fs::write(&kept, receipts.collect::<Vec<_>>().join("\n")).expect("can be written");
    federation.hospital("north").kill();
    let exported = federation.folder().join("log.audit");
    let exported_path = exported.to_string_lossy().into_owned();
    federation.hospital("north").document(&["node", "audit", "export", &exported_path]);
    let kept = kept.to_string_lossy();
    let verify = ["node", "audit", "verify", &exported_path, "--receipts", &kept];
    assert_eq!(federation.program().run(&verify).status, 0);

    // Whoever owns the machine cuts what was signed off, and takes the receipt away.
    let log = federation.hospital("north").home().join("audit/log");
    let bytes = std::fs::read(&log).expect("can be read");
    let last = beginning_of(signed, &bytes);
    std::fs::write(&log, &bytes[..last]).expect("can be written");
    std::fs::write(&exported, &bytes[..last]).expect("can be written");
    std::fs::remove_file(&receipt).expect("can be removed");
    let own = federation.hospital("north").run(&["node", "audit", "verify"]);
    assert_eq!(own.status, 0, "the log alone does not show it: {}", own.error);
    let shown = federation.program().run(&verify);
    assert_eq!(shown.status, 1);
    assert!(shown.error.contains("the end of the log was cut off"), "{}", shown.error);
}

/// Where a record of a log begins: after the header, each record begins with its length.
fn beginning_of(record: u64, bytes: &[u8]) -> usize {
    let name = usize::from(bytes[18]);
    let mut next = 19 + name + 32;
    for _ in 1..record {
        let length: [u8; 4] = bytes[next..next + 4].try_into().expect("are four bytes");
        next += 4 + u32::from_le_bytes(length) as usize;
    }
    next
}
