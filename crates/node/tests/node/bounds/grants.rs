//! Every bound of a grant.

use std::sync::Arc;
use std::time::Duration;

use node::administration::GrantText;
use protocol::{Code, Detail, Timestamp, TrainReply, TrainRequest};
use serde_json::json;
use store::ManualClock;

use super::known;
use crate::site::{Experiment, Scene, example, training_args};

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_of_an_approval_exceeded_by_one() {
    let mut scene = Scene::set().await;
    let keys = keys(&scene, "no_such_key = 1").await;
    assert!(keys.len() >= 10, "{keys:?}");
    for key in keys {
        exceed(&mut scene, &key).await;
    }
    scene.node.stop().await;
}

/// The keys that the node knows where this text has an unknown one.
async fn keys(scene: &Scene, text: &str) -> Vec<String> {
    let owner = scene.node.handle.administration();
    let digest = scene.experiment.plan.digest.to_string();
    let text = GrantText { file: None, text: text.to_owned() };
    known(&owner.plan_grant(&digest, text, "").await.unwrap_err().to_string())
}

async fn exceed(scene: &mut Scene, key: &str) {
    let rule = "is not allowed by the plan's grant";
    match key {
        "researchers" => {
            let reply = grants(scene, ("researchers = [\"ada\"]", "researchers = [\"eve\"]")).await;
            assert_eq!(denied(&reply), ("researcher_id".to_owned(), rule.to_owned()));
        }
        "groups" => {
            let (with, without) =
                ("[groups]\nstudy = [\"eve\", \"ada\"]", "[groups]\nstudy = [\"eve\"]");
            scene.say(with).await;
            scene.grant("groups = [\"study\"]").await;
            assert_eq!(round(scene).await.code, Code::Ok);
            // The grant is the same; who is in the group is what the policy says now.
            scene.say(without).await;
            let expected = ("researcher_id".to_owned(), rule.to_owned());
            assert_eq!(denied(&round(scene).await), expected);
            scene.say("").await;
            assert_eq!(denied(&round(scene).await), expected, "a group that is gone has nobody");
        }
        "datasets" => {
            let bounds = ("datasets = [\"breast-cancer\"]", "datasets = [\"ward\"]");
            let expected = ("dataset".to_owned(), rule.to_owned());
            assert_eq!(denied(&grants(scene, bounds).await), expected);
        }
        "arguments" => {
            scene.grant("arguments.epochs = { maximum = 2 }").await;
            assert_eq!(scene.train(&[("epochs", json!(2))]).await.code, Code::Ok);
            let reply = scene.train(&[("epochs", json!(3))]).await;
            assert_eq!(denied(&reply), ("epochs".to_owned(), "2 3".to_owned()));
        }
        "rounds" => {
            scene.grant("rounds = 1").await;
            assert_eq!(round(scene).await.code, Code::Ok);
            let other = TrainRequest { round: 2, ..scene.request() };
            let reply = scene.run(&other).await;
            assert_eq!(denied(&reply), ("rounds".to_owned(), "1 2".to_owned()));
        }
        "minimum_samples" => {
            // The table has 202 rows, of which 162 are trained on.
            let reply = grants(scene, ("minimum_samples = 162", "minimum_samples = 163")).await;
            let Some(Detail::Argument { key: bound, value, .. }) = reply.detail else {
                panic!("the bound is named")
            };
            assert_eq!((bound.as_str(), value), (key, json!(163)));
            assert_eq!((reply.code, reply.update), (Code::DataTooFewSamples, None));
            scene.grant("minimum_samples = 203").await;
            let rule = "of the plan's grant is more than the dataset has".to_owned();
            assert_eq!(denied(&round(scene).await), (key.to_owned(), rule));
        }
        "metrics" => {
            scene.grant("metrics = [\"ACCURACY\"]").await;
            assert_eq!(names(&round(scene).await), ["ACCURACY"]);
            scene.grant("metrics = []").await;
            assert_eq!(names(&round(scene).await), [""; 0]);
        }
        "expires" => expiry(scene).await,
        "purpose" => {
            let owner = scene.node.handle.administration();
            let digest = scene.experiment.plan.digest.to_string();
            let give = async |letters: usize| {
                let text = format!("purpose = \"{}\"", "x".repeat(letters));
                owner.plan_grant(&digest, GrantText { file: None, text }, "").await
            };
            give(2_000).await.unwrap();
            let error = give(2_001).await.unwrap_err().to_string();
            assert_eq!(error, "key \"purpose\" must be a text of at most 2000 bytes");
        }
        "family" => {
            let keys = keys(scene, "family = { no_such_key = 1 }").await;
            assert!(keys.len() >= 4, "{keys:?}");
            for key in keys {
                family(scene, &key).await;
            }
        }
        other => panic!("the grant's key {other:?} is exceeded by no case"),
    }
}

