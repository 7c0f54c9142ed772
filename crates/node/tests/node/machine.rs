//! What a node does with its machine: how many rounds at once, on which device, and what is left on the disk.

use std::path::Path;
use std::time::{Duration, Instant};

use node::Notice;
use node::registry::rounds::Stage;
use protocol::{Code, Phase, RoundId, TrainRequest, Warning};
use serde_json::json;

use crate::site::{Scene, training_args};

/// A request that trains until somebody ends it.
fn endless(scene: &Scene) -> TrainRequest {
    let mut request = scene.request();
    request.training_args =
        training_args(&[("epochs", json!(100_000_000)), ("log_interval", json!(1_000_000))]);
    request
}

async fn started(scene: &mut Scene) -> RoundId {
    let notice = scene.node.notice(|notice| matches!(notice, Notice::RoundStarted { .. })).await;
    let Notice::RoundStarted { round_id, .. } = notice else { panic!("{notice:?}") };
    round_id
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_rounds_run_at_once_as_the_owner_allows_and_the_next_one_waits() {
    let mut scene = Scene::set_with(|config| config.rounds_at_once = 2).await;
    let requests = [endless(&scene), endless(&scene), endless(&scene)];
    for request in &requests {
        scene.coordinator.request(request);
    }
    // Neither of the two ends before the other has begun.
    let mut running = [started(&mut scene).await, started(&mut scene).await];
    running.sort();
    let mut expected = [requests[0].round_id, requests[1].round_id];
    expected.sort();
    assert_eq!(running, expected, "first come, first served");
    let third = |notice: &Notice| matches!(notice, Notice::RoundAccepted { round_id } if *round_id == requests[2].round_id);
    scene.node.notice(third).await;
    let owner = scene.node.handle.administration().clone();
    let waiting = owner.round_show(requests[2].round_id).await.unwrap().row;
    assert_eq!((waiting.stage, waiting.attempt), (Stage::Queued, 0));

    owner.round_cancel(requests[0].round_id).await.unwrap();
    assert_eq!(started(&mut scene).await, requests[2].round_id);
    for request in &requests[1..] {
        owner.round_cancel(request.round_id).await.unwrap();
    }
    for _ in &requests {
        assert_eq!(scene.coordinator.reply().await.code, Code::Cancelled);
    }
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_is_told_on_which_device_a_round_did_not_run() {
    for (gpu_only, gpu_num, use_gpu, expected) in [
        (true, None, false, Some(Warning::GpuMissing)),
        (false, Some(3), true, Some(Warning::GpuMissing)),
        (false, None, true, Some(Warning::GpuUnused)),
        (false, Some(3), false, None),
    ] {
        let mut scene = Scene::set_with(|config| {
            config.devices.gpu_only = gpu_only;
            config.devices.gpu_num = gpu_num;
        })
        .await;
        let mut request = scene.request();
        request.training_args = training_args(&[("use_gpu", json!(use_gpu))]);
        let reply = scene.run(&request).await;
        assert_eq!(reply.code, Code::Ok);
        assert_eq!(reply.warnings, Vec::from_iter(expected));
        scene.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_round_is_told_by_the_clock_and_by_the_processor_and_for_each_phase() {
    let mut scene = Scene::set().await;
    let mut request = scene.request();
    request.training_args = training_args(&[("epochs", json!(30))]);
    let begun = Instant::now();
    let reply = scene.run(&request).await;
    let whole = begun.elapsed().as_secs_f64();
    let timing = reply.timing;
    assert!(timing.rtime_training > 0.0 && timing.rtime_training <= whole, "{timing:?}");
    // One thread trains; its clock and the processor's tick in steps of their own.
    assert!(timing.ptime_training > 0.0, "{timing:?}");
    assert!(timing.ptime_training <= timing.rtime_training + 0.05, "{timing:?}");
    let phases: Vec<Phase> = timing.phases.iter().map(|(phase, _)| *phase).collect();
    let skipped = [Phase::ValidateAfter, Phase::Reply, Phase::Clean];
    for phase in Phase::ALL.iter().filter(|phase| !skipped.contains(phase)) {
        assert!(phases.contains(phase) || *phase == Phase::Accept, "{phase}: {phases:?}");
    }
    assert!(!phases.contains(&Phase::ValidateAfter), "it was not asked for");
    let sum: f64 = timing.phases.iter().map(|(_, seconds)| seconds).sum();
    assert!(sum <= whole, "{sum} of {whole}");
    scene.node.stop().await;
}

/// Every file below a folder, by its path in it.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_round_is_left_on_the_disk_once_it_is_delivered() {
    let mut scene = Scene::set().await;
    scene.run(&scene.request()).await;
    let artifacts = scene.home.folder.artifacts();
    settled(&scene, "the first round's update").await;
    // The plan and the parameters, which the next round needs again.
    let kept = files(&artifacts).len();
    assert_eq!(kept, 2);

    let ways: [(&str, serde_json::Value); 4] = [
        ("epochs", json!(2)),
        ("epochs", json!("x")),
        ("optimizer_args", json!({ "lr": 1e38 })),
        ("test_ratio", json!(1.0)),
    ];
    for change in ways {
        let mut request = scene.request();
        request.training_args = training_args(std::slice::from_ref(&change));
        scene.run(&request).await;
        settled(&scene, &format!("{change:?}")).await;
        assert_eq!(files(&artifacts).len(), kept, "{change:?}");
    }
    let request = endless(&scene);
    scene.coordinator.request(&request);
    started(&mut scene).await;
    scene.coordinator.cancel(request.round_id);
    assert_eq!(scene.coordinator.reply_to(&request).await.code, Code::Cancelled);
    settled(&scene, "a cancelled round").await;
    assert_eq!(files(&artifacts).len(), kept);
    scene.node.stop().await;
}

/// Waits until every round is delivered, no file is being made and no update is left.
async fn settled(scene: &Scene, what: &str) {
    let owner = scene.node.handle.administration().clone();
    let plan = scene.experiment.plan.digest.hexadecimal();
    let parameters = scene.experiment.parameters.digest.hexadecimal();
    let settling = async {
        loop {
            let rows = owner.round_list(100).await.unwrap();
            let delivered = rows.iter().all(|row| row.stage == Stage::Delivered);
            let scratch = std::fs::read_dir(scene.home.folder.scratch()).unwrap().count();
            let artifacts = files(&scene.home.folder.artifacts().join("sha256"));
            let known = |name: &String| {
                // A file that was not synchronised yet says so in its name.
                let name = name.replace('/', "").replace(".unsynchronised", "");
                name.ends_with(&plan) || name.ends_with(&parameters)
            };
            if delivered && scratch == 0 && artifacts.iter().all(known) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let settled = tokio::time::timeout(Duration::from_secs(60), settling).await;
    assert!(settled.is_ok(), "{what} is left: {:?}", files(scene.home.folder.root()));
}
