//! A node goes on from its backup, and nothing that ran runs a second time.

use std::os::unix::fs::PermissionsExt;

use node::administration::{ExclusionChange, GrantText, Status};
use node::audit::{self, Expectation, Record};
use node::backup::{AuditLog, RestoreError, RestoredPolicy, restore};
use node::grant::Status as GrantStatus;
use node::registry::rounds::Stage;
use node::{Folder, Notice};
use protocol::{Code, Detail, Phase, RoundId, TrainRequest};

use crate::site::{Experiment, Running, Scene, addition, example};

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
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
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
    // Nor does anybody know what was withdrawn.
    assert_eq!((restored.grants_closed, restored.policy), (1, RestoredPolicy::OfBackup));
    let withdrawn = made_in(&scene, 12);
    assert_eq!(scene.run(&withdrawn).await.code, Code::PlanRevoked);
    let digest = scene.experiment.plan.digest.to_string();
    scene.node.handle.administration().plan_approve(&digest, "").await.unwrap();
    let uncounted = made_in(&scene, 13);
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
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
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

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_has_closed_since_stays_closed() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let rows = std::fs::read_to_string(example("north.csv")).unwrap();
    let mut lines = rows.lines();
    let header = format!("patient,{}\n", lines.next().unwrap());
    let numbered =
        (0..).zip(lines).fold(header, |text, (place, line)| text + &format!("p{place},{line}\n"));
    let outside = tempfile::tempdir().unwrap();
    let table = outside.path().join("ward.csv");
    std::fs::write(&table, numbered).unwrap();
    let mut ward = addition("ward", &table);
    ward.dataset.table.patient_id = Some("patient".to_owned());
    let ward = owner.dataset_add(ward).await.unwrap();
    owner.dataset_add(addition("gone", &example("north.csv"))).await.unwrap();
    let mlp = std::fs::read_to_string(example("mlp.toml")).unwrap();
    let rejected = Experiment::publish_plan(&scene.coordinator, &mlp);
    rejected.approve(&scene.node).await;
    let digest = scene.experiment.plan.digest.to_string();
    let text = GrantText { file: None, text: "researchers = [\"grace\"]".to_owned() };
    owner.plan_grant(&digest, text, "").await.unwrap();
    let file = outside.path().join("north.backup");
    owner.backup(&file).await.unwrap();

    let policy = "[defaults]\nrounds_per_day = 7\n";
    std::fs::write(scene.home.folder.policy(), policy).unwrap();
    owner.policy_reload().await.unwrap();
    owner.plan_revoke(&digest, Some(1), "").await.unwrap();
    owner.plan_reject(&rejected.plan.digest.to_string(), "").await.unwrap();
    owner.dataset_remove("gone").await.unwrap();
    let mut patients = dataset::Exclusions::default();
    patients.add("p7").unwrap();
    owner.dataset_exclude("ward", ExclusionChange::Exclude { patients }).await.unwrap();
    scene.node.stop().await;

    let restored = restore(&scene.home.folder, &file).await.unwrap();
    assert_eq!((restored.audit_log, restored.policy), (AuditLog::Kept, RestoredPolicy::Kept));
    assert_eq!(restored.grants_closed, 2, "one was withdrawn, one rejected with its plan");
    assert_eq!(restored.datasets_closed, ["ward".parse().unwrap()]);
    assert_eq!(std::fs::read_to_string(scene.home.folder.policy()).unwrap(), policy);
    start(&mut scene).await;
    let owner = scene.node.handle.administration().clone();
    let entry = owner.plan_show(&digest).await.unwrap();
    let statuses: Vec<GrantStatus> = entry.grants.iter().map(|one| one.status).collect();
    assert_eq!(statuses, [GrantStatus::Revoked, GrantStatus::Approved], "the other one counts");
    let request = scene.request();
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::PolicyDenied, "grace may, and ada may not: {reply:?}");
    let request = rejected.request(scene.dataset_id);
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::PlanRejected);
    let names: Vec<String> =
        owner.dataset_list().await.unwrap().into_iter().map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["breast-cancer", "ward"]);

    // Until the owner says who withdrew.
    owner.plan_approve(&digest, "").await.unwrap();
    let ask = |scene: &Scene| {
        let columns = scene.experiment.columns.clone();
        TrainRequest { columns, ..scene.experiment.request(ward.dataset_id) }
    };
    let request = ask(&scene);
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::PolicyDenied, "{reply:?}");
    let Some(Detail::Argument { key, rule, .. }) = reply.detail else { panic!("it says why") };
    assert_eq!(key, "dataset");
    assert_eq!(rule, "is closed until its owner has said again who withdrew");
    let nobody = ExclusionChange::Exclude { patients: dataset::Exclusions::default() };
    owner.dataset_exclude("ward", nobody).await.unwrap();
    let request = ask(&scene);
    assert_eq!(scene.run(&request).await.code, Code::Ok);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_was_in_effect_last_and_is_gone_is_replaced_by_one_for_nobody() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let outside = tempfile::tempdir().unwrap();
    let file = outside.path().join("north.backup");
    owner.backup(&file).await.unwrap();
    std::fs::write(scene.home.folder.policy(), "[defaults]\nmodes = [\"validate\"]\n").unwrap();
    owner.policy_reload().await.unwrap();
    scene.node.stop().await;
    std::fs::write(scene.home.folder.policy(), "").unwrap();
    let restored = restore(&scene.home.folder, &file).await.unwrap();
    assert_eq!((restored.audit_log, restored.policy), (AuditLog::Kept, RestoredPolicy::Closed));
    start(&mut scene).await;
    let request = scene.request();
    let reply = scene.run(&request).await;
    let Some(Detail::Argument { key, .. }) = &reply.detail else { panic!("{reply:?}") };
    assert_eq!((reply.code, key.as_str()), (Code::PolicyDenied, "researcher_id"));
    scene.node.stop().await;
}
