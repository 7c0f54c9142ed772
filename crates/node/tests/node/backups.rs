//! A node goes on from its backup, and nothing that ran runs a second time.

use std::os::unix::fs::PermissionsExt;

use node::administration::Status;
use node::audit::{self, Expectation, Record};
use node::backup::{AuditLog, RestoreError, restore};
use node::registry::rounds::Stage;
use node::{Folder, Notice};
use protocol::{Code, Phase, RoundId, TrainRequest};

use crate::site::{Running, Scene};

/// A request that says that it was made so many minutes from now.
fn made_in(scene: &Scene, minutes: u64) -> TrainRequest {
    let (seconds, _) = uuid::Uuid::now_v7().get_timestamp().unwrap().to_unix();
    let later = (seconds + minutes * 60) * 1_000;
    let uuid = uuid::Builder::from_unix_timestamp_millis(later, &rand()).into_uuid();
    TrainRequest { round_id: RoundId::from_uuid(uuid), ..scene.request() }
}

fn rand() -> [u8; 10] {
    uuid::Uuid::now_v7().as_bytes()[6..].try_into().unwrap()
}

async fn delivered(node: &Running, round: RoundId) {
    let waiting = async {
        while node.handle.administration().round_show(round).await.unwrap().row.stage
            != Stage::Delivered
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.expect("it is taken");
}

fn log(folder: &Folder) -> Vec<Record> {
    audit::verify(audit::open(folder).unwrap(), &Expectation::default()).unwrap();
    audit::records(audit::open(folder).unwrap()).unwrap().map(Result::unwrap).collect()
}

fn count(log: &[Record], action: &str) -> usize {
    log.iter().filter(|record| record.action == action).count()
}

async fn start(scene: &mut Scene) {
    scene.node = scene.home.start();
    scene.node.notice(|notice| *notice == Notice::Connected).await;
    // A restored node waits for its owner.
    let owner = scene.node.handle.administration();
    assert!(owner.status().await.unwrap().is_paused);
    owner.resume().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_ran_after_the_backup_is_refused_and_a_new_one_runs() {
    let mut scene = Scene::set().await;
    let before = scene.request();
    let reply_before = scene.run(&before).await;
    delivered(&scene.node, before.round_id).await;
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("north.backup");
    let made = scene.node.handle.administration().backup(&file).await.unwrap();
    assert_eq!(std::fs::metadata(&file).unwrap().len(), made.bytes);
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    let scratch = std::fs::read_dir(scene.home.folder.scratch()).unwrap();
    assert_eq!(scratch.count(), 0, "nothing is left behind");
    let after = scene.request();
    assert_eq!(scene.run(&after).await.code, Code::Ok);
    delivered(&scene.node, after.round_id).await;

    let held = restore(&scene.home.folder, &file).await.unwrap_err();
    assert!(matches!(held, RestoreError::Lock(_)), "{held:?}");
    scene.node.stop().await;
    let restored = restore(&scene.home.folder, &file).await.unwrap();
    assert_eq!((restored.epoch, restored.audit_log), (1, AuditLog::Kept));
    assert_eq!((restored.rounds_since, restored.rounds_ended), (1, 0));
    assert!(restored.replaced.unwrap().join("node.sqlite").exists());
    start(&mut scene).await;

    // What the backup knows is answered again, with the same words.
    assert_eq!(scene.run(&before).await, reply_before);
    // What ran since is not run again, and neither is what might have.
    assert_eq!(scene.run(&after).await.code, Code::RoundSpent);
    let rows = scene.node.handle.administration().round_list(10).await.unwrap();
    assert_eq!(rows.len(), 1, "{rows:?}");
    // What is asked for now runs.
    let new = scene.request();
    assert_eq!(scene.run(&new).await.code, Code::Ok);
    delivered(&scene.node, new.round_id).await;
    scene.node.stop().await;

    let log = log(&scene.home.folder);
    assert_eq!(count(&log, "node.backup"), 1);
    assert_eq!(count(&log, "node.restore"), 1);
    assert_eq!(count(&log, "log.gap"), 0, "nothing is missing");
    let starts = |round: RoundId| {
        let is = |record: &&Record| {
            record.action == "round.start" && record.objects["round"] == round.to_string()
        };
        log.iter().filter(is).count()
    };
    assert_eq!([before.round_id, after.round_id, new.round_id].map(starts), [1, 1, 1]);
    let refused = log.iter().find(|record| record.result == "round.spent").unwrap();
    assert_eq!(refused.objects["round"], after.round_id.to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_log_is_lost_it_says_so_and_what_is_counted_counts_as_used() {
    let mut scene = Scene::set().await;
    std::fs::write(scene.home.folder.policy(), "[defaults]\nrounds_per_day = 5\n").unwrap();
    scene.node.handle.administration().policy_reload().await.unwrap();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("north.backup");
    scene.node.handle.administration().backup(&file).await.unwrap();
    let after = scene.request();
    assert_eq!(scene.run(&after).await.code, Code::Ok);
    delivered(&scene.node, after.round_id).await;
    scene.node.stop().await;
    for entry in std::fs::read_dir(scene.home.folder.root()).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => std::fs::remove_dir_all(path).unwrap(),
            false => std::fs::remove_file(path).unwrap(),
        }
    }

    let restored = restore(&scene.home.folder, &file).await.unwrap();
    assert_eq!((restored.audit_log, restored.replaced), (AuditLog::OfBackup, None));
    start(&mut scene).await;
    let status: Status = scene.node.handle.administration().status().await.unwrap();
    assert_eq!((status.datasets, status.plans_pending), (1, 0));
    assert_eq!(scene.run(&after).await.code, Code::RoundSpent);
    // Its clock may be ahead of ours.
    let soon = made_in(&scene, 9);
    assert_eq!(scene.run(&soon).await.code, Code::RoundSpent);
    // Five rounds may have run today, for all that anybody knows.
    let later = made_in(&scene, 11);
    let reply = scene.run(&later).await;
    assert_eq!(reply.code, Code::PolicyDenied, "{reply:?}");
    std::fs::write(scene.home.folder.policy(), "").unwrap();
    scene.node.handle.administration().policy_reload().await.unwrap();
    let uncounted = made_in(&scene, 12);
    assert_eq!(scene.run(&uncounted).await.code, Code::Ok);
    scene.node.stop().await;
    let log = log(&scene.home.folder);
    assert_eq!((count(&log, "log.gap"), count(&log, "node.restore")), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_was_under_way_in_the_backup_does_not_go_on() {
    let mut scene = Scene::set_with(|config| config.pause_at = Some(Phase::Train)).await;
    let request = scene.request();
    scene.coordinator.request(&request);
    let waiting = async {
        while scene
            .node
            .handle
            .administration()
            .round_show(request.round_id)
            .await
            .map_or(true, |details| details.row.stage != Stage::Running)
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await.expect("it trains");
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("north.backup");
    scene.node.handle.administration().backup(&file).await.unwrap();
    scene.node.stop().await;
    scene.home.config.pause_at = None;
    let restored = restore(&scene.home.folder, &file).await.unwrap();
    assert_eq!(restored.rounds_ended, 1);
    start(&mut scene).await;
    assert_eq!(scene.coordinator.greeting().await.open_rounds, Vec::<String>::new());
    assert_eq!(scene.run(&request).await.code, Code::RoundSpent);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_backup_and_another_nodes_are_refused() {
    let mut scene = Scene::set().await;
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("north.backup");
    scene.node.handle.administration().backup(&file).await.unwrap();
    scene.node.stop().await;
    let whole = std::fs::read(&file).unwrap();
    let elsewhere = Folder::new(outside.path().join("elsewhere"));
    for at in [0, 20, 40, whole.len() / 2, whole.len() - 1] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&file, &changed).unwrap();
        let error = restore(&elsewhere, &file).await.unwrap_err();
        assert!(
            matches!(error, RestoreError::Damaged { .. } | RestoreError::Other { .. }),
            "byte {at}: {error:?}"
        );
    }
    std::fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert!(matches!(restore(&elsewhere, &file).await, Err(RestoreError::Damaged { .. })));
    std::fs::write(&file, &whole).unwrap();
    let south = Folder::new(outside.path().join("south"));
    node::init(&south, &"south".parse().unwrap(), &scene.coordinator.address).unwrap();
    let error = restore(&south, &file).await.unwrap_err();
    assert!(matches!(error, RestoreError::OtherNode { .. }), "{error:?}");
    restore(&elsewhere, &file).await.unwrap();
    assert!(node::Config::load(&elsewhere, []).is_ok());

    // One that was cut short keeps the node from starting.
    std::fs::write(elsewhere.restore_pending(), "").unwrap();
    let config = node::Config::load(&elsewhere, []).unwrap();
    let Err(error) = node::Node::open(&elsewhere, config) else { panic!("it is refused") };
    assert!(error.to_string().contains("cut short"), "{error}");
    restore(&elsewhere, &file).await.unwrap();
    assert!(!elsewhere.restore_pending().exists());
}
