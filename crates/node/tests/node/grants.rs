//! What an owner grants of a plan: each bound met exactly and exceeded by one, counted once, withdrawn, and never
//! believed without the node's signature.

use std::sync::Arc;
use std::time::Duration;

use node::Administration;
use node::administration::{GrantText, PlanEntry};
use node::grant::Status;
use protocol::wire::v1::{self, node_message::Message};
use protocol::{Code, Detail, TrainReply, TrainRequest};
use serde_json::{Value, json};
use store::rusqlite::Connection;
use store::{Clock, ManualClock, SystemClock};

use crate::site::{Experiment, Scene, example, training_args};

impl Scene {
    /// Lets the plan run within these bounds and no others.
    pub(crate) async fn grant(&self, bounds: &str) -> PlanEntry {
        let owner = self.node.handle.administration();
        let digest = self.experiment.plan.digest.to_string();
        // The plan of a scene is approved without bounds.
        drop(owner.plan_revoke(&digest, None, "").await);
        let text = GrantText { file: Some("grant.toml".to_owned()), text: bounds.to_owned() };
        owner.plan_grant(&digest, text, "").await.unwrap()
    }

    /// The request of a round of its own.
    fn round(&self, round: u32) -> TrainRequest {
        TrainRequest { round, ..self.request() }
    }

    async fn trained(&mut self, round: u32, changes: &[(&str, Value)]) -> TrainReply {
        let request = TrainRequest { training_args: training_args(changes), ..self.round(round) };
        // After a restart the replies that were not acknowledged come again.
        self.coordinator.request(&request);
        self.coordinator.reply_to(&request).await
    }

    pub(crate) async fn entry(&self) -> PlanEntry {
        let mut plans = self.node.handle.administration().plan_list().await.unwrap();
        plans.retain(|one| one.known.plan.digest == self.experiment.plan.digest);
        plans.remove(0)
    }
}

fn denied(reply: &TrainReply) -> (String, String) {
    assert_eq!(reply.code, Code::PolicyDenied, "{reply:?}");
    assert_eq!((reply.sample_count, &reply.update), (0, &None));
    match reply.detail.clone() {
        Some(Detail::Argument { key, rule, .. }) => (key, rule),
        Some(Detail::Bound { bound, limit, requested }) => (bound, format!("{limit} {requested}")),
        detail => panic!("no bound is named: {detail:?}"),
    }
}

