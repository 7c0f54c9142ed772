//! What a running node records, and that it does nothing that it cannot record.

use std::fs::File;
use std::io::Read as _;

use node::audit::{Expectation, Record};
use protocol::{Code, RoundId};

use crate::site::Scene;

fn records(scene: &Scene) -> Vec<Record> {
    let source = node::audit::open(&scene.home.folder).unwrap();
    node::audit::records(source).unwrap().map(Result::unwrap).collect()
}

fn of_round(scene: &Scene, round: RoundId) -> Vec<Record> {
    let id = round.to_string();
    let mut records = records(scene);
    records.retain(|record| record.objects.get("round") == Some(&id));
    records
}

fn actions(records: &[Record]) -> Vec<&str> {
    records.iter().map(|record| record.action.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_is_recorded_from_its_start_to_its_release() {
    let mut scene = Scene::set().await;
    let request = scene.request();
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::Ok);
    let all = records(&scene);
    let first = ["log.begin", "node.start", "policy.change", "dataset.add", "plan.register"];
    assert_eq!(actions(&all)[..5], first);
    let owner = format!("owner:{}", rustix::process::getuid().as_raw());
    assert!(all[3].actor.starts_with(&owner), "{}", all[3].actor);
    let round = of_round(&scene, request.round_id);
    assert_eq!(actions(&round), ["round.start", "round.split", "round.release"]);
    for record in &round {
        assert_eq!(record.actor, "researcher:ada");
        assert_eq!(record.result, "ok");
        assert_eq!(record.objects["dataset"], "breast-cancer");
        assert_eq!(record.objects["dataset_digest"], all[3].objects["dataset_digest"]);
    }
    assert_eq!(round[0].objects["plan"], request.plan.digest.to_string());
    assert_eq!(round[1].objects["split_seed"], "split/v1");
    assert_eq!(round[1].objects["training_rows"], reply.sample_count.to_string());
    let update = reply.update.unwrap();
    assert_eq!(round[2].objects["update"], update.digest.to_string());
    assert_eq!(round[2].objects["update_bytes"], update.size.to_string());
    scene.node.stop().await;
    let key = Some(node::audit::public_key(&scene.home.folder).unwrap());
    let source = node::audit::open(&scene.home.folder).unwrap();
    let verified =
        node::audit::verify(source, &Expectation { key, ..Expectation::default() }).unwrap();
    assert_eq!(records(&scene).last().unwrap().action, "node.stop");
    assert_eq!(verified.records, records(&scene).len() as u64);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_refused_is_recorded_with_its_code() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let plan = scene.experiment.plan.digest.to_string();
    owner.plan_reject(&plan, "a note that stays out of the log").await.unwrap();
    let request = scene.request();
    assert_eq!(scene.run(&request).await.code, Code::PlanRejected);
    let round = of_round(&scene, request.round_id);
    assert_eq!(actions(&round), ["round.refuse"]);
    assert_eq!(round[0].result, "plan.rejected");
    let mut bytes = Vec::new();
    node::audit::open(&scene.home.folder).unwrap().read_to_end(&mut bytes).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let home = scene.home.folder.root().to_string_lossy();
    for word in ["a note that", "north.csv", &*home, "radius_mean", "a share of"] {
        assert!(!text.contains(word), "{word} is in the log");
    }
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_done_that_cannot_be_recorded_and_it_goes_on_by_itself() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let log = File::open(scene.home.folder.audit_log()).unwrap();
    log.lock().unwrap();
    let request = scene.request();
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::AuditUnavailable);
    let error = owner.pause().await.unwrap_err();
    assert!(error.to_string().contains("locked by another program"), "{error}");
    assert!(error.hint().unwrap().contains("audit verify"));
    let status = owner.status().await.unwrap();
    assert!(!status.is_paused && status.audit_trouble.is_some());
    log.unlock().unwrap();
    let next = scene.request();
    assert_eq!(scene.run(&next).await.code, Code::Ok);
    assert_eq!(owner.status().await.unwrap().audit_trouble, None);
    let refused = of_round(&scene, request.round_id);
    assert_eq!(actions(&refused), ["round.refuse"], "it is recorded afterwards");
    assert_eq!(refused[0].result, "audit.unavailable");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_log_refuses_rounds_and_says_which_record() {
    let mut scene = Scene::set().await;
    scene.node.stop().await;
    let path = scene.home.folder.audit_log();
    let whole = std::fs::read(&path).unwrap();
    let mut bytes = whole.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    scene.node = scene.home.start();
    scene.coordinator.greeting().await;
    let request = scene.request();
    assert_eq!(scene.run(&request).await.code, Code::AuditUnavailable);
    let owner = scene.node.handle.administration().clone();
    let trouble = owner.status().await.unwrap().audit_trouble.unwrap();
    assert!(trouble.contains("damaged: record "), "{trouble}");
    std::fs::write(&path, whole).unwrap();
    let request = scene.request();
    assert_eq!(scene.run(&request).await.code, Code::Ok, "it is whole again");
    scene.node.stop().await;
}
