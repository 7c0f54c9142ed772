//! The owner's policy: each bound met exactly and exceeded by one, and a change of it recorded before it counts.

use node::policy::{Origin, PolicyShown};
use node::{Config, Node, Policy};
use protocol::wire::v1::{self, node_message::Message};
use protocol::{Code, Detail, Mode, TrainReply, TrainRequest, Warning};
use serde_json::{Value, json};

use crate::site::{Scene, training_args};

impl Scene {
    /// Lets another policy count from now on.
    pub(crate) async fn say(&self, policy: &str) -> PolicyShown {
        std::fs::write(self.home.folder.policy(), policy).unwrap();
        self.node.handle.administration().policy_reload().await.unwrap()
    }

    pub(crate) async fn train(&mut self, changes: &[(&str, Value)]) -> TrainReply {
        let request = self.asking(changes);
        self.run(&request).await
    }

    pub(crate) fn asking(&self, changes: &[(&str, Value)]) -> TrainRequest {
        TrainRequest { training_args: training_args(changes), ..self.request() }
    }

    /// The policies that were recorded, the oldest first.
    fn policies(&self) -> Vec<String> {
        let source = node::audit::open(&self.home.folder).unwrap();
        let records = node::audit::records(source).unwrap().map(Result::unwrap);
        let changes = records.filter(|record| record.action == "policy.change");
        changes.map(|record| record.objects["policy"].clone()).collect()
    }
}

/// The bound that a reply with this code names, with its limit and what was asked for.
pub(crate) fn bound(reply: &TrainReply, code: Code) -> (String, f64, f64) {
    assert_eq!(reply.code, code, "{reply:?}");
    let Some(Detail::Bound { bound, limit, requested }) = reply.detail.clone() else {
        panic!("no bound is named: {reply:?}")
    };
    (bound, limit, requested)
}

/// The argument or fact of a request that the policy denied, and the rule.
pub(crate) fn refused(reply: &TrainReply) -> (String, String) {
    assert_eq!(reply.code, Code::PolicyDenied, "{reply:?}");
    let Some(Detail::Argument { key, rule, .. }) = reply.detail.clone() else {
        panic!("no argument is named: {reply:?}")
    };
    (key, rule)
}

