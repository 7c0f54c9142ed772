//! Owners who have not decided, nodes that fail or stay away, researchers who change their mind.

use protocol::Code;
use protocol::wire::v1;
use tokio::sync::watch;

use crate::federation::{Federation, fields, last};
use crate::support::{Researcher, Script, Server, connected, nodes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_waits_for_an_owner_and_says_for_whom() {
    let (owner, approval) = watch::channel(Code::PlanNotRegistered);
    let mut world =
        Federation::start(vec![Script::new("east"), Script { approval, ..Script::new("north") }])
            .await;
    let request = world.researcher.prepare(1).await;
    let id = world.researcher.submit(request).await;
    // Both answer in any order; once both have, the owner who has to decide is named alone.
    let north = serde_json::json!([{ "node": "north", "dataset": "records" }]);
    let named = |event: &v1::ExperimentEvent| fields(event)["pending"] == north;
    world.researcher.watch_until_one(&id, "waiting-for-approval", named).await;
    let shown = world.researcher.show(&id).await;
    assert_eq!(shown.summary.unwrap().state, "awaiting-approval");
    owner.send(Code::Ok).unwrap();
    world.researcher.watch_until(&id, "completed").await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_nothing_stalls_a_round_until_its_deadline_only() {
    let (wake, works) = watch::channel(false);
    let mut world = Federation::start(vec![
        Script::new("east"),
        Script::new("north"),
        Script { works, ..Script::new("southern") },
    ])
    .await;
    let request = world.researcher.prepare(1).await;
    let request = v1::SubmitExperimentRequest { round_deadline_milliseconds: 1_500, ..request };
    let id = world.researcher.submit(request).await;
    world.researcher.watch_until(&id, "completed").await;
    let history = world.researcher.history(&id).await;
    let used: Vec<&str> = history.rounds[1]
        .sites
        .iter()
        .filter(|site| site.used)
        .map(|site| site.node.as_str())
        .collect();
    assert_eq!(used, ["east", "north"]);

    // Now it answers: its reply is stored, told to be late, and changes nothing.
    let model = world.researcher.model(&id).await;
    wake.send(true).unwrap();
    let settled = async {
        while !world.nodes[2].acknowledged().contains(&"round.closed".to_owned()) {
            tokio::task::yield_now().await;
        }
    };
    crate::support::soon("the answer to the late reply", settled).await;
    assert_eq!(world.researcher.model(&id).await, model);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_successes_pause_with_the_reason_and_resume_goes_on() {
    let ends = [(1, Code::DataInvalid)].into_iter().collect();
    let mut world =
        Federation::start(vec![Script::new("east"), Script { ends, ..Script::new("north") }]).await;
    let request = world.researcher.prepare(1).await;
    let id = world.researcher.submit(request).await;
    let events = world.researcher.watch_until(&id, "paused").await;
    assert_eq!(last(&events)["code"], "round.too_few_updates");
    assert_eq!(
        last(&events)["message"],
        "round 1 has 1 of 2 needed nodes; north/records: data.invalid"
    );
    let shown = world.researcher.show(&id).await.summary.unwrap();
    assert_eq!((shown.state.as_str(), shown.code.as_str()), ("paused", "round.too_few_updates"));

    let resume = v1::ResumeExperimentRequest { experiment_id: id.clone() };
    world.researcher.calls.resume_experiment(resume.clone()).await.unwrap();
    let asked_twice = async {
        while world.nodes[1].accepted().len() < 2 {
            tokio::task::yield_now().await;
        }
    };
    crate::support::soon("the second attempt", asked_twice).await;
    assert_eq!(world.nodes[0].accepted().len(), 1, "what was received is kept");

    let cancel = v1::CancelExperimentRequest { experiment_id: id.clone() };
    world.researcher.calls.cancel_experiment(cancel.clone()).await.unwrap();
    world.researcher.watch_until(&id, "cancelled").await;
    let refused = world.researcher.calls.cancel_experiment(cancel).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().starts_with("experiment.state: "), "{refused}");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failure_that_may_pass_is_tried_again() {
    // The scripted node fails its first execution of round 1 only.
    let ends = [(1, Code::NodeUnavailable)].into_iter().collect();
    let mut world =
        Federation::start(vec![Script::new("east"), Script { ends, ..Script::new("north") }]).await;
    let request = world.researcher.prepare(1).await;
    let id = world.researcher.submit(request).await;
    let events = world.researcher.watch_until(&id, "paused").await;
    let retries = events.iter().filter(|event| event.name == "retrying").count();
    assert_eq!(retries, 2, "as many as the experiment allows");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_nodes_pause_at_the_selection_deadline() {
    let mut world = Federation::start(vec![Script::new("east")]).await;
    let request = world.researcher.prepare(1).await;
    let request = v1::SubmitExperimentRequest { selection_deadline_milliseconds: 200, ..request };
    let id = world.researcher.submit(request).await;
    let events = world.researcher.watch_until(&id, "paused").await;
    assert_eq!(last(&events)["code"], "nodes.too_few");
    assert!(events.iter().any(|event| event.name == "waiting-for-nodes"));
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_experiments_run_at_once_and_a_plan_is_fetched_for_each() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let _nodes = nodes(&server.address(), scratch.path());
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 3).await;
    let first = researcher.prepare(3).await;
    let second = researcher.prepare(3).await;
    let first = researcher.submit(first).await;
    let second = researcher.submit(second).await;
    researcher.watch_until(&first, "completed").await;
    researcher.watch_until(&second, "completed").await;
    assert_eq!(researcher.model(&first).await, researcher.model(&second).await);
    server.stop().await;
}
