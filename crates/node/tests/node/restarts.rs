//! What a node does after it ended at any instant, or its coordinator did.

use std::cell::Cell;
use std::time::{Duration, Instant};

use node::Notice;
use node::registry::rounds::Stage;
use protocol::{ArtifactReference, Code, Phase, TrainRequest};
use serde_json::json;

use crate::coordinator::Coordinator;
use crate::site::{Running, Scene, training_args};

fn request(scene: &Scene) -> TrainRequest {
    let mut request = scene.request();
    request.training_args = training_args(&[("test_on_local_updates", json!(true))]);
    request
}

async fn undisturbed(scene: &mut Scene) -> ArtifactReference {
    let request = request(scene);
    scene.run(&request).await.update.expect("there is one")
}

/// Starts the node so that it stands still at a phase, and kills it there.
async fn killed_at(scene: &mut Scene, phase: Phase, request: &TrainRequest) {
    scene.home.config.pause_at = Some(phase);
    let mut node = scene.home.start();
    node.notice(|notice| *notice == Notice::Connected).await;
    scene.coordinator.request(request);
    node.notice(|notice| matches!(notice, Notice::Paused { .. })).await;
    node.kill().await;
    scene.home.config.pause_at = None;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_killed_in_any_phase_ends_the_round_with_the_same_bytes() {
    killed_in_any_phase(|_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_whose_update_travels_inside_the_reply_may_be_killed_in_any_phase() {
    killed_in_any_phase(Coordinator::carry).await;
}

async fn killed_in_any_phase(agree: fn(&Coordinator)) {
    let mut scene = Scene::set().await;
    let expected = undisturbed(&mut scene).await;
    scene.node.stop().await;
    agree(&scene.coordinator);
    for &phase in Phase::ALL {
        let request = request(&scene);
        killed_at(&mut scene, phase, &request).await;
        let mut node = scene.home.start();
        if phase != Phase::Clean {
            let reply = scene.coordinator.reply_to(&request).await;
            assert_eq!(reply.code, Code::Ok, "{phase}");
            assert_eq!(reply.update, Some(expected.clone()), "{phase}");
        } else {
            // The first process had sent the reply before it cleaned up; the second sends the same.
            assert_eq!(scene.coordinator.reply_to(&request).await.update, Some(expected.clone()));
        }
        delivered(&node, &request).await;
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_round_is_shown_and_dropped_and_a_healthy_one_is_not() {
    let mut scene = Scene::set().await;
    scene.node.stop().await;
    let (damaged, healthy) = (request(&scene), request(&scene));
    killed_at(&mut scene, Phase::Upload, &damaged).await;
    let migrations = [store::journal::MIGRATIONS, node::registry::MIGRATIONS];
    let database = store::Database::open(&scene.home.folder.database(), &migrations).unwrap();
    let damage = |transaction: &store::Transaction<'_>| -> Result<(), node::registry::Error> {
        transaction.execute("UPDATE journal_events SET body = x'7b'", [])?;
        Ok(())
    };
    database.write(damage).await.unwrap();
    drop(database);

    let mut node = scene.home.start();
    node.notice(|notice| *notice == Notice::Connected).await;
    scene.coordinator.acknowledge(false);
    scene.coordinator.request(&healthy);
    assert_eq!(scene.coordinator.reply_to(&healthy).await.code, Code::Ok, "others run");
    let owner = node.handle.administration().clone();
    let stages = |rows: Vec<node::registry::rounds::RoundRow>| -> Vec<_> {
        rows.into_iter().map(|row| (row.round_id, row.stage)).collect()
    };
    let listed = stages(owner.round_list(10).await.unwrap());
    let replied = (healthy.round_id, Stage::Replied);
    assert_eq!(listed, [replied, (damaged.round_id, Stage::Damaged)]);
    let error = owner.round_drop(healthy.round_id).await.unwrap_err();
    assert_eq!(error.to_string(), format!("round {} is not damaged", healthy.round_id));
    assert!(error.hint().is_some());
    let error = owner.round_cancel(damaged.round_id).await.unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("node round drop")), "{error}");
    owner.round_drop(damaged.round_id).await.unwrap();
    assert_eq!(stages(owner.round_list(10).await.unwrap()), [replied]);
    let error = owner.round_drop(damaged.round_id).await.unwrap_err();
    assert_eq!(error.to_string(), format!("round {} is not known here", damaged.round_id));
    node.stop().await;
}

pub(crate) async fn delivered(node: &Running, request: &TrainRequest) {
    let owner = node.handle.administration().clone();
    let waiting = async {
        loop {
            let row = owner.round_show(request.round_id).await.unwrap().row;
            if row.stage == node::registry::rounds::Stage::Delivered {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting).await.expect("it is delivered");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_third_interrupted_attempt_is_the_last() {
    let mut scene = Scene::set().await;
    let request = request(&scene);
    scene.node.stop().await;
    for attempt in 1..=3 {
        scene.home.config.pause_at = Some(Phase::Train);
        let mut node = scene.home.start();
        // A round that is taken up may stand still before its node is connected.
        let stands = Cell::new(false);
        let stands_still = |notice: &Notice| matches!(notice, Notice::Paused { .. });
        let connected = |notice: &Notice| {
            stands.set(stands.get() || stands_still(notice));
            *notice == Notice::Connected
        };
        node.notice(connected).await;
        scene.coordinator.request(&request);
        if !stands.get() {
            node.notice(stands_still).await;
        }
        let row = node.handle.administration().round_show(request.round_id).await.unwrap().row;
        assert_eq!(row.attempt, attempt);
        node.kill().await;
    }
    let mut node = scene.home.start();
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!(reply.code, Code::NodeInterrupted);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_whose_records_cannot_be_read_stops_no_other() {
    let mut scene = Scene::set().await;
    scene.node.stop().await;
    let damaged = request(&scene);
    killed_at(&mut scene, Phase::Train, &damaged).await;
    let database = store::rusqlite::Connection::open(scene.home.folder.database()).unwrap();
    let update = "UPDATE journal_events SET body = x'00' WHERE machine LIKE ?1";
    let changed = database.execute(update, [format!("%{}", damaged.round_id)]).unwrap();
    assert!(changed > 0);
    drop(database);

    let mut node = scene.home.start();
    node.notice(|notice| *notice == Notice::Connected).await;
    let other = request(&scene);
    scene.coordinator.request(&other);
    assert_eq!(scene.coordinator.reply_to(&other).await.code, Code::Ok);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_export_is_made_again() {
    let mut scene = Scene::set().await;
    let expected = undisturbed(&mut scene).await;
    let request = request(&scene);
    scene.node.stop().await;
    killed_at(&mut scene, Phase::Egress, &request).await;
    let artifacts = scene.home.folder.artifacts().join("sha256");
    std::fs::remove_dir_all(artifacts).unwrap();
    let mut node = scene.home.start();
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!((reply.code, reply.update), (Code::Ok, Some(expected)));
    let row = node.handle.administration().round_show(request.round_id).await.unwrap().row;
    assert_eq!(row.attempt, 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unacknowledged_reply_is_sent_at_every_connection_with_the_same_bytes() {
    let mut scene = Scene::set().await;
    scene.coordinator.acknowledge(false);
    let request = request(&scene);
    scene.coordinator.request(&request);
    let first = scene.coordinator.wire_reply().await;
    scene.node.stop().await;
    scene.coordinator.acknowledge(true);
    let mut node = scene.home.start();
    let greeting = scene.coordinator.greeting().await;
    assert_eq!(greeting.open_rounds, [request.round_id.to_string()]);
    let second = scene.coordinator.wire_reply().await;
    assert_eq!(first, second);
    delivered(&node, &request).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_waits_for_a_coordinator_that_went_away() {
    let mut scene = Scene::set().await;
    let expected = undisturbed(&mut scene).await;
    let mut request = request(&scene);
    request.training_args = training_args(&[("test_on_local_updates", json!(true))]);
    scene.coordinator.request(&request);
    scene.node.notice(|notice| matches!(notice, Notice::RoundStarted { .. })).await;
    let stopped = scene.coordinator.stop().await;
    scene.node.notice(|notice| *notice == Notice::Disconnected).await;
    let mut coordinator = stopped.start_again().await;
    let reply = coordinator.reply_to(&request).await;
    assert_eq!((reply.code, reply.update), (Code::Ok, Some(expected)));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_vanishes_before_it_is_sent_is_the_nodes_own_failure() {
    let mut scene = Scene::set().await;
    undisturbed(&mut scene).await;
    let request = request(&scene);
    scene.node.stop().await;
    scene.home.config.pause_at = Some(Phase::Reply);
    let mut node = scene.home.start();
    node.notice(|notice| *notice == Notice::Connected).await;
    scene.coordinator.refuse_uploads(1);
    let artifacts = scene.home.folder.artifacts().join("sha256");
    scene.coordinator.on_refusal(move || std::fs::remove_dir_all(&artifacts).unwrap());
    scene.coordinator.request(&request);
    let ended = node.notice(|notice| matches!(notice, Notice::RoundEnded { .. })).await;
    let code = Code::NodeInternal;
    assert_eq!(ended, Notice::RoundEnded { round_id: request.round_id, code });
    let log = node.handle.administration().round_log(request.round_id).await.unwrap();
    assert!(
        log.iter().any(|line| line.phase == Phase::Upload && line.text.contains("is not here"))
    );
    node.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_ends_in_bounded_time_and_goes_on_at_its_next_start() {
    let mut scene = Scene::set().await;
    let mut request = scene.request();
    request.training_args =
        training_args(&[("epochs", json!(100_000_000)), ("log_interval", json!(1_000_000))]);
    scene.coordinator.request(&request);
    scene.node.notice(|notice| matches!(notice, Notice::RoundStarted { .. })).await;
    let since = Instant::now();
    scene.node.stop().await;
    assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
    let mut node = scene.home.start();
    let started = node.notice(|notice| matches!(notice, Notice::RoundStarted { .. })).await;
    assert_eq!(started, Notice::RoundStarted { round_id: request.round_id, attempt: 2 });
    node.handle.administration().round_cancel(request.round_id).await.unwrap();
    assert_eq!(scene.coordinator.reply_to(&request).await.code, Code::Cancelled);
    node.stop().await;
}
