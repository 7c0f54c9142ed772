//! The owner's word on plans: nothing runs without it.

use node::Notice;
use node::registry::plans::{Decision, KnownPlan};
use protocol::wire::v1;
use protocol::{ArtifactReference, Code, Detail, Digest};
use v1::coordinator_message::Message as ToNode;
use v1::node_message::Message as FromNode;

use crate::coordinator::Coordinator;
use crate::site::{Experiment, Home, Running, Scene};

fn question(plan: &ArtifactReference) -> ToNode {
    ToNode::AskApproval(v1::AskApproval {
        experiment_id: "0197f3a0-0000-7000-8000-000000000002".to_owned(),
        experiment_name: "breast cancer, logistic".to_owned(),
        researcher_id: "ada".to_owned(),
        dataset_id: "0197f3a0-0000-7000-8000-000000000003".to_owned(),
        plan: Some(plan.clone().into()),
        runtime: "native".to_owned(),
        message: String::new(),
    })
}

async fn ask(coordinator: &mut Coordinator, plan: &ArtifactReference) -> String {
    coordinator.send(question(plan));
    let answer = coordinator
        .hear(|message| match message {
            FromNode::PlanAnswer(answer) => Some(answer),
            _ => None,
        })
        .await;
    assert_eq!(answer.plan_digest, plan.digest.to_string());
    answer.code
}

async fn decision(coordinator: &mut Coordinator) -> String {
    coordinator
        .hear(|message| match message {
            FromNode::PlanDecision(decision) => Some(decision.code),
            _ => None,
        })
        .await
}

async fn newcomer() -> (Coordinator, Running, Home, Experiment) {
    let mut coordinator = Coordinator::start().await;
    let home = Home::new(&coordinator.address);
    let node = home.start();
    coordinator.greeting().await;
    let experiment = Experiment::publish(&coordinator);
    (coordinator, node, home, experiment)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_plan_is_listed_waits_and_its_decision_is_told() {
    let (mut coordinator, mut node, _home, experiment) = newcomer().await;
    let owner = node.handle.administration().clone();
    assert_eq!(ask(&mut coordinator, &experiment.plan).await, "plan.not_registered");
    assert_eq!(ask(&mut coordinator, &experiment.plan).await, "plan.not_approved");
    let listed = owner.plan_list().await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].known.decision, Decision::Pending);
    assert_eq!(listed[0].known.experiment_name, "breast cancer, logistic");
    let digits = experiment.plan.digest.short();
    let shown = owner.plan_show(&digits).await.unwrap();
    assert!(shown.files["plan.toml"].contains("breast-cancer-logistic"));

    owner.plan_approve(&digits, "read it").await.unwrap();
    assert_eq!(decision(&mut coordinator).await, "ok");
    assert_eq!(ask(&mut coordinator, &experiment.plan).await, "ok");

    owner.plan_reject(&digits, "thought again").await.unwrap();
    assert_eq!(decision(&mut coordinator).await, "plan.rejected");
    assert_eq!(ask(&mut coordinator, &experiment.plan).await, "plan.rejected");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_cannot_be_fetched_is_not_listed() {
    let (mut coordinator, mut node, _home, _) = newcomer().await;
    let absent = ArtifactReference::new(Digest::of(b"nowhere"), 7);
    assert_eq!(ask(&mut coordinator, &absent).await, "plan.unavailable");
    assert!(node.handle.administration().plan_list().await.unwrap().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_above_the_largest_is_neither_fetched_nor_listed() {
    let mut scene = Scene::set().await;
    let listed = scene.node.handle.administration().plan_list().await.unwrap();
    let large = vec![b' '; training_plan::bundle::LARGEST + 1];
    let large = scene.coordinator.publish(&large);
    assert_eq!(ask(&mut scene.coordinator, &large).await, "policy.denied");
    let mut request = scene.request();
    request.plan = large;
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::PolicyDenied);
    let Some(Detail::Bound { bound, limit, requested }) = reply.detail else {
        panic!("the bound is told")
    };
    assert_eq!((bound.as_str(), requested - limit), ("plan_bytes", 1.0));
    assert_eq!(scene.node.handle.administration().plan_list().await.unwrap(), listed);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_too_many_plans_wait_a_further_one_is_denied_and_not_listed() {
    let mut scene = Scene::set().await;
    scene.node.stop().await;
    let migrations = [store::journal::MIGRATIONS, node::registry::MIGRATIONS];
    let database = store::Database::open(&scene.home.folder.database(), &migrations).unwrap();
    let fill = |transaction: &store::Transaction<'_>| -> Result<(), node::registry::Error> {
        for name in 0..1_000_u32 {
            let plan = KnownPlan::seen(
                ArtifactReference::new(Digest::of(&name.to_le_bytes()), 4),
                protocol::RuntimeKind::Native,
                protocol::Timestamp::from_milliseconds(1),
            );
            node::registry::plans::keep(transaction, &plan)?;
        }
        Ok(())
    };
    database.write(fill).await.unwrap();
    drop(database);
    scene.node = scene.home.start();
    scene.node.notice(|notice| *notice == Notice::Connected).await;
    let other = std::fs::read_to_string(crate::site::example("logistic.toml")).unwrap();
    let other = other.replace("breast-cancer-logistic", "another-name");
    let other = Experiment::publish_plan(&scene.coordinator, &other);
    let reply = scene.run(&other.request(scene.dataset_id)).await;
    assert_eq!(reply.code, Code::PolicyDenied);
    let bound =
        Detail::Bound { bound: "pending_plans".to_owned(), limit: 1_000.0, requested: 1_001.0 };
    assert_eq!(reply.detail, Some(bound));
    let request = scene.request();
    assert_eq!(scene.run(&request).await.code, Code::Ok, "an approved plan runs all the same");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_runs_only_with_the_owners_yes() {
    let mut scene = Scene::set().await;
    let other = std::fs::read_to_string(crate::site::example("logistic.toml")).unwrap();
    let other = other.replace("breast-cancer-logistic", "another-name");
    let other = Experiment::publish_plan(&scene.coordinator, &other);
    let owner = scene.node.handle.administration().clone();

    let reply = scene.run(&other.request(scene.dataset_id)).await;
    assert_eq!(reply.code, Code::PlanNotRegistered);
    let reply = scene.run(&other.request(scene.dataset_id)).await;
    assert_eq!(reply.code, Code::PlanNotApproved);
    owner.plan_reject(&other.plan.digest.to_string(), "no").await.unwrap();
    let reply = scene.run(&other.request(scene.dataset_id)).await;
    assert_eq!(reply.code, Code::PlanRejected);
    owner.plan_approve(&other.plan.digest.to_string(), "yes").await.unwrap();
    let reply = scene.run(&other.request(scene.dataset_id)).await;
    assert_eq!(reply.code, Code::Ok);
    scene.node.stop().await;
}
