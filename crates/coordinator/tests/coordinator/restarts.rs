//! Dying in every state and going on.

use std::path::Path;

use coordinator::administration;
use protocol::wire::v1;
use round::experiment::StateName;

use crate::support::{
    NODES, Researcher, Script, ScriptedNode, Server, connected, nodes, soon, test_config,
};

/// An experiment that waits for all nodes, for after a restart they come back one by one.
async fn of_all_three(researcher: &mut Researcher) -> v1::SubmitExperimentRequest {
    let mut request = researcher.prepare(2).await;
    request.min_nodes = 3;
    request
}

/// The digest of the last model of a course that nothing disturbs.
async fn undisturbed() -> String {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let _nodes = nodes(&server.address(), scratch.path());
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 3).await;
    let request = of_all_three(&mut researcher).await;
    let id = researcher.submit(request).await;
    researcher.watch_until(&id, "completed").await;
    let digest = researcher.model(&id).await;
    server.stop().await;
    digest
}

/// Dies when an experiment has entered `state` and nothing of it was performed; the same nodes go on after the
/// restart without another hand.
async fn killed_in(state: StateName) -> String {
    killed_with(nodes, |_| {}, state).await
}

/// As [`killed_in`], with these nodes, and something done to the folder before the restart.
async fn killed_with(
    nodes: fn(&transport::Address, &Path) -> Vec<ScriptedNode>,
    harm: fn(&Path),
    state: StateName,
) -> String {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let config = coordinator::Config { pause_at: Some(state), ..test_config(folder.path()) };
    let server = Server::start_with(config).await;
    let address = server.handle.socket_address();
    let _nodes: Vec<ScriptedNode> = nodes(&server.address(), scratch.path());
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 3).await;
    let request = of_all_three(&mut researcher).await;
    let id = request.experiment_id.clone();
    let mut calls = researcher.calls.clone();
    let sent = request.clone();
    // It is answered only where the coordinator lives that long.
    let submitting = tokio::spawn(async move { calls.submit_experiment(sent).await });
    let mut handle = server.handle.clone();
    soon("the pause", handle.paused()).await;
    server.kill().await;
    let _answered_or_not = soon("the end of the call", submitting).await;
    harm(folder.path());

    let config = coordinator::Config { listen: address, ..test_config(folder.path()) };
    let server = Server::start_with(config).await;
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    assert_eq!(researcher.submit(request).await, id, "the same submission is the same experiment");
    let events = researcher.watch_until(&id, "completed").await;
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.sequence, index as u64 + 1, "no event is lost or told twice");
    }
    let finished = events.iter().filter(|event| event.name == "round-finished").count();
    assert_eq!(finished, 2, "each round ends once");
    let digest = researcher.model(&id).await;
    server.stop().await;
    digest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_coordinator_that_dies_in_any_state_makes_the_same_model() {
    let expected = undisturbed().await;
    for state in [
        StateName::Selecting,
        StateName::AwaitingApproval,
        StateName::AwaitingReplies,
        StateName::Aggregating,
        StateName::Checkpointing,
        StateName::FinalValidation,
        StateName::Completed,
    ] {
        assert_eq!(killed_in(state).await, expected, "killed in {state}");
    }
}

/// Nodes whose updates travel inside their replies.
fn carrying(address: &transport::Address, scratch: &Path) -> Vec<ScriptedNode> {
    let script = |name| Script { carries: Some(|bytes| bytes), ..Script::new(name) };
    NODES.iter().map(|name| ScriptedNode::start(address, script(name), scratch)).collect()
}

/// What a loss of power may do to files that were not synchronised: one is gone, the next is empty.
fn lose_power(folder: &Path) {
    let entries = std::fs::read_dir(folder.join("artifacts/sha256")).unwrap();
    let mut lost: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    lost.retain(|path| path.extension().is_some_and(|end| end == "unsynchronised"));
    for (index, path) in lost.iter().enumerate() {
        match index % 2 {
            0 => std::fs::remove_file(path).unwrap(),
            _ => std::fs::write(path, b"").unwrap(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_that_came_inside_replies_survive_a_loss_of_power_in_any_state() {
    let expected = undisturbed().await;
    for state in [
        StateName::AwaitingReplies,
        StateName::Aggregating,
        StateName::Checkpointing,
        StateName::FinalValidation,
        StateName::Completed,
    ] {
        let found = killed_with(carrying, lose_power, state).await;
        assert_eq!(found, expected, "power lost in {state}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_coordinator_is_refused_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    coordinator::init(folder.path(), None).unwrap();
    let server = Server::start(folder.path()).await;
    let second = coordinator::Coordinator::open(test_config(folder.path())).await;
    let error = second.expect_err("is refused").to_string();
    assert!(error.contains("is in use by"), "{error}");
    assert!(overview(folder.path()).await.started_at.is_some(), "whoever runs answers");
    server.stop().await;
    let stopped = overview(folder.path()).await;
    assert!(stopped.started_at.is_none() && stopped.nodes.is_empty(), "{stopped:?}");
}

async fn overview(folder: &std::path::Path) -> administration::Overview {
    let answer = administration::ask(folder, [], &administration::Request::Overview).await;
    match answer.unwrap() {
        administration::Answer::Overview(overview) => overview,
        other => panic!("{other:?}"),
    }
}
