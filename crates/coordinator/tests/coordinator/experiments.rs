//! Experiments from submission to the last model, over real streams.

use crate::support::{NODES, Researcher, Script, ScriptedNode, Server, connected, nodes};
use protocol::Code;
use tokio::sync::watch;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_experiment_runs_to_its_last_model() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let _nodes = nodes(&server.address(), scratch.path());
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 3).await;
    let request = researcher.prepare(3).await;
    let id = researcher.submit(request).await;
    let events = researcher.watch_until(&id, "completed").await;
    let names: Vec<&str> = events.iter().map(|event| event.name.as_str()).collect();
    for name in
        ["submitted", "selected", "round-started", "started", "scalar", "reply", "round-finished"]
    {
        assert!(names.contains(&name), "{name} is missing: {names:?}");
    }
    assert_eq!(names.iter().filter(|name| **name == "round-finished").count(), 3);
    assert_eq!(names.iter().filter(|name| **name == "measured").count(), 4, "model 0 to model 3");
    assert_eq!(names.iter().filter(|name| **name == "scalar").count(), 9, "each scalar once");

    let history = researcher.history(&id).await;
    assert_eq!(history.rounds.iter().map(|round| round.round).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert!(history.rounds.iter().all(|round| round.metrics.len() == 1), "{history:#?}");
    assert_eq!(history.rounds[0].metrics[0].value, 0.5, "round 1 measured the start");
    assert_eq!(history.rounds[3].metrics[0].value, 0.875, "the final validation");
    assert_eq!(history.rounds[2].loss, Some(0.5));
    assert!(history.rounds[3].sites.iter().all(|site| site.used && site.code == Code::Ok));

    let shown = researcher.show(&id).await;
    assert_eq!(shown.summary.unwrap().state, "completed");
    let reference = shown.model.unwrap().try_into().unwrap();
    let path = scratch.path().join("model");
    researcher.files.download(&reference, &path).await.unwrap();
    let trained = parameters::Parameters::from_bytes(&std::fs::read(&path).unwrap()).unwrap();
    let bias = trained.get("layers.0.bias").unwrap().to_f32().unwrap()[0];
    let rows: f32 = NODES.iter().map(|name| name.len() as f32).sum();
    let step: f32 = NODES.iter().map(|name| Script::new(name).step * name.len() as f32).sum();
    assert!((bias - (0.25 + 3.0 * step / rows)).abs() < 1e-5, "{bias}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_order_of_replies_changes_no_bit_of_the_model() {
    let mut digests = Vec::new();
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let folder = tempfile::tempdir().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let server = Server::start(folder.path()).await;
        let turns = watch::Sender::new(0);
        let positions: [fn(u32) -> usize; 3] = [
            |round| (round as usize - 1) * 3,
            |round| (round as usize - 1) * 3 + 1,
            |round| (round as usize - 1) * 3 + 2,
        ];
        let _nodes: Vec<ScriptedNode> = (0..3)
            .map(|index| {
                let turns = Some((turns.clone(), positions[order[index]]));
                let script = Script { turns, ..Script::new(NODES[index]) };
                ScriptedNode::start(&server.address(), script, scratch.path())
            })
            .collect();
        let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
        connected(&mut researcher, 3).await;
        let request = researcher.prepare(2).await;
        let id = researcher.submit(request).await;
        researcher.watch_until(&id, "completed").await;
        digests.push(researcher.model(&id).await);
        server.stop().await;
    }
    assert_eq!(digests[0], digests[1]);
    assert_eq!(digests[0], digests[2]);
}