/// The same request under a grant that it meets, and under one that it exceeds: the answer to the second.
async fn grants(scene: &mut Scene, (met, exceeded): (&str, &str)) -> TrainReply {
    scene.grant(met).await;
    let reply = round(scene).await;
    assert_eq!(reply.code, Code::Ok, "{met}: {reply:?}");
    scene.grant(exceeded).await;
    round(scene).await
}

async fn round(scene: &mut Scene) -> TrainReply {
    let request = scene.request();
    scene.run(&request).await
}

/// The bound that was exceeded, and the rule or the two numbers.
#[track_caller]
fn denied(reply: &TrainReply) -> (String, String) {
    assert_eq!(reply.code, Code::PolicyDenied, "{reply:?}");
    assert_eq!((reply.sample_count, &reply.update), (0, &None));
    match reply.detail.clone() {
        Some(Detail::Argument { key, rule, .. }) => (key, rule),
        Some(Detail::Bound { bound, limit, requested }) => (bound, format!("{limit} {requested}")),
        detail => panic!("no bound is named: {detail:?}"),
    }
}

fn names(reply: &TrainReply) -> Vec<String> {
    let report = reply.metrics_before.clone().unwrap();
    report.metrics.into_iter().map(|(name, _)| name).collect()
}

/// The last millisecond of a grant, and the first after it.
async fn expiry(scene: &mut Scene) {
    scene.grant("expires = \"90d\"").await;
    let entry = scene.entry().await;
    let end = entry.grants.last().unwrap().grant.clone().unwrap().expires_at.unwrap();
    scene.node.stop().await;
    let last = Timestamp::from_milliseconds(end.milliseconds() - 1);
    let clock = ManualClock::at(last);
    scene.node = scene.home.start_at(Arc::new(clock.clone()));
    scene.coordinator.greeting().await;
    assert_eq!(round(scene).await.code, Code::Ok);
    clock.advance(Duration::from_millis(1));
    let rule = "of the plan's grant has passed".to_owned();
    assert_eq!(denied(&round(scene).await), ("expires".to_owned(), rule));
    scene.node.stop().await;
    scene.node = scene.home.start();
    scene.coordinator.greeting().await;
}

/// A family at its limit, and a plan that is outside by one.
async fn family(scene: &mut Scene, key: &str) {
    let mlp = std::fs::read_to_string(example("mlp.toml")).unwrap();
    let (units, hidden) = ("{ dense = { units = 16 } },", "\"relu\",");
    assert!(
        mlp.contains(units) && mlp.contains(hidden) && mlp.contains("kind = \"adam\""),
        "{mlp}"
    );
    let base = mlp.replace("breast-cancer-mlp", &format!("of-{key}"));
    let (bound, inside, outside) = match key {
        "layers" => (
            "layers = [\"dense\", \"relu\", \"tanh\"]",
            base.replace(hidden, "\"tanh\","),
            base.replace(hidden, "\"sigmoid\","),
        ),
        "most_layers" => (
            "most_layers = 4",
            base.replace(hidden, "\"relu\", \"relu\","),
            base.replace(hidden, "\"relu\", \"relu\", \"relu\","),
        ),
        "most_units" => (
            "most_units = 17",
            base.replace("units = 16", "units = 17"),
            base.replace("units = 16", "units = 18"),
        ),
        "optimizers" => (
            "optimizers = [\"adam\", \"sgd\"]",
            base.replace("kind = \"adam\"", "kind = \"sgd\""),
            base.replace("kind = \"adam\"", "kind = \"rmsprop\""),
        ),
        other => panic!("the family's key {other:?} is exceeded by no case"),
    };
    let owner = scene.node.handle.administration().clone();
    let base = Experiment::publish_plan(&scene.coordinator, &base);
    base.approve(&scene.node).await;
    let digest = base.plan.digest.to_string();
    owner.plan_revoke(&digest, None, "").await.unwrap();
    let text = GrantText { file: None, text: format!("family = {{ {bound} }}") };
    owner.plan_grant(&digest, text, "").await.unwrap();
    for (plan, code) in [(inside, Code::Ok), (outside, Code::PlanNotRegistered)] {
        let plan = Experiment::publish_plan(&scene.coordinator, &plan);
        let arguments = training_args(&[("optimizer_args", json!({ "lr": 0.01 }))]);
        let request = TrainRequest { training_args: arguments, ..plan.request(scene.dataset_id) };
        let reply = scene.run(&request).await;
        assert_eq!(reply.code, code, "{key}: {reply:?}");
        if code != Code::Ok {
            let shown = owner.plan_show(&plan.plan.digest.to_string()).await.unwrap();
            assert_eq!(shown.status, node::grant::Status::Pending, "{key}");
        }
    }
    owner.plan_revoke(&digest, None, "").await.unwrap();
}
