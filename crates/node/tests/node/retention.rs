//! What rounds leave behind goes when its time is over, by the node's clock, and the owner sees it coming.

use std::sync::Arc;
use std::time::Duration;

use node::Notice;
use node::administration::Status;
use node::retention::{Kept, KeptKind};
use protocol::{Code, Phase};
use serde_json::json;
use store::{Clock, ManualClock, SystemClock};

use crate::site::{Running, Scene};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn kept(status: &Status, what: KeptKind) -> Kept {
    let found = status.kept.iter().find(|kept| kept.what == what);
    found.cloned().expect("every kind is told")
}

async fn count(node: &Running, what: KeptKind) -> u64 {
    kept(&node.handle.administration().status().await.unwrap(), what).count
}

/// Waits until a sweep has left so many; time passes slowly, so that one that was just under way is not the last.
async fn until(node: &Running, clock: &ManualClock, what: KeptKind, expected: u64) {
    let waiting = async {
        while count(node, what).await != expected {
            clock.advance(Duration::from_secs(60));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waiting = tokio::time::timeout(Duration::from_secs(60), waiting);
    waiting.await.unwrap_or_else(|_| panic!("{what:?} come to {expected}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_round_leaves_goes_by_and_by_and_the_owner_sees_until_when() {
    let mut scene = Scene::set_with(|config| config.retention.keep_updates_days = 1).await;
    let request = scene.request();
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::Ok);
    let idle = ManualClock::at(SystemClock.now());
    until(&scene.node, &idle, KeptKind::Rounds, 1).await;
    scene.node.stop().await;
    // A log as a plan that printed a row would leave it, beside the node's own words.
    let round = request.round_id;
    let log = scene.home.folder.round_log(round);
    let line = |phase: Phase, text: &str| {
        json!({"at": 1, "attempt": 1, "phase": phase, "text": text}).to_string() + "\n"
    };
    let lines = line(Phase::Train, "patient 4711 has …") + &line(Phase::Upload, "was refused once");
    std::fs::write(&log, lines).unwrap();
    let left = || std::fs::read_to_string(&log).unwrap();

    let clock = ManualClock::at(SystemClock.now());
    let mut node = scene.home.start_at(Arc::new(clock.clone()));
    node.notice(|notice| *notice == Notice::Connected).await;
    let status = node.handle.administration().status().await.unwrap();
    for (what, expected, days) in [
        (KeptKind::Rounds, 1, Some(30)),
        (KeptKind::RoundLogs, 1, Some(30)),
        (KeptKind::Tracebacks, 1, Some(7)),
        (KeptKind::Updates, 1, Some(1)),
        // The plan and the first parameters.
        (KeptKind::Cache, 2, Some(30)),
        (KeptKind::PlanStates, 0, None),
        (KeptKind::AuditLog, 1, None),
    ] {
        let kept = kept(&status, what);
        assert_eq!((kept.count, kept.days), (expected, days), "{what:?}");
        assert_eq!(kept.bytes > 0, expected > 0, "{what:?}");
        let until =
            kept.oldest_at.and_then(|at| Some(at.after(DAY * u32::try_from(days?).unwrap())));
        assert_eq!(kept.until_at, until, "{what:?}");
    }

    // Nothing goes before its day.
    clock.advance(DAY - Duration::from_secs(60));
    assert_eq!(count(&node, KeptKind::Updates).await, 1);
    clock.advance(Duration::from_secs(2 * 60 * 60));
    until(&node, &clock, KeptKind::Updates, 0).await;
    assert!(left().contains("4711"));
    clock.advance(DAY * 7);
    until(&node, &clock, KeptKind::Tracebacks, 0).await;
    assert!(!left().contains("4711") && left().contains("was refused once"), "{}", left());
    assert_eq!(count(&node, KeptKind::RoundLogs).await, 1);
    assert_eq!(count(&node, KeptKind::Cache).await, 2);
    clock.advance(DAY * 23);
    until(&node, &clock, KeptKind::RoundLogs, 0).await;
    until(&node, &clock, KeptKind::Rounds, 0).await;
    // The plan stays, for its owner has decided about it; the parameters go.
    until(&node, &clock, KeptKind::Cache, 1).await;
    assert_eq!(node.handle.administration().plan_list().await.unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_open_round_needs_stays_however_old_it_is() {
    let mut scene = Scene::set_with(|config| {
        config.retention.keep_round_logs_days = 0;
        config.retention.keep_updates_days = 0;
        config.retention.keep_cache_days = 0;
    })
    .await;
    scene.coordinator.acknowledge(false);
    let request = scene.request();
    scene.run(&request).await;
    scene.node.stop().await;
    let log = scene.home.folder.round_log(request.round_id);
    std::fs::write(&log, "{}\n").unwrap();
    let clock = ManualClock::at(SystemClock.now().after(DAY * 365));
    let mut node = scene.home.start_at(Arc::new(clock));
    node.notice(|notice| *notice == Notice::Connected).await;
    // The reply is said again, so the first sweep is over.
    scene.coordinator.acknowledge(true);
    assert_eq!(scene.coordinator.reply_to(&request).await.code, Code::Ok);
    assert!(log.exists(), "the log of a round that was open at the sweep");
    node.stop().await;
}
