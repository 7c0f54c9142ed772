//! A hospital with several matching tables is asked once for each, and each counts as a site.

use federation::{ExperimentFile, Federation, share};

#[test]
fn a_node_with_two_matching_datasets_gets_a_request_for_each() {
    let mut federation = Federation::of_three();
    let south = federation.hospital("south");
    let annex = south.home().join("annex.csv");
    std::fs::write(&annex, share("east")).expect("the table can be written");
    let annex = annex.to_string_lossy();
    let tags = ["--tag", "breast-cancer", "--tag", "annex"];
    south.document(&[&["node", "dataset", "add", &annex, "--name", "annex"][..], &tags].concat());
    // One that matches no tag of the experiment is not asked.
    let other = ["node", "dataset", "add", &annex, "--name", "other", "--tag", "other"];
    south.document(&other);

    let file = ExperimentFile::default();
    let experiment = federation.submit_approved(&file);
    experiment.await_model();
    for round in 1..=2 {
        let used = experiment.used(&federation.coordinator, round);
        let expected = [("east", 81), ("north", 162), ("south", 81), ("south", 122)];
        let expected = expected.map(|(node, samples)| (node.to_owned(), samples));
        assert_eq!(used, expected, "in the order of node and dataset");
    }
    let rounds = federation.hospital("south").rounds(&experiment.id);
    assert_eq!(rounds.len(), 6, "two for each round and for the last validation: {rounds:?}");
}