fn said(bound: &str, words: &str) -> (String, String) {
    (bound.to_owned(), words.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_and_on_which_dataset_is_granted_or_denied() {
    let mut scene = Scene::set().await;
    std::fs::write(
        scene.home.folder.policy(),
        "[groups]\nstudy = [\"ada\"]\nothers = [\"grace\"]\n",
    )
    .unwrap();
    scene.node.handle.administration().policy_reload().await.unwrap();
    let rule = "is not allowed by the plan's grant";
    for (bounds, bound) in [
        ("researchers = [\"grace\"]", "researcher_id"),
        ("groups = [\"others\"]", "researcher_id"),
        ("datasets = [\"ward\"]", "dataset"),
    ] {
        scene.grant(bounds).await;
        assert_eq!(denied(&scene.trained(1, &[]).await), said(bound, rule), "{bounds}");
    }
    for bounds in [
        "researchers = [\"grace\", \"ada\"]",
        "researchers = [\"grace\"]\ngroups = [\"study\"]",
        "datasets = [\"ward\", \"breast-cancer\"]",
    ] {
        scene.grant(bounds).await;
        assert_eq!(scene.trained(1, &[]).await.code, Code::Ok, "{bounds}");
    }
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn training_arguments_and_rows_meet_a_grant_or_exceed_it_by_one() {
    let mut scene = Scene::set().await;
    scene.grant("arguments.epochs = { maximum = 2 }").await;
    assert_eq!(scene.trained(1, &[("epochs", json!(2))]).await.code, Code::Ok);
    let reply = scene.trained(2, &[("epochs", json!(3))]).await;
    assert_eq!(denied(&reply), said("epochs", "2 3"));
    scene.grant("arguments.batch_size = { minimum = 33 }").await;
    assert_eq!(denied(&scene.trained(3, &[]).await), said("loader_args.batch_size", "33 32"));
    scene.grant("arguments.batch_size = { minimum = 32 }").await;
    assert_eq!(scene.trained(4, &[]).await.code, Code::Ok);
    scene.grant("arguments.dp_args = \"required\"").await;
    let rule = "is required by the plan's grant";
    assert_eq!(denied(&scene.trained(5, &[]).await), said("dp_args", rule));
    // The table has 202 rows, of which 162 are left to train on: how many there are is not told.
    scene.grant("minimum_samples = 203").await;
    let rule = "of the plan's grant is more than the dataset has";
    assert_eq!(denied(&scene.trained(6, &[]).await), said("minimum_samples", rule));
    scene.grant("minimum_samples = 163").await;
    assert_eq!(scene.trained(7, &[]).await.code, Code::DataTooFewSamples);
    scene.grant("minimum_samples = 162").await;
    assert_eq!(scene.trained(8, &[]).await.code, Code::Ok);
    assert_eq!(scene.entry().await.grants.last().unwrap().used, 1);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_metrics_of_a_grant_leave() {
    let mut scene = Scene::set().await;
    let names = |reply: &TrainReply| {
        let report = reply.metrics_before.clone().unwrap();
        report.metrics.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    let open = scene.trained(1, &[]).await;
    assert!(names(&open).len() > 1, "{open:?}");
    let one = names(&open).remove(0);
    scene.grant(&format!("metrics = [\"{one}\"]")).await;
    assert_eq!(names(&scene.trained(2, &[]).await), [one]);
    scene.grant("metrics = []").await;
    assert_eq!(names(&scene.trained(3, &[]).await), [""; 0]);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_rounds_run_as_are_granted_and_one_that_is_asked_for_again_counts_once() {
    let mut scene = Scene::set().await;
    scene.grant("rounds = 2").await;
    let first = scene.trained(1, &[]).await;
    // The same round under another identifier gives the same bytes, and nothing new.
    assert_eq!(scene.trained(1, &[]).await.update, first.update);
    assert_eq!(scene.entry().await.grants.last().unwrap().used, 1);
    assert_eq!(scene.trained(2, &[]).await.code, Code::Ok);
    assert_eq!(scene.entry().await.status, Status::UsedUp);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_used_up_admits_only_what_it_has_counted() {
    let mut scene = Scene::set().await;
    scene.grant("rounds = 2").await;
    assert_eq!(scene.trained(1, &[]).await.code, Code::Ok);
    assert_eq!(scene.entry().await.status, Status::Approved);
    assert_eq!(scene.trained(2, &[]).await.code, Code::Ok);
    let entry = scene.entry().await;
    assert_eq!((entry.status, entry.grants.last().unwrap().used), (Status::UsedUp, 2));
    assert_eq!(denied(&scene.trained(3, &[]).await), said("rounds", "2 3"));
    // Another seed, or other parameters, would be another round of the same number.
    let other = TrainRequest { seed: 43, ..scene.round(2) };
    assert_eq!(denied(&scene.run(&other).await), said("rounds", "2 3"));
    assert_eq!(scene.trained(2, &[]).await.code, Code::Ok);
    // What ran is counted after a restart, too.
    scene.node.stop().await;
    scene.node = scene.home.start();
    scene.coordinator.greeting().await;
    assert_eq!(denied(&scene.trained(3, &[]).await), said("rounds", "2 3"));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_ends_with_its_time() {
    let mut scene = Scene::set().await;
    scene.grant("expires = \"90d\"").await;
    assert_eq!(scene.trained(1, &[]).await.code, Code::Ok);
    let end = scene.entry().await.grants.last().unwrap().grant.clone().unwrap().expires_at.unwrap();
    scene.node.stop().await;
    let almost = Duration::from_millis(end.milliseconds() - SystemClock.now().milliseconds());
    let clock = ManualClock::at(SystemClock.now().after(almost));
    scene.node = scene.home.start_at(Arc::new(clock));
    scene.coordinator.greeting().await;
    assert_eq!(
        denied(&scene.trained(2, &[]).await),
        said("expires", "of the plan's grant has passed")
    );
    assert_eq!(scene.entry().await.status, Status::Expired);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_was_changed_by_something_else_counts_as_none() {
    let mut scene = Scene::set().await;
    scene.grant("rounds = 1").await;
    assert_eq!(scene.trained(1, &[]).await.code, Code::Ok);
    for (change, expected) in [
        // Signed, but as the grant of another number.
        (
            "UPDATE node_grants SET body = (SELECT body FROM node_grants WHERE number = 2), \
             signature = (SELECT signature FROM node_grants WHERE number = 2) WHERE number = 1",
            Code::PolicyDenied,
        ),
        (
            "UPDATE node_grants SET body = replace(body, '\"rounds\":1', '\"rounds\":9') \
             WHERE number = 2",
            Code::PlanNotApproved,
        ),
    ] {
        let database = Connection::open(scene.home.folder.database()).unwrap();
        assert_eq!(database.execute(change, []).unwrap(), 1);
        drop(database);
        let reply = scene.trained(2, &[]).await;
        assert_eq!(reply.code, expected, "{change}");
        assert_eq!(reply.update, None);
    }
    let entry = scene.entry().await;
    assert_eq!(entry.status, Status::Invalid);
    assert!(entry.grants.iter().all(|one| one.grant.is_none()));
    let request = scene.round(3);
    scene.run(&request).await;
    let log = scene.node.handle.administration().round_log(request.round_id).await.unwrap();
    assert!(log[0].text.contains("the signature of its grant is not the node's"), "{log:?}");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_ends_a_round_that_runs_and_nothing_of_it_leaves() {
    let mut scene = Scene::set().await;
    std::fs::write(scene.home.folder.policy(), "[defaults]\nhold = true\n").unwrap();
    let owner = scene.node.handle.administration().clone();
    owner.policy_reload().await.unwrap();
    let request = scene.request();
    scene.coordinator.request(&request);
    let held = |message| match message {
        Message::RoundProgress(v1::RoundProgress { stage, .. }) => (stage == "held").then_some(()),
        _ => None,
    };
    scene.coordinator.hear(held).await;
    let digest = request.plan.digest.to_string();
    let entry = owner.plan_revoke(&digest, None, "the study was stopped").await.unwrap();
    assert_eq!(entry.status, Status::Revoked);
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!((reply.code, reply.update, reply.sample_count), (Code::PlanRevoked, None, 0));
    let request = scene.round(2);
    assert_eq!(scene.run(&request).await.code, Code::PlanRevoked);
    let nothing = owner.plan_revoke(&digest, None, "").await.unwrap_err();
    assert!(nothing.to_string().contains("has no grant that could be withdrawn"), "{nothing}");
    let entry = owner.plan_approve(&digest, "").await.unwrap();
    scene.say("").await;
    let request = scene.round(3);
    assert_eq!(scene.run(&request).await.code, Code::Ok);
    let source = node::audit::open(&scene.home.folder).unwrap();
    let records = node::audit::records(source).unwrap().map(Result::unwrap);
    let records: Vec<_> = records.collect();
    let actions = records.iter().map(|record| &*record.action);
    let actions: Vec<&str> = actions.filter(|action| action.starts_with("plan.")).collect();
    assert_eq!(actions, ["plan.register", "plan.revoke", "plan.approve"]);
    // What was granted, and under what a round ran, is named with all its bounds.
    let given = entry.grants.last().unwrap().grant.as_ref().unwrap().digest().to_string();
    for action in ["plan.approve", "round.start"] {
        let record = records.iter().rev().find(|record| record.action == action).unwrap();
        assert_eq!(record.objects.get("grant_digest"), Some(&given), "{action}");
    }
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_while_the_node_is_down_keeps_an_exported_update() {
    let mut scene = Scene::set().await;
    std::fs::write(scene.home.folder.policy(), "[defaults]\nhold = true\n").unwrap();
    scene.node.handle.administration().policy_reload().await.unwrap();
    let request = scene.request();
    scene.coordinator.request(&request);
    let held = |message| match message {
        Message::RoundProgress(v1::RoundProgress { stage, .. }) => (stage == "held").then_some(()),
        _ => None,
    };
    scene.coordinator.hear(held).await;
    scene.node.kill().await;
    let owner = Administration::open(&scene.home.folder, scene.home.config.clone()).await.unwrap();
    owner.plan_revoke(&request.plan.digest.to_string(), None, "").await.unwrap();
    drop(owner);
    std::fs::write(scene.home.folder.policy(), "").unwrap();
    scene.node = scene.home.start();
    let reply = scene.coordinator.reply_to(&request).await;
    assert_eq!((reply.code, reply.update), (Code::PlanRevoked, None));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_family_admits_what_is_inside_without_a_click_and_nothing_else() {
    let mut scene = Scene::set().await;
    let mlp = std::fs::read_to_string(example("mlp.toml")).unwrap();
    let base = Experiment::publish_plan(&scene.coordinator, &mlp);
    let owner = scene.node.handle.administration().clone();
    let request = TrainRequest { round: 1, ..base.request(scene.dataset_id) };
    assert_eq!(scene.run(&request).await.code, Code::PlanNotRegistered);
    let family =
        GrantText { file: None, text: "rounds = 9\nfamily = { most_units = 24 }".to_owned() };
    owner.plan_grant(&base.plan.digest.to_string(), family, "").await.unwrap();
    assert_eq!(
        scene.run(&TrainRequest { round: 2, ..base.request(scene.dataset_id) }).await.code,
        Code::Ok
    );
    let widest = mlp.matches("units = 16").count();
    assert!(widest > 0, "{mlp}");
    for (units, inside) in [(24, true), (25, false)] {
        let other = mlp.replace("units = 16", &format!("units = {units}"));
        let other = Experiment::publish_plan(&scene.coordinator, &other);
        let reply = scene.run(&other.request(scene.dataset_id)).await;
        let expected = if inside { Code::Ok } else { Code::PlanNotRegistered };
        assert_eq!(reply.code, expected, "{units}");
        let shown = owner.plan_show(&other.plan.digest.to_string()).await.unwrap();
        let status = if inside { Status::Approved } else { Status::Pending };
        assert_eq!((shown.status, shown.grants.len()), (status, usize::from(inside)), "{units}");
    }
    let shown = owner.plan_show(&base.plan.digest.to_string()).await.unwrap();
    assert_eq!(shown.grants[0].used, 2, "the rounds of all its plans count");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_experiment_that_waits_is_told_of_a_grant_for_its_researcher() {
    let mut scene = Scene::set().await;
    let other = std::fs::read_to_string(example("logistic.toml")).unwrap();
    let other =
        Experiment::publish_plan(&scene.coordinator, &other.replace("breast-cancer-logistic", "n"));
    let question = |researcher: &str, experiment: &str| {
        v1::coordinator_message::Message::AskApproval(v1::AskApproval {
            experiment_id: format!("0197f3a0-0000-7000-8000-00000000000{experiment}"),
            researcher_id: researcher.to_owned(),
            dataset_id: scene.dataset_id.to_string(),
            plan: Some(other.plan.clone().into()),
            runtime: "native".to_owned(),
            ..v1::AskApproval::default()
        })
    };
    let answer = |message| match message {
        Message::PlanAnswer(answer) => Some((answer.experiment_id, answer.code, answer.note)),
        _ => None,
    };
    for (researcher, experiment) in [("ada", "4"), ("grace", "5")] {
        scene.coordinator.send(question(researcher, experiment));
        scene.coordinator.hear(answer).await;
    }
    let owner = scene.node.handle.administration().clone();
    let text = GrantText { file: None, text: "researchers = [\"grace\"]".to_owned() };
    owner.plan_grant(&other.plan.digest.to_string(), text, "for grace alone").await.unwrap();
    let mut told = [scene.coordinator.hear(answer).await, scene.coordinator.hear(answer).await];
    told.sort();
    let codes = told.each_ref().map(|(experiment, code, note)| {
        (experiment.as_str().chars().last().unwrap(), code.as_str(), note.as_str())
    });
    let note = "for grace alone";
    assert_eq!(codes, [('4', "plan.not_approved", note), ('5', "ok", note)]);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reformatted_plan_is_shown_as_such_and_not_approved_by_it() {
    let mut scene = Scene::set().await;
    let text = std::fs::read_to_string(example("logistic.toml")).unwrap();
    let other = Experiment::publish_plan(&scene.coordinator, &format!("# another hand\n{text}"));
    let reply = scene.run(&other.request(scene.dataset_id)).await;
    assert_eq!(reply.code, Code::PlanNotRegistered);
    let owner = scene.node.handle.administration().clone();
    let digest = other.plan.digest.to_string();
    let shown = owner.plan_show(&digest).await.unwrap();
    assert_eq!(
        (shown.same_as, shown.status),
        (Some(scene.experiment.plan.digest), Status::Pending)
    );
    let content = shown.content.unwrap();
    assert_eq!(
        content.tensors.iter().map(|one| &*one.name).collect::<Vec<_>>(),
        ["layers.0.weight", "layers.0.bias"]
    );
    let compared = owner.plan_compare(&digest, None).await.unwrap();
    assert_eq!(compared.other, Some(scene.experiment.plan.digest));
    assert!(compared.is_same_but_for_layout);
    assert_ne!(compared.files, compared.other_files);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_compared_with_what_was_approved_last_and_is_not_rejected_or_half_signed() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let text = std::fs::read_to_string(example("logistic.toml")).unwrap();
    let mut published = Vec::new();
    for hand in ["rejected", "half signed", "new"] {
        let other = Experiment::publish_plan(&scene.coordinator, &format!("# {hand}\n{text}"));
        assert_eq!(scene.run(&other.request(scene.dataset_id)).await.code, Code::PlanNotRegistered);
        published.push(other);
    }
    let [rejected, waiting, new] = &published[..] else { unreachable!("three were published") };
    rejected.approve(&scene.node).await;
    owner.plan_reject(&rejected.plan.digest.to_string(), "").await.unwrap();
    scene.say("[defaults]\nsecond_person = true").await;
    let all = GrantText { file: None, text: String::new() };
    let half = owner.plan_grant(&waiting.plan.digest.to_string(), all, "").await.unwrap();
    assert_eq!(half.status, Status::Pending);
    let digest = new.plan.digest.to_string();
    let compared = owner.plan_compare(&digest, None).await.unwrap();
    assert_eq!(compared.other, Some(scene.experiment.plan.digest));
    let shown = owner.plan_show(&digest).await.unwrap();
    assert_eq!(shown.same_as, Some(scene.experiment.plan.digest));
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_breaks_a_rule_is_refused_in_words() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let digest = scene.experiment.plan.digest.to_string();
    for (text, words) in [
        ("\nrounds = 0", "grant.toml, line 2: key \"rounds\" must be a whole number of at least 1"),
        ("groups = [\"nobody\"]", "group \"nobody\" is not in the policy file"),
        ("expires = \"2020-01-01\"", "a grant cannot have expired when it is given"),
        (
            "family = { layers = [\"relu\"] }",
            "the plan does not belong to the family that is made from it: \"model.layers[0].dense\" must be one of relu",
        ),
    ] {
        let text = GrantText { file: Some("grant.toml".to_owned()), text: text.to_owned() };
        let error = owner.plan_grant(&digest, text, "").await.unwrap_err();
        assert_eq!(error.to_string(), words);
    }
    scene.node.stop().await;
}
