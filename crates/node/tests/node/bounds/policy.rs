//! Every key of the policy file.

use node::Policy;
use node::administration::GrantText;
use node::grant::Status;
use node::registry::releases::Decision;
use protocol::{Code, Mode, TrainReply, TrainRequest, Warning};
use serde_json::{Value, json};

use super::{known, statistics};
use crate::policy::{bound, refused};
use crate::site::{Scene, training_args};

#[tokio::test(flavor = "multi_thread")]
async fn every_limit_of_the_policy_exceeded_by_one() {
    let mut scene = Scene::set_with(|config| config.devices.gpu = true).await;
    let keys = keys(&scene);
    assert!(keys.len() >= 24, "{keys:?}");
    for key in keys {
        match key.strip_prefix("statistics_") {
            Some(of_statistics) => statistics::exceed(of_statistics).await,
            None => exceed(&mut scene, &key).await,
        }
        scene.say("").await;
    }
    scene.node.stop().await;
}

/// The keys of `[defaults]`, as the node knows them.
fn keys(scene: &Scene) -> Vec<String> {
    let file = scene.home.folder.root().join("unknown.toml");
    std::fs::write(&file, "[defaults]\nno_such_key = 1\n").unwrap();
    known(&Policy::load(&file, &scene.home.config).unwrap_err().to_string())
}

async fn exceed(scene: &mut Scene, key: &str) {
    match key {
        "researchers" => listed(scene, key, "[\"ada\"]", "[\"grace\"]", "researcher_id").await,
        "runtimes" => listed(scene, key, "[\"native\"]", "[\"python\"]", "runtime").await,
        "modes" => listed(scene, key, "[\"train\"]", "[\"validate\"]", "mode").await,
        "arguments" => {
            let policy = "[defaults.arguments]\nepochs = { maximum = 2 }";
            let reply = between(scene, policy, (json!(2), json!(3)), "epochs").await;
            named(&reply, Code::PolicyDenied, ("epochs", 2.0, 3.0));
        }
        "rounds_per_day" => {
            scene.say("[defaults]\nrounds_per_day = 1").await;
            // Who has asked for nothing yet.
            let researcher_id: protocol::ResearcherId = "eve".parse().unwrap();
            let next = |scene: &Scene| TrainRequest {
                researcher_id: researcher_id.clone(),
                ..scene.request()
            };
            let request = next(scene);
            assert_eq!(scene.run(&request).await.code, Code::Ok);
            let request = next(scene);
            let reply = scene.run(&request).await;
            named(&reply, Code::PolicyDenied, ("rounds_per_day", 1.0, 2.0));
        }
        "maximum_seconds" => {
            let policy = "[defaults]\nmaximum_seconds = 1";
            let reply = between(scene, policy, (json!(1), json!(1_000_000_000)), "epochs").await;
            assert_eq!((reply.code, reply.update), (Code::LimitsTime, None));
        }
        "memory_limit" => memory(scene).await,
        // Of what a Python plan writes; `tests/federation/tests/python_plans.rs` has both sides of it.
        "disk_limit" => {}
        "gpu" => {
            let asks = [("use_gpu", json!(true))];
            scene.say("[defaults]\ngpu = true").await;
            assert_eq!(scene.train(&asks).await.code, Code::Ok);
            scene.say("[defaults]\ngpu = false").await;
            let rule = "is forbidden by the node's policy".to_owned();
            assert_eq!(refused(&scene.train(&asks).await), ("use_gpu".to_owned(), rule));
        }
        "minimum_samples" => {
            // 162 of 202 rows are trained on.
            let reply = limits(scene, key, ("162", "163")).await;
            assert_eq!((reply.code, reply.update), (Code::DataTooFewSamples, None));
        }
        "maximum_update_norm" => {
            scene.say("[defaults]\nmaximum_update_norm = 1e-6").await;
            let (_, _, norm) = bound(&scene.train(&[]).await, Code::EgressDenied);
            let below = norm.next_down();
            let reply = limits(scene, key, (&format!("{norm:?}"), &format!("{below:?}"))).await;
            named(&reply, Code::EgressDenied, ("update_norm", below, norm));
        }
        "maximum_update_bytes" => {
            let size = scene.train(&[]).await.update.unwrap().size;
            let below = size - 1;
            let reply = limits(scene, key, (&size.to_string(), &below.to_string())).await;
            let expected = ("update_bytes", below as f64, size as f64);
            named(&reply, Code::EgressDenied, expected);
        }
        "minimum_validation_samples" => {
            let reply = limits(scene, key, ("40", "41")).await;
            assert_eq!((reply.code, reply.metrics_before), (Code::Ok, None));
            assert!(reply.warnings.contains(&Warning::MetricWithheld));
        }
        "scalars_per_round" => scalars(scene).await,
        "metrics" => metric(scene, "metrics = [\"ACCURACY\"]", "metrics = []", |_| None).await,
        "metric_digits" => {
            let rounded = |value: f64| format!("{value:.1e}").parse().ok();
            metric(scene, "metric_digits = 15", "metric_digits = 2", rounded).await;
        }
        "metric_ranges" => {
            let value = accuracy(&scene.train(&[]).await).unwrap();
            let range =
                |end: f64| format!("metric_ranges = {{ ACCURACY = {{ maximum = {end:?} }} }}");
            let below = value.next_down();
            metric(scene, &range(value), &range(below), |_| Some(below)).await;
        }
        "hold" => hold(scene).await,
        "second_person" => second_person(scene).await,
        other => panic!("the policy's key {other:?} is exceeded by no case"),
    }
}

/// A list with what is asked for, and one without.
async fn listed(scene: &mut Scene, key: &str, with: &str, without: &str, told: &str) {
    let reply = limits(scene, key, (with, without)).await;
    let rule = "is not allowed by the node's policy".to_owned();
    assert_eq!(refused(&reply), (told.to_owned(), rule), "{key}");
}

