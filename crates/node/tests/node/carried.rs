//! Short files that travel inside messages.

use node::Notice;
use parameters::{Parameters, Tensor};
use protocol::wire::v1::{self, coordinator_message::Message as ToNode};
use protocol::{ArtifactReference, Code, Digest, Phase, TrainRequest};

use crate::restarts::delivered;
use crate::site::Scene;

#[tokio::test(flavor = "multi_thread")]
async fn an_update_inside_its_reply_survives_with_the_reply_and_goes_with_its_acknowledgement() {
    let mut scene = Scene::set().await;
    scene.node.stop().await;
    scene.coordinator.carry();
    // The reply is on the disk and was never sent.
    scene.home.config.pause_at = Some(Phase::Reply);
    let mut node = scene.home.start();
    node.notice(|notice| *notice == Notice::Connected).await;
    let request = scene.request();
    scene.coordinator.request(&request);
    node.notice(|notice| matches!(notice, Notice::Paused { .. })).await;
    node.kill().await;
    std::fs::remove_dir_all(scene.home.folder.root().join("artifacts")).unwrap();

    scene.home.config.pause_at = None;
    scene.coordinator.acknowledge(false);
    let mut node = scene.home.start();
    let reply = scene.coordinator.wire_reply().await;
    assert_eq!(reply.code, Code::Ok.to_string());
    let update = reply.update.clone().expect("there is one");
    assert_eq!(Digest::of(&reply.update_bytes).to_string(), update.digest);
    assert!(!scene.coordinator.has(&update.digest.parse().unwrap()), "it was not brought beside");

    scene.coordinator.acknowledge(true);
    scene.coordinator.request(&request);
    assert_eq!(scene.coordinator.wire_reply().await, reply, "the same bytes again");
    delivered(&node, &request).await;
    node.stop().await;
    let database = database(&scene);
    let kept: u32 = database
        .read(|transaction| -> Result<u32, node::registry::Error> {
            Ok(transaction.query_row("SELECT count(*) FROM node_updates", [], |row| row.get(0))?)
        })
        .await
        .unwrap();
    assert_eq!(kept, 0);
}

fn database(scene: &Scene) -> store::Database {
    let migrations = [store::journal::MIGRATIONS, node::registry::MIGRATIONS];
    store::Database::open(&scene.home.folder.database(), &migrations).unwrap()
}

/// Sends a request with these bytes for its parameters.
fn ask(scene: &Scene, request: &TrainRequest, bytes: &[u8]) {
    let mut wire = v1::TrainRequest::from(request.clone());
    wire.parameters_bytes = bytes.to_vec();
    scene.coordinator.send(ToNode::TrainRequest(wire));
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_inside_a_request_are_taken_where_they_are_what_it_names() {
    let mut scene = Scene::set().await;
    let known = scene.coordinator.fetched(&scene.experiment.parameters.digest);
    let mut model = Parameters::new();
    for (name, tensor) in Parameters::from_bytes(&known).unwrap().iter() {
        let moved = vec![0.25; tensor.elements()];
        model.insert(name, Tensor::from_f32(tensor.shape(), &moved).unwrap()).unwrap();
    }
    let bytes = model.to_bytes(None).unwrap();

    // Nobody could fetch these.
    let mut request = scene.request();
    request.parameters = ArtifactReference::new(Digest::of(&bytes), bytes.len() as u64);
    ask(&scene, &request, &bytes);
    assert_eq!(scene.coordinator.reply_to(&request).await.code, Code::Ok);

    // These are others than the request names, and so those are fetched.
    let request = scene.request();
    ask(&scene, &request, &bytes);
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!(reply.code, Code::Ok);
    let plain = scene.request();
    assert_eq!(scene.run(&plain).await.update, reply.update, "they were not used");
    scene.node.stop().await;
}