fn denied(name: &str, limit: f64, requested: f64) -> (String, f64, f64) {
    (name.to_owned(), limit, requested)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_what_for_are_on_the_owners_lists_or_denied() {
    let mut scene = Scene::set().await;
    for (policy, key) in [
        ("researchers = [\"grace\"]", "researcher_id"),
        ("researchers = []", "researcher_id"),
        ("runtimes = [\"python\"]", "runtime"),
        ("modes = [\"validate\"]", "mode"),
    ] {
        scene.say(&format!("[defaults]\n{policy}")).await;
        let reply = scene.train(&[]).await;
        assert_eq!(
            refused(&reply),
            (key.to_owned(), "is not allowed by the node's policy".to_owned())
        );
        assert_eq!((reply.sample_count, reply.update), (0, None));
    }
    let allowed =
        "researchers = [\"grace\", \"ada\"]\nruntimes = [\"native\"]\nmodes = [\"train\"]";
    scene.say(&format!("[defaults]\n{allowed}")).await;
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    let validating = TrainRequest { mode: Mode::Validate, ..scene.request() };
    assert_eq!(refused(&scene.run(&validating).await).0, "mode");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_is_treated_by_its_own_table_and_then_by_the_defaults() {
    let mut scene = Scene::set().await;
    scene.say("[defaults]\nresearchers = []\n[dataset.other]\nresearchers = [\"ada\"]").await;
    assert_eq!(refused(&scene.train(&[]).await).0, "researcher_id");
    let own = "[defaults]\nresearchers = []\narguments.epochs = { maximum = 1 }\n\
               [dataset.breast-cancer]\nresearchers = [\"ada\"]";
    let shown = scene.say(own).await;
    assert_eq!(shown.unregistered, []);
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    let reply = scene.train(&[("epochs", json!(2))]).await;
    assert_eq!(bound(&reply, Code::PolicyDenied), denied("epochs", 1.0, 2.0));
    scene.say(&format!("{own}\narguments.epochs = \"free\"")).await;
    assert_eq!(scene.train(&[("epochs", json!(2))]).await.code, Code::Ok);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn training_arguments_meet_their_bounds_and_may_not_exceed_them_by_one() {
    let mut scene = Scene::set().await;
    for (policy, met, exceeded, expected) in [
        ("epochs = { maximum = 3 }", ("epochs", json!(3)), ("epochs", json!(4)), (3.0, 4.0)),
        ("epochs = { minimum = 2 }", ("epochs", json!(2)), ("epochs", json!(1)), (2.0, 1.0)),
        (
            "batch_size = { minimum = 8 }",
            ("batch_size", json!(8)),
            ("batch_size", json!(7)),
            (8.0, 7.0),
        ),
        (
            "test_ratio = { maximum = 0.5 }",
            ("test_ratio", json!(0.5)),
            ("test_ratio", json!(0.75)),
            (0.5, 0.75),
        ),
        (
            "log_interval = { minimum = 5 }",
            ("log_interval", json!(5)),
            ("log_interval", json!(4)),
            (5.0, 4.0),
        ),
        (
            "fedprox_mu = { maximum = 1 }",
            ("fedprox_mu", json!(null)),
            ("fedprox_mu", json!(2)),
            (1.0, 2.0),
        ),
        (
            "test_batch_size = { maximum = 9 }",
            ("test_batch_size", json!(9)),
            ("test_batch_size", json!(10)),
            (9.0, 10.0),
        ),
        (
            "optimizer_args = { lr = { maximum = 0.5 } }",
            ("optimizer_args", json!({"lr": 0.5})),
            ("optimizer_args", json!({"lr": 0.75})),
            (0.5, 0.75),
        ),
    ] {
        scene.say(&format!("[defaults.arguments]\n{policy}")).await;
        let given = |(key, value): (&'static str, Value)| match key {
            "batch_size" => ("loader_args", json!({"batch_size": value})),
            key => (key, value),
        };
        let reply = scene.train(&[given(met)]).await;
        assert_eq!(reply.code, Code::Ok, "{policy}: {reply:?}");
        let reply = scene.train(&[given(exceeded)]).await;
        let (name, limit, requested) = bound(&reply, Code::PolicyDenied);
        assert_eq!((limit, requested), expected, "{policy}");
        assert!(
            name.ends_with(policy.split([' ', '.']).next().unwrap()) || name == "optimizer_args.lr"
        );
    }
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_are_required_forbidden_or_one_of_a_list() {
    let mut scene = Scene::set().await;
    for (policy, met, broken, rule) in [
        (
            "share_persistent_buffers = \"forbidden\"",
            ("share_persistent_buffers", json!(false)),
            ("share_persistent_buffers", json!(true)),
            "is forbidden by the node's policy",
        ),
        (
            "stratify = \"required\"",
            ("stratify", json!(true)),
            ("stratify", json!(false)),
            "is required by the node's policy",
        ),
        (
            "gradient_clip_norm = { maximum = 1 }",
            ("gradient_clip_norm", json!(1)),
            ("gradient_clip_norm", json!(null)),
            "must be given, for the node's policy bounds it",
        ),
        (
            "test_metric = { one_of = [\"accuracy\"] }",
            ("test_metric", json!("ACCURACY")),
            ("test_metric", json!("F1_SCORE")),
            "must be one of \"accuracy\" by the node's policy",
        ),
        (
            "num_updates = \"forbidden\"",
            ("epochs", json!(1)),
            ("num_updates", json!(1)),
            "is forbidden by the node's policy",
        ),
    ] {
        scene.say(&format!("[defaults.arguments]\n{policy}")).await;
        let only = |(key, value): (&str, Value)| {
            let mut arguments = training_args(&[(key, value)]);
            if key == "num_updates" {
                arguments.remove("epochs");
            }
            arguments
        };
        let request = TrainRequest { training_args: only(met), ..scene.request() };
        let reply = scene.run(&request).await;
        assert_eq!(reply.code, Code::Ok, "{policy}: {reply:?}");
        let name = broken.0.to_owned();
        let request = TrainRequest { training_args: only(broken), ..scene.request() };
        assert_eq!(refused(&scene.run(&request).await), (name, rule.to_owned()), "{policy}");
    }
    scene.say("[defaults.arguments]\ndp_args = \"required\"").await;
    let rule = "is required by the node's policy".to_owned();
    assert_eq!(refused(&scene.train(&[]).await), ("dp_args".to_owned(), rule));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_on_epochs_is_not_evaded_by_counting_updates() {
    let mut scene = Scene::set().await;
    let updates = |scene: &Scene, number: u64| {
        let mut request = scene.asking(&[("num_updates", json!(number))]);
        request.training_args.remove("epochs");
        request
    };
    scene.say("[defaults.arguments]\nepochs = { maximum = 5 }").await;
    let request = updates(&scene, 1);
    assert_eq!(refused(&scene.run(&request).await).0, "epochs");
    scene
        .say("[defaults.arguments]\nepochs = { maximum = 5 }\nnum_updates = { maximum = 7 }")
        .await;
    let request = updates(&scene, 7);
    assert_eq!(scene.run(&request).await.code, Code::Ok);
    let request = updates(&scene, 8);
    let reply = scene.run(&request).await;
    assert_eq!(bound(&reply, Code::PolicyDenied), denied("num_updates", 7.0, 8.0));
    assert_eq!(scene.train(&[("epochs", json!(5))]).await.code, Code::Ok);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_researcher_has_so_many_rounds_in_a_day_and_refused_ones_do_not_count() {
    let mut scene = Scene::set().await;
    scene.say("[defaults]\nrounds_per_day = 2\narguments.epochs = { maximum = 1 }").await;
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    assert_eq!(bound(&scene.train(&[("epochs", json!(2))]).await, Code::PolicyDenied).0, "epochs");
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    let expected = denied("rounds_per_day", 2.0, 3.0);
    assert_eq!(bound(&scene.train(&[]).await, Code::PolicyDenied), expected);
    let grace = "grace".parse().unwrap();
    let other = TrainRequest { researcher_id: grace, ..scene.request() };
    assert_eq!(
        scene.run(&other).await.code,
        Code::Ok,
        "another researcher has rounds of their own"
    );
    assert_eq!(bound(&scene.train(&[]).await, Code::PolicyDenied), expected);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_works_for_too_long_is_ended() {
    let mut scene = Scene::set().await;
    scene.say("[defaults]\nmaximum_seconds = 1").await;
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    let reply = scene.train(&[("epochs", json!(1_000_000_000))]).await;
    assert_eq!(reply.code, Code::LimitsTime);
    assert_eq!(scene.train(&[]).await.code, Code::Ok, "the next round runs");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_to_the_byte() {
    let mut scene = Scene::set().await;
    let mut limit = 1;
    // Each step of a round tells what it needs; the last one that is refused needs the most.
    let mut last = None;
    loop {
        scene.say(&format!("[defaults]\nmemory_limit = {limit}")).await;
        let reply = scene.train(&[]).await;
        if reply.code == Code::Ok {
            break;
        }
        let (name, told, requested) = bound(&reply, Code::LimitsMemory);
        assert_eq!((name.as_str(), told), ("memory_bytes", limit as f64));
        assert!(requested > told);
        limit = format!("{requested:.0}").parse().unwrap();
        last = Some(requested);
    }
    scene.say(&format!("[defaults]\nmemory_limit = {}", limit - 1)).await;
    let (_, _, requested) = bound(&scene.train(&[]).await, Code::LimitsMemory);
    assert_eq!(Some(requested), last);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_bounded_below_and_the_configuration_stays_the_floor() {
    let mut scene = Scene::set_with(|config| config.minimum_samples = 162).await;
    let trained = scene.train(&[]).await;
    assert_eq!((trained.code, trained.sample_count), (Code::Ok, 162));
    scene.say("[dataset.breast-cancer]\nminimum_samples = 163").await;
    assert_eq!(scene.train(&[]).await.code, Code::DataTooFewSamples);
    scene.say("[dataset.breast-cancer]\nminimum_samples = 1").await;
    assert_eq!(scene.train(&[("test_ratio", json!(0.25))]).await.code, Code::DataTooFewSamples);
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_minimum_of_rows_also_decides_what_searches_show() {
    let mut scene = Scene::set().await;
    let rows = |message| match message {
        Message::DatasetsChanged(changed) => Some(changed.datasets[0].row_count),
        _ => None,
    };
    assert_eq!(scene.coordinator.hear(rows).await, Some(202));
    scene.say("[defaults]\nminimum_samples = 203").await;
    assert_eq!(scene.coordinator.hear(rows).await, None);
    scene.say("[defaults]\nminimum_samples = 202").await;
    assert_eq!(scene.coordinator.hear(rows).await, Some(202));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_leaves_up_to_its_norm_and_its_bytes() {
    let mut scene = Scene::set().await;
    scene.say("[defaults]\nmaximum_update_norm = 1e-6").await;
    let reply = scene.train(&[]).await;
    let (name, limit, norm) = bound(&reply, Code::EgressDenied);
    assert_eq!((name.as_str(), limit, reply.update), ("update_norm", 1e-6, None));
    scene.say(&format!("[defaults]\nmaximum_update_norm = {norm:?}")).await;
    let update = scene.train(&[]).await.update.unwrap();
    scene.say(&format!("[defaults]\nmaximum_update_norm = {:?}", norm.next_down())).await;
    assert_eq!(bound(&scene.train(&[]).await, Code::EgressDenied).2, norm);

    scene.say(&format!("[defaults]\nmaximum_update_bytes = {}", update.size)).await;
    assert_eq!(scene.train(&[]).await.update, Some(update.clone()));
    scene.say(&format!("[defaults]\nmaximum_update_bytes = {}", update.size - 1)).await;
    let expected = denied("update_bytes", (update.size - 1) as f64, update.size as f64);
    assert_eq!(bound(&scene.train(&[]).await, Code::EgressDenied), expected);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gpu_is_denied_where_the_policy_says_so() {
    let mut scene = Scene::set_with(|config| config.devices.gpu = true).await;
    assert_eq!(scene.train(&[("use_gpu", json!(true))]).await.code, Code::Ok);
    scene.say("[defaults]\ngpu = false").await;
    assert_eq!(refused(&scene.train(&[("use_gpu", json!(true))]).await).0, "use_gpu");
    assert_eq!(scene.train(&[]).await.code, Code::Ok);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_leave_from_the_minimum_of_validated_rows_on() {
    let mut scene = Scene::set().await;
    scene.say("[defaults]\nminimum_validation_samples = 40").await;
    assert_eq!(scene.train(&[]).await.metrics_before.unwrap().validation_count, 40);
    scene.say("[defaults]\nminimum_validation_samples = 41").await;
    let reply = scene.train(&[]).await;
    assert_eq!(reply.metrics_before, None);
    assert!(reply.warnings.contains(&Warning::MetricWithheld));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_leave_by_the_list_rounded_and_within_their_range_in_replies_and_scalars() {
    let mut scene = Scene::set().await;
    let open = scene.train(&[]).await.metrics_before.unwrap();
    assert!(open.metrics.len() > 2 && open.sums.is_some());
    let accuracy = open.metrics.iter().find(|(name, _)| name == "ACCURACY").unwrap().1;
    scene
        .say(
            "[defaults]\nmetrics = [\"loss\", \"accuracy\", \"LOG_LOSS\"]\nmetric_digits = 1\n\
             metric_ranges = { LOG_LOSS = { maximum = 0.5 }, loss = { minimum = 0.25, maximum = 0.5 } }",
        )
        .await;
    let request = scene.asking(&[("log_interval", json!(1)), ("epochs", json!(2))]);
    scene.coordinator.request(&request);
    let (mut scalars, mut reply) = (Vec::new(), None);
    while reply.is_none() {
        match scene.coordinator.hear(Some).await {
            Message::TrainReply(told) => reply = Some(TrainReply::try_from(told).unwrap()),
            Message::Scalars(v1::Scalars { scalars: told }) => scalars.extend(told),
            _ => {}
        }
    }
    let reply = reply.unwrap();
    let report = reply.metrics_before.unwrap();
    let rounded = (accuracy * 10.0).round() / 10.0;
    assert_eq!(
        report.metrics,
        [("ACCURACY".to_owned(), rounded), ("LOG_LOSS".to_owned(), 0.5)],
        "of {:?}",
        open.metrics
    );
    assert_eq!(report.sums, None, "sums are exact");
    assert!(reply.warnings.contains(&Warning::MetricPolicy));
    assert!(!scalars.is_empty());
    for v1::Metric { name, value } in scalars.iter().flat_map(|scalar| &scalar.metrics) {
        match name.as_str() {
            "ACCURACY" => assert_eq!(*value, rounded),
            "LOG_LOSS" => assert_eq!(*value, 0.5),
            "Loss" => {
                assert!((0.25..=0.5).contains(value), "{value}");
                assert_eq!((value * 100.0).round() / 100.0, *value);
            }
            other => panic!("{other} is not on the list"),
        }
    }
    scene.say("[defaults]\nmetrics = []").await;
    assert_eq!(scene.train(&[]).await.metrics_before.unwrap().metrics, []);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_scalars_leave_and_no_more() {
    let mut scene = Scene::set().await;
    // 162 rows in batches of 32 are six, and one validation goes before.
    scene.say("[defaults]\nscalars_per_round = 7").await;
    let every = [("log_interval", json!(1))];
    assert!(!scene.train(&every).await.warnings.contains(&Warning::ScalarsDropped));
    scene.say("[defaults]\nscalars_per_round = 6").await;
    assert!(scene.train(&every).await.warnings.contains(&Warning::ScalarsDropped));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_the_policy_is_recorded_once_whether_at_a_start_or_by_a_reload() {
    let mut scene = Scene::set().await;
    let digest = |text: &str| protocol::Digest::of(text.as_bytes()).to_string();
    let template = std::fs::read_to_string(scene.home.folder.policy()).unwrap();
    let mut expected = vec![digest(&template)];
    assert_eq!(scene.policies(), expected);
    let (first, second) = ("[defaults]\nhold = false\n", "[defaults]\nhold = false\n# again\n");
    scene.say(first).await;
    scene.say(first).await;
    expected.push(digest(first));
    assert_eq!(scene.policies(), expected);
    scene.node.stop().await;
    for _ in 0..2 {
        std::fs::write(scene.home.folder.policy(), second).unwrap();
        let mut node = scene.home.start();
        scene.coordinator.greeting().await;
        node.stop().await;
    }
    expected.push(digest(second));
    assert_eq!(scene.policies(), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_file_changes_nothing_and_keeps_a_node_from_starting() {
    let mut scene = Scene::set().await;
    scene.say("[defaults]\narguments.epochs = { maximum = 1 }").await;
    std::fs::write(scene.home.folder.policy(), "[defaults]\nepochs = 5\n").unwrap();
    let owner = scene.node.handle.administration().clone();
    let error = owner.policy_reload().await.unwrap_err().to_string();
    assert!(error.contains("line 2: unknown key \"defaults.epochs\""), "{error}");
    let reply = scene.train(&[("epochs", json!(2))]).await;
    assert_eq!(bound(&reply, Code::PolicyDenied), denied("epochs", 1.0, 2.0));
    assert!(owner.policy_show(None).await.unwrap().is_changed);
    scene.node.stop().await;
    let opened = Node::open(&scene.home.folder, scene.home.config.clone());
    let error = opened.map(drop).unwrap_err().to_string();
    assert!(error.contains("line 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_does_not_loosen_anything() {
    let mut scene = Scene::set().await;
    std::fs::remove_file(scene.home.folder.policy()).unwrap();
    let owner = scene.node.handle.administration().clone();
    let error = owner.policy_reload().await.unwrap_err().to_string();
    assert!(error.contains("is gone"), "{error}");
    scene.node.stop().await;
    let opened = Node::open(&scene.home.folder, scene.home.config.clone());
    let error = opened.map(drop).unwrap_err().to_string();
    assert!(error.contains("is gone, and was in effect before"), "{error}");
    std::fs::write(scene.home.folder.policy(), "").unwrap();
    let mut node = scene.home.start();
    scene.coordinator.greeting().await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_effect_is_shown_with_where_it_comes_from() {
    let scene = Scene::set_with(|config| config.minimum_samples = 30).await;
    scene
        .say(
            "[defaults]\nminimum_samples = 25\nhold = false\narguments.epochs = { maximum = 5 }\n\
             [dataset.breast-cancer]\narguments.epochs = { maximum = 1 }\nminimum_samples = 40\n[dataset.typo]\n",
        )
        .await;
    let owner = scene.node.handle.administration();
    let general = owner.policy_show(None).await.unwrap();
    assert_eq!(general.unregistered, ["typo".parse().unwrap()]);
    let found = |shown: &PolicyShown, key: &str| {
        let setting = shown.settings.iter().find(|setting| setting.key == key).unwrap();
        (setting.value.clone(), setting.origin.clone())
    };
    assert_eq!(found(&general, "minimum_samples"), (json!(30), Origin::Configuration));
    assert_eq!(found(&general, "hold"), (json!(false), Origin::Defaults { line: 3 }));
    assert_eq!(found(&general, "metrics"), (Value::Null, Origin::BuiltIn));
    let epochs = (json!({"maximum": 5.0}), Origin::Defaults { line: 4 });
    assert_eq!(found(&general, "arguments.epochs"), epochs);
    let name: protocol::DatasetName = "breast-cancer".parse().unwrap();
    let special = owner.policy_show(Some(name.clone())).await.unwrap();
    let origin = Origin::Dataset { name: name.clone(), line: 6 };
    assert_eq!(found(&special, "arguments.epochs"), (json!({"maximum": 1.0}), origin));
    let origin = Origin::Dataset { name, line: 7 };
    assert_eq!(found(&special, "minimum_samples"), (json!(40), origin));
    let error = owner.policy_show(Some("nobody".parse().unwrap())).await.unwrap_err();
    assert!(error.to_string().contains("not registered"), "{error}");
    let mut node = scene.node;
    node.stop().await;
}

#[test]
fn a_folder_without_a_policy_is_treated_as_one_with_the_written_one() {
    let home = tempfile::tempdir().unwrap();
    let folder = node::Folder::new(home.path());
    node::init(&folder, &"north".parse().unwrap(), &"127.0.0.1:7400".parse().unwrap()).unwrap();
    let config = Config::load(&folder, []).unwrap();
    let written = Policy::load(&folder.policy(), &config).unwrap();
    let absent = Policy::load(&home.path().join("nowhere.toml"), &config).unwrap();
    assert_eq!(written.settings(&config, None), absent.settings(&config, None));
    assert_eq!(absent.digest(), None);
}
