//! The same experiment on the same data makes the same model, bit for bit.

use federation::{ExperimentFile, Federation, share};

#[test]
fn a_seed_decides_the_model_and_nothing_else_does() {
    let mut federation = Federation::of_three();
    let first = federation.submit_approved(&ExperimentFile::default());
    let model = first.await_model();
    let again = federation.submit(&ExperimentFile::default());
    assert_ne!(first.id, again.id);
    assert_eq!(again.await_model(), model, "the same seed");
    let other = federation.submit(&ExperimentFile { seed: Some(43), ..ExperimentFile::default() });
    assert_ne!(other.await_model(), model, "another seed");
    for round in 1..=2 {
        let used = first.used(&federation.coordinator, round);
        let expected = [("east", 81), ("north", 162), ("south", 122)];
        assert_eq!(used, expected.map(|(node, samples)| (node.to_owned(), samples)));
    }
}

#[test]
fn a_seed_that_was_drawn_is_recorded_and_makes_the_same_model_again() {
    let mut federation = Federation::of_three();
    let file = ExperimentFile { seed: None, ..ExperimentFile::default() };
    let drawn = federation.submit_approved(&file);
    let model = drawn.await_model();
    let seed = drawn.details(&federation.coordinator)["seed"].as_u64();
    assert!(seed.is_some(), "the seed is shown");
    let again = federation.submit(&ExperimentFile { seed, ..ExperimentFile::default() });
    assert_eq!(again.await_model(), model);
    let other = federation.submit(&file);
    other.await_model();
    assert_ne!(other.details(&federation.coordinator)["seed"].as_u64(), seed, "drawn again");
}

#[test]
fn the_order_in_which_nodes_start_decides_nothing() {
    let models = [["north", "south", "east"], ["east", "north", "south"]].map(|order| {
        let mut federation = Federation::of(&order);
        federation.submit_approved(&ExperimentFile::default()).await_model()
    });
    assert_eq!(models[0], models[1]);
}

#[test]
fn a_hospital_that_comes_late_is_waited_for_and_changes_nothing() {
    let mut undisturbed = Federation::of_three();
    let model = undisturbed.submit_approved(&ExperimentFile::default()).await_model();
    drop(undisturbed);
    let mut federation = Federation::of(&["north", "east"]);
    federation.prepare_hospital("south", &share("south"), &[]);
    let file =
        ExperimentFile { experiment: "selection_deadline = \"60s\"", ..ExperimentFile::default() };
    let experiment = federation.submit(&file);
    let waiting = experiment.await_named("waiting-for-nodes");
    assert_eq!((waiting["connected"].as_u64(), waiting["needed"].as_u64()), (Some(2), Some(3)));
    federation.hospital("south").start();
    federation.approve(&experiment);
    assert_eq!(experiment.await_model(), model);
}
