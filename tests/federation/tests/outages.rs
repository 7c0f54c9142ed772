//! More than one process at a time: power cuts, and a run in which somebody dies in every round.

use federation::{ExperimentFile, Federation};

#[test]
fn a_power_cut_in_the_middle_of_a_round_changes_nothing() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();
    federation.hospital("east").kill();
    federation.hospital("east").start_pausing_at("upload");
    let experiment = federation.submit(&ExperimentFile::default());
    federation.hospital("east").daemon().await_named("paused");
    for hospital in &mut federation.hospitals {
        hospital.kill();
    }
    federation.coordinator.kill();
    // The nodes are back first and dial until somebody answers.
    for hospital in &mut federation.hospitals {
        hospital.launch();
    }
    federation.coordinator.start();
    assert_eq!(experiment.await_model(), model);
    for round in 1..=2 {
        assert_eq!(experiment.used(&federation.coordinator, round).len(), 3, "round {round}");
    }
}

#[test]
fn somebody_dies_in_every_round_and_the_model_is_the_same() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { rounds: 12, ..ExperimentFile::default() };
    let model = federation.submit_approved(&file).await_model();
    let experiment = federation.submit(&file);
    for round in 1..=12 {
        experiment.await_event("the next round", |event| {
            event["event"] == "round-started" && event["round"] == round
        });
        match round % 4 {
            0 => {
                federation.coordinator.kill();
                federation.coordinator.start();
            }
            other => {
                let hospital = &mut federation.hospitals[other - 1];
                hospital.kill();
                hospital.launch();
            }
        }
    }
    assert_eq!(experiment.await_model(), model);
    for round in 1..=12 {
        let used = experiment.used(&federation.coordinator, round);
        let expected = [("east", 81), ("north", 162), ("south", 122)];
        let expected = expected.map(|(node, samples)| (node.to_owned(), samples));
        assert_eq!(used, expected, "round {round}");
    }
}
