//! Every training argument that a policy or a grant can bound.

use node::Policy;
use protocol::{Code, Detail, TrainReply, TrainRequest};
use serde_json::{Map, Value, json};

use super::known;
use crate::site::{Scene, training_args};

/// A bound with arguments that meet it, and a bound with arguments that do not.
struct Case {
    met: (&'static str, Value),
    exceeded: (&'static str, Value),
    /// The limit and the number, of a bound that is a number.
    numbers: Option<(f64, f64)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_on_an_argument_exceeded_by_one_in_the_policy() {
    let mut scene = Scene::set().await;
    for name in names(&scene) {
        let case = case(&name);
        let policy = |bound: &str| format!("[defaults.arguments]\n{name} = {bound}\n");
        scene.say(&policy(case.met.0)).await;
        let reply = asked(&mut scene, &case.met.1).await;
        assert_eq!(reply.code, Code::Ok, "{name}: {reply:?}");
        scene.say(&policy(case.exceeded.0)).await;
        let reply = asked(&mut scene, &case.exceeded.1).await;
        denied(&reply, &name, &case, "the node's policy");
    }
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_bound_on_an_argument_exceeded_by_one_in_a_grant() {
    let mut scene = Scene::set().await;
    for name in names(&scene) {
        let case = case(&name);
        let grant = |bound: &str| format!("[arguments]\n{name} = {bound}\n");
        scene.grant(&grant(case.met.0)).await;
        let reply = asked(&mut scene, &case.met.1).await;
        assert_eq!(reply.code, Code::Ok, "{name}: {reply:?}");
        scene.grant(&grant(case.exceeded.0)).await;
        let reply = asked(&mut scene, &case.exceeded.1).await;
        denied(&reply, &name, &case, "the plan's grant");
    }
    scene.node.stop().await;
}

/// The arguments that can be bounded, as the node knows them, and one that only an optimizer knows.
fn names(scene: &Scene) -> Vec<String> {
    let file = scene.home.folder.root().join("unknown.toml");
    std::fs::write(&file, "[defaults.arguments]\nno_such_argument = 1\n").unwrap();
    let error = Policy::load(&file, &scene.home.config).unwrap_err().to_string();
    let mut names = known(&error);
    assert!(names.len() >= 23, "{names:?}");
    names.push("optimizer_args.momentum".to_owned());
    names
}

/// A round with these arguments over the example's, none of which counts epochs where updates are counted.
async fn asked(scene: &mut Scene, given: &Value) -> TrainReply {
    let mut arguments: Map<String, Value> = training_args(&[]);
    let given = given.as_object().unwrap();
    if given.contains_key("num_updates") {
        arguments.remove("epochs");
    }
    arguments.extend(given.clone());
    let request = TrainRequest { training_args: arguments, ..scene.request() };
    scene.run(&request).await
}

#[track_caller]
fn denied(reply: &TrainReply, name: &str, case: &Case, by: &str) {
    assert_eq!((reply.code, &reply.update), (Code::PolicyDenied, &None), "{name}: {reply:?}");
    match (reply.detail.clone(), case.numbers) {
        (Some(Detail::Bound { bound, limit, requested }), Some(numbers)) => {
            assert_eq!((bound.as_str(), (limit, requested)), (name, numbers));
        }
        (Some(Detail::Argument { key, rule, .. }), None) => {
            assert_eq!(key, name);
            assert!(rule.ends_with(by), "{name}: {rule}");
        }
        (detail, _) => panic!("{name}: {detail:?}"),
    }
}

fn case(name: &str) -> Case {
    let at_most = |bound: &'static str, key: &str, (met, exceeded): (f64, f64)| Case {
        met: (bound, json!({ key: met })),
        exceeded: (bound, json!({ key: exceeded })),
        numbers: Some((met, exceeded)),
    };
    let flag = |bound: &'static str, key: &str, met: bool| Case {
        met: (bound, json!({ key: met })),
        exceeded: (bound, json!({ key: !met })),
        numbers: None,
    };
    let inner = |group: &str, bound: &'static str, key: &str, met: Value, exceeded: Value| Case {
        numbers: met.as_f64().zip(exceeded.as_f64()),
        met: (bound, json!({ group: { key: met } })),
        exceeded: (bound, json!({ group: { key: exceeded } })),
    };
    match name {
        "epochs" => at_most("{ maximum = 2 }", name, (2.0, 3.0)),
        "num_updates" => at_most("{ maximum = 2 }", name, (2.0, 3.0)),
        "batch_maxnum" => at_most("{ maximum = 2 }", name, (2.0, 3.0)),
        "dry_run" => flag("\"forbidden\"", name, false),
        "log_interval" => at_most("{ minimum = 5 }", name, (5.0, 4.0)),
        "fedprox_mu" => at_most("{ maximum = 1 }", name, (1.0, 1.0_f64.next_up())),
        "use_gpu" => flag("\"forbidden\"", name, false),
        "random_seed" => at_most("{ maximum = 7 }", name, (7.0, 8.0)),
        "share_persistent_buffers" => flag("\"forbidden\"", name, false),
        "gradient_clip_norm" => at_most("{ maximum = 1 }", name, (1.0, 1.0_f64.next_up())),
        "loader_args.batch_size" => {
            inner("loader_args", "{ minimum = 8 }", "batch_size", json!(8), json!(7))
        }
        "loader_args.shuffle" => {
            inner("loader_args", "\"required\"", "shuffle", json!(true), json!(false))
        }
        "loader_args.drop_last" => {
            inner("loader_args", "\"forbidden\"", "drop_last", json!(false), json!(true))
        }
        "optimizer_args.lr" => {
            let above = 0.5_f64.next_up();
            inner("optimizer_args", "{ maximum = 0.5 }", "lr", json!(0.5), json!(above))
        }
        "optimizer_args.momentum" => {
            let above = 0.5_f64.next_up();
            inner("optimizer_args", "{ maximum = 0.5 }", "momentum", json!(0.5), json!(above))
        }
        "test_ratio" => at_most("{ maximum = 0.5 }", name, (0.5, 0.5_f64.next_up())),
        "test_on_local_updates" => flag("\"forbidden\"", name, false),
        "test_on_global_updates" => flag("\"required\"", name, true),
        "test_metric" => Case {
            met: ("{ one_of = [\"ACCURACY\"] }", json!({ name: "accuracy" })),
            exceeded: ("{ one_of = [\"ACCURACY\"] }", json!({ name: "F1_SCORE" })),
            numbers: None,
        },
        "test_metric_args" => Case {
            met: ("\"forbidden\"", json!({ name: {} })),
            exceeded: ("\"forbidden\"", json!({ name: { "threshold": 0.25 } })),
            numbers: None,
        },
        "test_batch_size" => at_most("{ maximum = 9 }", name, (9.0, 10.0)),
        "stratify" => flag("\"required\"", name, true),
        "shuffle_testing_dataset" => flag("\"forbidden\"", name, false),
        // No round has them in this version: to forbid them denies none, to require them denies all.
        "dp_args" => Case {
            met: ("\"forbidden\"", json!({ name: null })),
            exceeded: ("\"required\"", json!({ name: null })),
            numbers: None,
        },
        other => panic!("the training argument {other:?} is bounded by no case"),
    }
}
