//! Updates that the policy holds: they wait for their owner, across crashes, and leave or stay as the owner says.

use node::registry::releases::Decision;
use node::{LocalFiles, Notice, run_request};
use protocol::wire::v1::{self, node_message::Message};
use protocol::{Code, TrainReply, TrainRequest};

use crate::site::Scene;

impl Scene {
    async fn hold(&self) {
        std::fs::write(self.home.folder.policy(), "[defaults]\nhold = true\n").unwrap();
        self.node.handle.administration().policy_reload().await.unwrap();
    }

    /// Sends a request and waits until its update is held; nothing else may have been told of it.
    async fn held(&mut self) -> TrainRequest {
        let request = self.request();
        self.coordinator.request(&request);
        self.await_stage("held").await;
        request
    }

    pub(crate) async fn await_stage(&mut self, wanted: &str) {
        let stage = |message| match message {
            Message::RoundProgress(v1::RoundProgress { stage, .. }) => Some(stage),
            Message::TrainReply(reply) => panic!("it was replied: {reply:?}"),
            _ => None,
        };
        while self.coordinator.hear(stage).await != wanted {}
    }

    fn actions(&self, request: &TrainRequest) -> Vec<String> {
        let source = node::audit::open(&self.home.folder).unwrap();
        let id = request.round_id.to_string();
        let records = node::audit::records(source).unwrap().map(Result::unwrap);
        let own = records.filter(|record| record.objects.get("round") == Some(&id));
        own.map(|record| record.action).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_update_leaves_when_its_owner_approves_it() {
    let mut scene = Scene::set().await;
    let open = scene.request();
    let open = scene.run(&open).await;
    scene.hold().await;
    let request = scene.held().await;
    let owner = scene.node.handle.administration().clone();
    let waiting = owner.release_list().await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].round_id, request.round_id);
    let shown = owner.release_show(request.round_id).await.unwrap();
    assert_eq!((shown.plan, shown.sample_count), (request.plan.digest, 162));
    assert!(shown.file.is_some() && shown.norm.is_some_and(|norm| norm > 0.0));
    assert_eq!(scene.actions(&request), ["round.start", "round.split", "round.hold"]);
    // Its slot is free meanwhile.
    let status = owner.status().await.unwrap();
    assert_eq!((status.rounds_running, status.rounds_open), (0, 1));

    let decided = owner.release_decide(request.round_id, Decision::Approved, "seen").await.unwrap();
    assert_eq!(decided.held.unwrap().note, "seen");
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!(
        (reply.code, reply.update, reply.metrics_before),
        (Code::Ok, open.update, open.metrics_before)
    );
    assert_eq!(owner.release_list().await.unwrap(), []);
    let expected = ["round.start", "round.split", "round.hold", "release.approve", "round.release"];
    assert_eq!(scene.actions(&request), expected);
    let again = owner.release_decide(request.round_id, Decision::Rejected, "").await.unwrap_err();
    assert!(again.to_string().contains("no update of round"), "{again}");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_update_stays_when_its_owner_rejects_it() {
    let mut scene = Scene::set().await;
    scene.hold().await;
    let request = scene.held().await;
    let owner = scene.node.handle.administration().clone();
    owner.release_decide(request.round_id, Decision::Rejected, "").await.unwrap();
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!((reply.code, &reply.update, reply.sample_count), (Code::EgressDenied, &None, 0));
    assert_eq!(reply.metrics_before, None);
    let expected = ["round.start", "round.split", "round.hold", "release.reject", "round.refuse"];
    assert_eq!(scene.actions(&request), expected);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_update_outlives_a_crash_and_so_does_the_decision() {
    let mut scene = Scene::set().await;
    scene.hold().await;
    let request = scene.held().await;
    scene.node.kill().await;
    scene.node = scene.home.start();
    scene.await_stage("held").await;
    let owner = scene.node.handle.administration().clone();
    assert_eq!(owner.release_list().await.unwrap().len(), 1);
    scene.node.kill().await;
    // The owner decides while the node does not run.
    let config = scene.home.config.clone();
    let owner = node::Administration::open(&scene.home.folder, config).await.unwrap();
    owner.release_decide(request.round_id, Decision::Approved, "").await.unwrap();
    drop(owner);
    scene.node = scene.home.start();
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!(reply.code, Code::Ok);
    let bytes = scene.coordinator.fetched(&reply.update.unwrap().digest);
    assert!(!bytes.is_empty());
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_update_is_dropped_when_the_coordinator_does_not_want_it_any_more() {
    let mut scene = Scene::set().await;
    scene.hold().await;
    let request = scene.held().await;
    scene.coordinator.cancel(request.round_id);
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!((reply.code, reply.update), (Code::Cancelled, None));
    let owner = scene.node.handle.administration().clone();
    assert_eq!(owner.release_list().await.unwrap(), []);
    let late = owner.release_decide(request.round_id, Decision::Approved, "").await.unwrap_err();
    assert!(late.to_string().contains("no update of round"), "{late}");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_by_hand_does_not_wait_for_an_owner() {
    let mut scene = Scene::set().await;
    scene.hold().await;
    scene.node.stop().await;
    let files = tempfile::tempdir().unwrap();
    let (plan, parameters) = (files.path().join("plan.json"), files.path().join("p.safetensors"));
    std::fs::write(&plan, scene.experiment.bundle.bytes()).unwrap();
    let bytes = scene.coordinator.fetched(&scene.experiment.parameters.digest);
    std::fs::write(&parameters, bytes).unwrap();
    let output = files.path().join("output");
    std::fs::create_dir(&output).unwrap();
    let local = LocalFiles { plan, parameters, output: output.clone() };
    let (home, request) = (&scene.home, scene.request());
    let reply: TrainReply =
        run_request(&home.folder, home.config.clone(), request, &local).await.unwrap();
    assert_eq!((reply.code, reply.update), (Code::EgressHeld, None));
    assert_eq!(std::fs::read_dir(&output).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stops_does_not_wait_for_an_owner() {
    let mut scene = Scene::set().await;
    scene.hold().await;
    scene.held().await;
    let since = std::time::Instant::now();
    scene.node.stop().await;
    assert!(since.elapsed() < std::time::Duration::from_secs(1), "{:?}", since.elapsed());
    let ended = scene.node.notices.try_recv();
    assert!(!matches!(ended, Ok(Notice::RoundEnded { .. })));
}