/// The same request under a limit that it meets, and under one that it exceeds by one: the answer to the second.
async fn limits(scene: &mut Scene, key: &str, (met, exceeded): (&str, &str)) -> TrainReply {
    scene.say(&format!("[defaults]\n{key} = {met}")).await;
    let reply = scene.train(&[]).await;
    assert_eq!(reply.code, Code::Ok, "{key} = {met}: {reply:?}");
    assert!(reply.update.is_some() && reply.metrics_before.is_some(), "{key} = {met}: {reply:?}");
    scene.say(&format!("[defaults]\n{key} = {exceeded}")).await;
    scene.train(&[]).await
}

/// Two values of an argument under one policy, of which the first meets it: the answer to the second.
async fn between(
    scene: &mut Scene,
    policy: &str,
    (met, exceeded): (Value, Value),
    argument: &str,
) -> TrainReply {
    scene.say(policy).await;
    let reply = scene.train(&[(argument, met)]).await;
    assert_eq!(reply.code, Code::Ok, "{policy}: {reply:?}");
    scene.train(&[(argument, exceeded)]).await
}

#[track_caller]
fn named(reply: &TrainReply, code: Code, (name, limit, requested): (&str, f64, f64)) {
    assert_eq!(bound(reply, code), (name.to_owned(), limit, requested));
    assert_eq!(reply.update, None);
}

async fn memory(scene: &mut Scene) {
    let mut limit = 1;
    let mut needed = None;
    // Each step of a round tells what it needs; the last one that is refused needs the most.
    loop {
        scene.say(&format!("[defaults]\nmemory_limit = {limit}")).await;
        let reply = scene.train(&[]).await;
        if reply.code == Code::Ok {
            break;
        }
        let (_, _, requested) = bound(&reply, Code::LimitsMemory);
        needed = Some(requested);
        limit = format!("{requested:.0}").parse::<u64>().unwrap();
    }
    let below = limit - 1;
    scene.say(&format!("[defaults]\nmemory_limit = {below}")).await;
    let reply = scene.train(&[]).await;
    let expected = ("memory_bytes", below as f64, needed.expect("one byte is not enough"));
    named(&reply, Code::LimitsMemory, expected);
}

async fn scalars(scene: &mut Scene) {
    // 162 rows in batches of 32 are six, and one validation goes before.
    for (limit, dropped) in [(7, false), (6, true)] {
        scene.say(&format!("[defaults]\nscalars_per_round = {limit}")).await;
        let reply = scene.train(&[("log_interval", json!(1))]).await;
        assert_eq!(reply.code, Code::Ok);
        let is_told = reply.warnings.contains(&Warning::ScalarsDropped);
        assert_eq!(is_told, dropped, "{limit} scalars");
    }
}

fn accuracy(reply: &TrainReply) -> Option<f64> {
    let report = reply.metrics_before.as_ref().unwrap();
    report.metrics.iter().find(|(name, _)| name == "ACCURACY").map(|(_, value)| *value)
}

/// A rule that lets a metric leave as it was measured, and one that does not: what leaves under the second.
async fn metric(
    scene: &mut Scene,
    met: &str,
    exceeded: &str,
    expected: impl Fn(f64) -> Option<f64>,
) {
    let measured = accuracy(&scene.train(&[]).await).unwrap();
    scene.say(&format!("[defaults]\n{met}")).await;
    assert_eq!(accuracy(&scene.train(&[]).await), Some(measured), "{met}");
    scene.say(&format!("[defaults]\n{exceeded}")).await;
    let reply = scene.train(&[]).await;
    let told = accuracy(&reply);
    assert_eq!(told, expected(measured), "{exceeded}");
    assert_ne!(told, Some(measured), "{exceeded}");
    assert!(reply.warnings.contains(&Warning::MetricPolicy), "{exceeded}: {reply:?}");
}

async fn hold(scene: &mut Scene) {
    scene.say("[defaults]\nhold = false").await;
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    scene.say("[defaults]\nhold = true").await;
    let request = scene.request();
    scene.coordinator.request(&request);
    scene.await_stage("held").await;
    let owner = scene.node.handle.administration().clone();
    owner.release_decide(request.round_id, Decision::Rejected, "").await.unwrap();
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!((reply.code, reply.update), (Code::EgressDenied, None));
}

async fn second_person(scene: &mut Scene) {
    scene.say("[defaults]\nsecond_person = true").await;
    let waiting = scene.grant("").await;
    assert_eq!(waiting.status, Status::Pending);
    assert_eq!(scene.train(&[]).await.code, Code::PlanNotApproved);
    let owner = scene.node.handle.administration().clone();
    let digest = scene.experiment.plan.digest.to_string();
    let error = owner.plan_countersign(&digest).await.unwrap_err().to_string();
    assert!(error.contains("needs the signature of somebody else"), "{error}");
    assert_eq!(scene.train(&[]).await.code, Code::PlanNotApproved);
    scene.say("[defaults]\nsecond_person = false").await;
    let text = GrantText { file: None, text: String::new() };
    owner.plan_grant(&digest, text, "").await.unwrap();
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_the_mode_that_is_asked_for_denies_it() {
    let mut scene = Scene::set().await;
    scene.say("[defaults]\nmodes = [\"validate\"]").await;
    let arguments = training_args(&[]);
    let request =
        TrainRequest { mode: Mode::Validate, training_args: arguments, ..scene.request() };
    assert_eq!(scene.run(&request).await.code, Code::Ok);
    assert_eq!(refused(&scene.train(&[]).await).0, "mode");
    scene.node.stop().await;
}
