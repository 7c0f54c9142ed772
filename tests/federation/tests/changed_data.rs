//! A table that changes after it was registered is not trained on until its owner has looked.

use federation::{ExperimentFile, Federation, share};

#[test]
fn a_table_that_changes_between_rounds_stops_the_round_until_its_owner_accepts_it() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile::default();
    let model = federation.submit_approved(&file).await_model();
    federation.hospital("south").await_idle();
    federation.hospital("south").kill();
    federation.hospital("south").start_pausing_at("reply");
    let experiment = federation.submit(&file);
    let south = federation.hospital("south");
    south.daemon().await_named("paused");
    south.kill();
    // The first round is trained; before the second a patient is discharged.
    let table = share("south");
    let shorter = table.trim_end().rsplit_once('\n').expect("the table has rows").0;
    south.write_table(&format!("{shorter}\n"));
    south.start();

    let reply = experiment.await_event("south's second reply", |event| {
        event["event"] == "reply" && event["site"]["node"] == "south" && event["round"] == 2
    });
    assert_eq!(reply["code"], "data.invalid");
    let paused = experiment.await_named("paused");
    assert_eq!(paused["code"], "round.too_few_updates");
    assert!(
        !experiment.events().iter().any(|event| event["event"] == "retrying"),
        "what a retry cannot cure is not tried again"
    );
    let south = federation.hospital("south");
    let rounds = south.rounds(&experiment.id);
    let second = rounds.iter().find(|round| round["round"] == 2).expect("round 2 is listed");
    assert_eq!(second["code"], "data.invalid");
    let id = second["round_id"].as_str().expect("is a text");
    let log = south.document(&["node", "round", "log", id]).to_string();
    assert!(log.contains("changed since it was registered"), "{log}");

    let check = south.run(&["node", "dataset", "check", "breast-cancer"]);
    assert_eq!(check.code().as_deref(), Some("data.invalid"), "{check:?}");
    assert!(check.error.contains("changed since it was registered"), "{}", check.error);
    let update = south.document(&["node", "dataset", "check", "breast-cancer", "--update"]);
    assert_eq!(update["is_updated"], true);
    assert_eq!((&update["rows_before"], &update["rows"]), (&152.into(), &151.into()));

    federation.coordinator.document(&["experiment", "resume", &experiment.id]);
    assert_ne!(experiment.await_model(), model, "other rows, another model");
    let used = experiment.used(&federation.coordinator, 2);
    assert_eq!(used.last(), Some(&("south".to_owned(), 121)));
}
