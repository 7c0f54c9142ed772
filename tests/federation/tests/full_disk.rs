//! Disks that are really full: experiments wait, nothing is lost, and there is no other model in the end.

use federation::{Experiment, ExperimentFile, Federation, SmallDisk, share};
use serde_json::Value;

/// Small enough to be filled at once.
const COORDINATOR_DISK: u64 = 24 << 20;
/// Above what a node leaves free for its journal.
const NODE_DISK: u64 = 96 << 20;
/// A coordinator that leaves nothing free.
const NO_RESERVE: &[(&str, &str)] = &[("WARDROUND_COORDINATOR_RESERVE_BYTES", "0")];

/// Stops south where it begins to train, submits, and waits until the others have brought what they made.
fn submit_with_south_standing_still(federation: &mut Federation) -> Experiment {
    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("train");
    let experiment = federation.submit(&ExperimentFile::default());
    federation.hospital("south").daemon().await_named("paused");
    for node in ["east", "north"] {
        experiment.await_event("a reply of the others", |event| {
            event["event"] == "reply" && event["site"]["node"] == node
        });
    }
    experiment
}

fn let_south_go_on(federation: &mut Federation) {
    federation.hospital("south").kill();
    federation.hospital("south").launch();
}

/// Three hospitals, the model that they make undisturbed, and a second experiment in whose midst the disk, on which
/// `place` lies, is filled.
fn filled_in_the_middle(disk: &SmallDisk, place: &str) -> (Federation, String, Experiment) {
    let mut federation = Federation::with(NO_RESERVE, |folder| disk.link(&folder.join(place)));
    for name in ["north", "south", "east"] {
        federation.add_hospital(name);
    }
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();

    let experiment = submit_with_south_standing_still(&mut federation);
    disk.fill();
    let_south_go_on(&mut federation);
    (federation, model, experiment)
}

#[test]
fn a_disk_without_room_for_files_pauses_and_the_same_model_comes_once_there_is_room() {
    let Some(disk) = SmallDisk::mount(COORDINATOR_DISK) else { return };
    let (federation, model, experiment) = filled_in_the_middle(&disk, "coordinator/artifacts");
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "storage.full", "{paused}");

    // Somebody who resumes too early is told the same again, and nothing is lost by it.
    let seen = experiment.events().len();
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    let again = experiment.await_after(seen, "the same pause", |event| event["event"] == "paused");
    assert_eq!(again["code"], "storage.full", "{again}");

    disk.free();
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    assert_eq!(experiment.await_model(), model);
    for round in 1..=2 {
        let used = experiment.used(&federation.coordinator, round);
        let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
        assert_eq!(nodes, ["east", "north", "south"], "round {round}");
    }
}

#[test]
fn a_disk_without_room_for_the_journal_loses_nothing_that_was_acknowledged() {
    let Some(disk) = SmallDisk::mount(COORDINATOR_DISK) else { return };
    let (federation, model, experiment) = filled_in_the_middle(&disk, "coordinator");
    // Uploads are refused, so it pauses; or its journal takes no more, so nothing goes on until there is room.
    await_trouble(&federation, &experiment);
    disk.free();
    let mut ended = experiment.await_event("an end or a pause", |event| {
        event["event"] == "completed" || event["event"] == "paused"
    });
    if ended["event"] == "paused" {
        assert_eq!(ended["code"], "storage.full", "{ended}");
        federation.coordinator.document(&["experiment", "resume", &experiment.id]);
        ended = experiment.await_named("completed");
    }
    assert_eq!(ended["event"], "completed");
    assert_eq!(experiment.await_model(), model);
}

/// Waits until the coordinator says that its journal takes no more, or has paused the experiment.
fn await_trouble(federation: &Federation, experiment: &Experiment) {
    let deadline = std::time::Instant::now() + federation::PATIENCE;
    loop {
        let log = std::fs::read_to_string(federation.coordinator.log()).expect("is text");
        if log.contains("nothing goes on, until there is room") {
            return;
        }
        let shown = federation.coordinator.run(&["experiment", "show", &experiment.id]);
        if shown.status == 0 && shown.document()["overview"]["state"] == "paused" {
            return;
        }
        assert!(std::time::Instant::now() < deadline, "nothing happens: {}", shown.output);
    }
}

#[test]
fn a_node_whose_disk_is_full_ends_the_round_with_a_code_and_takes_the_next_one() {
    let Some(disk) = SmallDisk::mount(NODE_DISK) else { return };
    let mut federation = Federation::with(&[], |folder| disk.link(&folder.join("south")));
    for name in ["north", "south", "east"] {
        federation.add_hospital_with(name, &share(name), &[]);
    }
    let file = ExperimentFile { experiment: "round_retries = 0", ..WIDE };
    let model = federation.submit_approved(&file).await_model();

    // The received parameters are there from the first time; there is room for the journal, and none for an update.
    disk.fill_leaving(ROOM_FOR_THE_JOURNAL);
    let experiment = federation.submit(&file);
    let reply = experiment.await_event("the reply of the full node", |event| {
        event["event"] == "reply" && event["site"]["node"] == "south"
    });
    assert_eq!(reply["code"], "plan.export_failed", "{reply}");
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "round.too_few_updates", "{paused}");
    assert!(paused.to_string().contains("plan.export_failed"), "{paused}");

    disk.free();
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    assert_eq!(experiment.await_model(), model, "the node runs and takes the next round");
}

#[test]
fn a_node_that_can_write_nothing_at_all_goes_on_once_it_can() {
    let Some(disk) = SmallDisk::mount(NODE_DISK) else { return };
    let mut federation = Federation::with(&[], |folder| disk.link(&folder.join("south")));
    for name in ["north", "south", "east"] {
        federation.add_hospital_with(name, &share(name), &[]);
    }
    let file =
        ExperimentFile { experiment: "round_retries = 0", rounds: 6, ..ExperimentFile::default() };
    let model = federation.submit_approved(&file).await_model();

    let experiment = federation.submit(&file);
    experiment.await_named("round-finished");
    // No experiment is over before the disk is full.
    federation.hospital("east").daemon().freeze();
    disk.fill();
    federation.hospital("east").daemon().thaw();
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "round.too_few_updates", "{paused}");
    let told: Vec<Value> = experiment.events();
    let failed: Vec<&Value> =
        told.iter().filter(|event| event["event"] == "reply" && event["code"] != "ok").collect();
    assert!(failed.iter().all(|reply| reply["site"]["node"] == "south"), "{failed:?}");

    disk.free();
    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    assert_eq!(experiment.await_model(), model, "the same process takes the next round");
}

/// A model whose update is larger than a journal ever is.
const WIDE: ExperimentFile = ExperimentFile {
    seed: Some(42),
    rounds: 2,
    min_nodes: 3,
    round_deadline: "60s",
    experiment: "",
    training: "\
epochs = 1
test_ratio = 0.2
[training_args.loader_args]
batch_size = 256
[training_args.optimizer_args]
lr = 0.001
",
    python: None,
    plan_change: Some((
        "init = \"zeros\"\nlayers = [{ dense = { units = 1 } }]",
        "init = \"xavier\"\nlayers = [{ dense = { units = 30000 } }, { dense = { units = 1 } }]",
    )),
};
/// Less than the update of [`WIDE`], 3.8 megabytes.
const ROOM_FOR_THE_JOURNAL: u64 = 2 << 20;
