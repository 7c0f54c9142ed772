//! Rounds that go well: what is trained, measured, sent, and said again.

use node::{LocalFiles, Notice, run_request};
use parameters::Parameters;
use protocol::wire::v1::{self, node_message::Message};
use protocol::{Code, Mode, Phase, Scalar, Warning};
use serde_json::json;

use crate::site::{Scene, addition, example, training_args};

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

#[tokio::test(flavor = "multi_thread")]
async fn validation_measures_and_sends_no_update() {
    let mut scene = Scene::set().await;
    let mut request = scene.request();
    request.mode = Mode::Validate;
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::Ok);
    assert_eq!(reply.update, None);
    assert!(reply.metrics_before.is_some() && reply.metrics_after.is_none());
    assert!(reply.timing.phases.iter().all(|(phase, _)| *phase != Phase::Train));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trained_parameters_are_measured_where_that_is_asked_for() {
    let mut scene = Scene::set().await;
    let mut request = scene.request();
    request.training_args =
        training_args(&[("test_on_local_updates", json!(true)), ("epochs", json!(5))]);
    let reply = scene.run(&request).await;
    let accuracy = |report: Option<protocol::MetricsReport>| report.unwrap().metrics[0].1;
    assert!(accuracy(reply.metrics_after) > accuracy(reply.metrics_before) + 0.2);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_over_few_rows_stay_with_the_node() {
    let mut scene = Scene::set().await;
    let mut request = scene.request();
    // Four of 202 rows.
    request.training_args = training_args(&[("test_ratio", json!(0.02))]);
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::Ok);
    assert_eq!(reply.metrics_before, None);
    assert!(reply.warnings.contains(&Warning::MetricWithheld));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_arguments_are_warned_about_and_the_round_goes_on() {
    let mut scene = Scene::set_with(|config| config.devices.gpu = true).await;
    for (changes, warning) in [
        (vec![("test_on_global_updates", json!(false))], Warning::ValidationSplitUnused),
        (vec![("test_ratio", json!(0.0))], Warning::ValidationNoSplit),
        (vec![("shuffle_testing_dataset", json!(true))], Warning::ValidationSplitChanges),
        (vec![("use_gpu", json!(true))], Warning::GpuMissing),
    ] {
        let mut request = scene.request();
        request.training_args = training_args(&changes);
        let reply = scene.run(&request).await;
        assert_eq!(reply.code, Code::Ok);
        assert!(reply.warnings.contains(&warning), "{warning}: {:?}", reply.warnings);
    }
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_over_few_rows_leave_neither_by_the_reply_nor_by_a_scalar() {
    let mut scene = Scene::set_with(|config| config.minimum_validation_samples = 1_000).await;
    let request = scene.request();
    scene.coordinator.request(&request);
    // A validation has fewer rows than that, and so has every batch.
    let reply = loop {
        match scene.coordinator.hear(Some).await {
            Message::TrainReply(told) => break told,
            Message::Scalars(v1::Scalars { scalars }) => panic!("{scalars:?} leave"),
            _ => {}
        }
    };
    assert_eq!(reply.metrics_before, None);
    assert!(reply.warnings.contains(&"metric.withheld".to_owned()), "{:?}", reply.warnings);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loss_of_a_batch_with_too_few_rows_is_told_among_others() {
    // Batches with too few are told together, and what is left of them stays.
    for (minimum, expected) in [(32, 5), (33, 3), (2, 6), (150, 1), (163, 0)] {
        let mut scene = Scene::set_with(|config| config.minimum_validation_samples = minimum).await;
        // 162 rows are five batches of 32 and one of 2.
        let request = scene.asking(&[("log_interval", json!(1))]);
        scene.coordinator.request(&request);
        let (mut told, mut reply) = (0, None);
        while reply.is_none() || told < expected {
            match scene.coordinator.hear(Some).await {
                Message::TrainReply(found) => reply = Some(found),
                Message::Scalars(v1::Scalars { scalars }) => {
                    told += scalars.iter().filter(|scalar| scalar.train).count();
                }
                _ => {}
            }
        }
        assert_eq!(told, expected, "at least {minimum} rows");
        scene.node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scalars_follow_the_training_and_are_bounded() {
    let mut scene = Scene::set_with(|config| config.scalars_per_round = 3).await;
    let mut request = scene.request();
    request.training_args = training_args(&[("log_interval", json!(1))]);
    scene.coordinator.request(&request);
    let mut scalars: Vec<Scalar> = Vec::new();
    let mut reply = None;
    while scalars.len() < 3 || reply.is_none() {
        let message = scene.coordinator.hear(Some).await;
        match message {
            Message::Scalars(v1::Scalars { scalars: more }) => {
                scalars.extend(more.into_iter().map(|scalar| Scalar::try_from(scalar).unwrap()));
            }
            Message::TrainReply(found) => reply = Some(found),
            _ => {}
        }
    }
    assert_eq!(scalars.len(), 3);
    assert!(scalars[0].test && scalars[0].test_on_global_updates && scalars[0].epoch.is_none());
    assert!(scalars[1].train && scalars[1].epoch == Some(1) && scalars[1].iteration == 1);
    let sequences: Vec<u64> = scalars.iter().map(|scalar| scalar.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
    assert!(reply.unwrap().warnings.contains(&"scalars.dropped".to_owned()));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_round_is_answered_with_the_same_bytes_and_not_run() {
    let mut scene = Scene::set().await;
    let request = scene.request();
    scene.coordinator.request(&request);
    let first = scene.coordinator.wire_reply().await;
    scene.coordinator.request(&request);
    let second = scene.coordinator.wire_reply().await;
    assert_eq!(first, second);
    assert_eq!(scene.node.handle.administration().round_list(10).await.unwrap().len(), 1);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rounds_queue_first_come_first_served() {
    let mut scene = Scene::set().await;
    let requests: Vec<_> = (0..4).map(|_| scene.request()).collect();
    for request in &requests {
        scene.coordinator.request(request);
    }
    let mut queued_before = Vec::new();
    let mut replied = Vec::new();
    while replied.len() < requests.len() {
        match scene.coordinator.hear(Some).await {
            Message::RoundProgress(progress) if progress.stage == "accepted" => {
                queued_before.push(progress.queued_before);
            }
            Message::TrainReply(reply) => replied.push(reply.round_id),
            _ => {}
        }
    }
    let asked: Vec<_> = requests.iter().map(|request| request.round_id.to_string()).collect();
    assert_eq!(replied, asked);
    assert_eq!(queued_before[0], 0);
    assert_eq!(queued_before.len(), 4);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_reply_is_delivered_and_its_update_dropped() {
    let mut scene = Scene::set().await;
    let request = scene.request();
    scene.coordinator.close_round(request.round_id);
    let reply = scene.run(&request).await;
    let update = reply.update.expect("there is one").digest.hexadecimal();
    let path = scene.home.folder.artifacts().join("sha256");
    let owner = scene.node.handle.administration().clone();
    let closed = async {
        loop {
            let row = owner.round_show(request.round_id).await.unwrap().row;
            let is_gone = std::fs::read_dir(&path).map_or(true, |mut entries| {
                !entries
                    .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with(&update))
            });
            if row.stage == node::registry::rounds::Stage::Closed && is_gone {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), closed).await.unwrap();
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_request_runs_by_itself_on_local_files() {
    let mut scene = Scene::set().await;
    let request = scene.request();
    let expected = scene.run(&request).await;
    scene.node.stop().await;

    let files = tempfile::tempdir().unwrap();
    let (plan, parameters) = (files.path().join("plan.json"), files.path().join("p.safetensors"));
    std::fs::write(&plan, scene.experiment.bundle.bytes()).unwrap();
    let bytes = scene.coordinator.fetched(&scene.experiment.parameters.digest);
    std::fs::write(&parameters, bytes).unwrap();
    let local = LocalFiles { plan, parameters, output: files.path().to_owned() };
    let mut request = scene.request();
    request.dataset_id = scene.dataset_id;
    let home = &scene.home;
    let reply = run_request(&home.folder, home.config.clone(), request.clone(), &local).await;
    let reply = reply.unwrap();
    assert_eq!(reply.code, Code::Ok);
    assert_eq!(reply.update, expected.update);
    let name = format!("{}.safetensors", reply.update.as_ref().unwrap().digest.hexadecimal());
    assert!(files.path().join(name).is_file());
    let again = run_request(&home.folder, home.config.clone(), request, &local).await.unwrap();
    assert_eq!(again, reply, "a known round is not run again");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_and_no_path_is_in_anything_that_is_sent() {
    let mut scene = Scene::set().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("canary.csv");
    let table = std::fs::read_to_string(example("north.csv")).unwrap();
    let mut lines: Vec<String> =
        table.lines().map(|line| format!("{line},Canary{}", line.len())).collect();
    lines[0] = lines[0].rsplit_once(',').unwrap().0.to_owned() + ",surname";
    std::fs::write(&path, lines.join("\n")).unwrap();
    let mut addition = addition("canaries", &path);
    addition.dataset.table.withheld = vec!["surname".to_owned()];
    let owner = scene.node.handle.administration().clone();
    let dataset_id = owner.dataset_add(addition).await.unwrap().dataset_id;
    let mut good = scene.request();
    good.dataset_id = dataset_id;
    let mut bad = scene.request();
    bad.dataset_id = dataset_id;
    bad.columns.push("surname".to_owned());
    scene.coordinator.request(&good);
    scene.coordinator.request(&bad);
    let mut replies = 0;
    while replies < 2 {
        let message = scene.coordinator.hear(Some).await;
        replies += u32::from(matches!(message, Message::TrainReply(_)));
        let text = format!("{message:?}");
        assert!(!text.contains("Canary") && !text.contains("canary.csv"), "{text}");
        let names_column =
            matches!(message, Message::DatasetsChanged(_)) && text.contains("surname");
        assert!(!names_column, "{text}");
    }
    scene.node.stop().await;
    for file in std::fs::read_dir(scene.home.folder.logs().join("rounds")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("Canary"), "{text}");
    }
}

/// A large table is read for longer than the coordinator needs to cancel.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_ends_a_round_that_reads_a_large_table() {
    let mut scene = Scene::set().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.csv");
    let table = std::fs::read_to_string(example("north.csv")).unwrap();
    let (header, rows) = table.split_once('\n').unwrap();
    std::fs::write(&path, format!("{header}\n{}", rows.repeat(600))).unwrap();
    let owner = scene.node.handle.administration().clone();
    let dataset_id = owner.dataset_add(addition("large", &path)).await.unwrap().dataset_id;
    let mut request = scene.request();
    request.dataset_id = dataset_id;
    scene.coordinator.request(&request);
    scene.node.notice(|notice| matches!(notice, Notice::RoundStarted { .. })).await;
    let cancelled = std::time::Instant::now();
    scene.coordinator.cancel(request.round_id);
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!(reply.code, Code::Cancelled);
    assert!(cancelled.elapsed() < std::time::Duration::from_secs(2), "{:?}", cancelled.elapsed());
    assert_eq!(reply.update, None);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_greeting_shows_datasets_and_their_change_is_told() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    owner.dataset_remove("breast-cancer").await.unwrap();
    let datasets = |message| match message {
        Message::DatasetsChanged(changed) => Some(changed.datasets),
        _ => None,
    };
    let added = scene.coordinator.hear(datasets).await;
    assert_eq!((added.len(), added[0].row_count), (1, Some(202)));
    assert!(scene.coordinator.hear(datasets).await.is_empty());
    scene.node.stop().await;
    let mut node = scene.home.start();
    let greeting = scene.coordinator.greeting().await;
    assert_eq!((greeting.node_id.as_str(), greeting.datasets.len()), ("north", 0));
    node.notice(|notice| *notice == Notice::Connected).await;
    node.stop().await;
}
