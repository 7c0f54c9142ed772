//! Rounds that go well: what is trained, measured, sent, and said again.

use node::Notice;
use parameters::Parameters;
use protocol::wire::v1::node_message::Message;
use protocol::{Code, Mode, Phase, Warning};
use serde_json::json;

use crate::site::{Scene, training_args};

#[tokio::test(flavor = "multi_thread")]
async fn a_round_trains_on_the_hospitals_rows_and_sends_its_update() {
    let mut scene = Scene::set().await;
    let request = scene.request();
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::Ok, "{reply:?}");
    assert_eq!(reply.node_id.as_str(), "north");
    assert_eq!(reply.experiment_id, request.experiment_id);
    assert_eq!(reply.dataset_id, request.dataset_id);
    // 202 rows, a fifth of them for validation.
    assert_eq!(reply.sample_count, 162);
    let before = reply.metrics_before.expect("it was asked for");
    assert_eq!(before.validation_count, 40);
    assert_eq!(before.metrics[0].0, "ACCURACY");
    assert_eq!(reply.metrics_after, None);
    assert!(reply.timing.rtime_training > 0.0);
    let phases: Vec<Phase> = reply.timing.phases.iter().map(|(phase, _)| *phase).collect();
    assert!(phases.contains(&Phase::Train) && phases.contains(&Phase::Upload));
    let update = scene.coordinator.fetched(&reply.update.expect("there is one").digest);
    let update = Parameters::from_bytes(&update).unwrap();
    let weight = update.get("layers.0.weight").unwrap().to_f32().unwrap();
    assert!(weight.iter().any(|value| *value != 0.0), "training moves the zeros it started from");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_round_gives_the_same_bytes() {
    let mut scene = Scene::set().await;
    let first = scene.request();
    let second = scene.request();
    assert_ne!(first.round_id, second.round_id);
    let first = scene.run(&first).await;
    let second = scene.run(&second).await;
    assert_eq!(first.update, second.update);
    scene.node.stop().await;
}
