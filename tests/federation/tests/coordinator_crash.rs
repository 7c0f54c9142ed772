//! `kill -9` of the coordinator where an experiment enters any state: the run completes with the same model.

use federation::{Experiment, ExperimentFile, Federation};
use round::experiment::StateName;

#[test]
fn a_coordinator_that_is_killed_in_any_state_goes_on_where_it_was() {
    let mut federation = Federation::of_three();
    let model = federation.submit_approved(&ExperimentFile::default()).await_model();
    for state in StateName::ALL {
        match state {
            StateName::Selecting
            | StateName::AwaitingApproval
            | StateName::AwaitingReplies
            | StateName::Aggregating
            | StateName::Checkpointing
            | StateName::FinalValidation
            | StateName::Completed => {
                let experiment = crash(&mut federation, *state, ExperimentFile::default());
                assert_eq!(experiment.await_model(), model, "killed where {state} begins");
                for round in 1..=2 {
                    let used = experiment.used(&federation.coordinator, round);
                    let nodes: Vec<&str> = used.iter().map(|(node, _)| node.as_str()).collect();
                    assert_eq!(nodes, ["east", "north", "south"], "{state}, round {round}");
                }
            }
            // The tests below reach these.
            StateName::Paused | StateName::Cancelled | StateName::Failed => {}
        }
    }
}

/// Submits to a coordinator that stands still where a state begins, kills it there and starts it again.
fn crash(federation: &mut Federation, state: StateName, file: ExperimentFile) -> Experiment {
    federation.coordinator.kill();
    federation.coordinator.start_pausing_at(state.as_str());
    let experiment = federation.submit(&file);
    kill_where_it_stands(federation);
    experiment
}

fn kill_where_it_stands(federation: &mut Federation) {
    federation.coordinator.daemon().await_named("paused");
    federation.coordinator.kill();
    federation.coordinator.start();
}
