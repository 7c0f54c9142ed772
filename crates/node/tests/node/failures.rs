//! Every code that a node gives, from its real cause; after each the node takes the next round.

use std::time::Duration;

use protocol::wire::v1;
use protocol::{ArtifactReference, Code, Detail, Digest, RuntimeKind, TrainReply, TrainRequest};
use serde_json::json;
use v1::coordinator_message::Message as ToNode;

use crate::site::{Scene, addition, training_args};

/// Sends a changed request and checks that the node can run the next round at once.
async fn fails(scene: &mut Scene, change: impl FnOnce(&mut TrainRequest)) -> TrainReply {
    let mut request = scene.request();
    change(&mut request);
    let reply = scene.run(&request).await;
    assert!(!reply.success());
    assert_eq!(reply.message(), reply.code.sentence());
    assert_eq!(reply.update, None);
    assert_eq!(reply.metrics_before, None, "nothing of a failed round leaves");
    let round = scene.node.handle.administration().round_show(request.round_id).await.unwrap();
    assert_eq!(round.row.code, Some(reply.code));
    reply
}

async fn works(scene: &mut Scene) {
    let request = scene.request();
    let reply = scene.run(&request).await;
    assert_eq!(reply.code, Code::Ok, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_does_not_parse_is_invalid() {
    let mut scene = Scene::set().await;
    let mut request: v1::TrainRequest = scene.request().into();
    request.mode = v1::TrainMode::Unspecified.into();
    scene.coordinator.send(ToNode::TrainRequest(request.clone()));
    let reply = scene.coordinator.wire_reply().await;
    assert_eq!(reply.code, "request.invalid");
    assert_eq!(reply.round_id, request.round_id);
    TrainReply::try_from(reply).expect("a coordinator can read it: it would end the line else");
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_dataset_is_named_so() {
    let mut scene = Scene::set().await;
    let unknown = "0197f3a0-0000-7000-8000-0000000000ff".parse().unwrap();
    let reply = fails(&mut scene, |request| request.dataset_id = unknown).await;
    assert_eq!(reply.code, Code::DataUnknown);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_node_runs_nothing_and_the_request_may_come_again() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    assert!(owner.pause().await.unwrap().is_paused);
    let request = scene.request();
    assert_eq!(scene.run(&request).await.code, Code::NodeUnavailable);
    assert!(owner.round_list(10).await.unwrap().is_empty());
    assert!(!owner.resume().await.unwrap().is_paused);
    assert_eq!(scene.run(&request).await.code, Code::Ok);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_that_breaks_its_rule_is_told_with_key_and_rule() {
    let mut scene = Scene::set().await;
    let wrong = [
        ("epochs", json!("x"), "epochs"),
        ("epoch", json!(1), "epoch"),
        ("test_ratio", json!(2.0), "test_ratio"),
        ("dp_args", json!({ "type": "local" }), "dp_args"),
        // Only the plan's optimizer can judge this one.
        ("optimizer_args", json!({ "lr": 0.1, "momentun": 0.9 }), "optimizer_args.momentun"),
    ];
    for (key, value, told) in wrong {
        let change = [(key, value)];
        let reply =
            fails(&mut scene, |request| request.training_args = training_args(&change)).await;
        assert_eq!(reply.code, Code::ArgumentsInvalid, "{key}");
        let Some(Detail::Argument { key, .. }) = reply.detail else { panic!("{key} has a detail") };
        assert!(key.starts_with(told), "{key}");
    }
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_argument_as_long_as_a_request_may_be_is_not_repeated() {
    let mut scene = Scene::set().await;
    let change = [("optimizer_args", json!({ "momentun": "x".repeat(1_000_000) }))];
    let reply = fails(&mut scene, |request| request.training_args = training_args(&change)).await;
    assert_eq!((reply.code, reply.detail), (Code::ArgumentsInvalid, None));
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_version_cannot_do_is_refused_and_not_ignored() {
    let mut scene = Scene::set().await;
    let reply =
        fails(&mut scene, |request| request.previous_state = Some("state".to_owned())).await;
    assert_eq!(reply.code, Code::ArgumentsInvalid);
    let reply = fails(&mut scene, |request| {
        request.aggregator_args.insert("correction".to_owned(), json!(1));
    })
    .await;
    assert_eq!(reply.code, Code::ArgumentsInvalid);
    let plan = "images/2".to_owned();
    let reply = fails(&mut scene, |request| request.data_loading_plan = Some(plan)).await;
    assert_eq!(reply.code, Code::DataInvalid);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_that_are_absent_other_or_not_offered_are_refused() {
    let mut scene = Scene::set().await;
    let absent = ArtifactReference::new(Digest::of(b"nowhere"), 7);
    let reply = fails(&mut scene, |request| request.plan = absent).await;
    assert_eq!(reply.code, Code::PlanUnavailable);

    let fresh = scene.coordinator.publish(b"a plan that nobody has fetched");
    let longer = ArtifactReference::new(fresh.digest, fresh.size + 1);
    let reply = fails(&mut scene, |request| request.plan = longer).await;
    assert_eq!(reply.code, Code::PlanDigestMismatch);

    let reply = fails(&mut scene, |request| request.runtime = RuntimeKind::Python).await;
    assert_eq!(reply.code, Code::PlanUnsupportedRuntime);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_plan_that_is_none_cannot_be_loaded() {
    let mut scene = Scene::set().await;
    let plan = scene.coordinator.publish(b"{\"format\":\"wardround-plan/1\"}");
    let change = |request: &mut TrainRequest| request.plan = plan.clone();
    assert_eq!(fails(&mut scene, change).await.code, Code::PlanNotRegistered);
    let owner = scene.node.handle.administration().clone();
    owner.plan_approve(&plan.digest.to_string(), "").await.unwrap();
    let reply = fails(&mut scene, |request| request.plan = plan.clone()).await;
    assert_eq!(reply.code, Code::PlanNotLoadable);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_that_are_absent_malformed_or_of_another_model_are_refused() {
    let mut scene = Scene::set().await;
    let absent = ArtifactReference::new(Digest::of(b"nowhere"), 7);
    let reply = fails(&mut scene, |request| request.parameters = absent).await;
    assert_eq!(reply.code, Code::ParametersUnavailable);

    let malformed = scene.coordinator.publish(b"\x80\x04pickle is never read");
    let reply = fails(&mut scene, |request| request.parameters = malformed).await;
    assert_eq!(reply.code, Code::ParametersInvalid);

    let mut other = parameters::Parameters::new();
    other
        .insert("layers.0.weight", parameters::Tensor::from_f32(&[2], &[1.0, 2.0]).unwrap())
        .unwrap();
    let other = scene.coordinator.publish(&other.to_bytes(None).unwrap());
    let reply = fails(&mut scene, |request| request.parameters = other).await;
    assert_eq!(reply.code, Code::ParametersMismatch);
    assert!(matches!(reply.detail, Some(Detail::Tensors { .. })));
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn model_arguments_that_the_plan_does_not_take_fail_its_initialisation() {
    let mut scene = Scene::set().await;
    let reply = fails(&mut scene, |request| {
        request.model_args.insert("depth".to_owned(), json!(3));
    })
    .await;
    assert_eq!(reply.code, Code::PlanInitFailed);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_gone_changed_or_small_is_not_worked_on() {
    let mut scene = Scene::set().await;
    let owner = scene.node.handle.administration().clone();
    let folder = tempfile::tempdir().unwrap();
    let table = std::fs::read_to_string(crate::site::example("north.csv")).unwrap();

    let path = folder.path().join("moves.csv");
    std::fs::write(&path, &table).unwrap();
    let moving = owner.dataset_add(addition("moves", &path)).await.unwrap().dataset_id;
    let mut changed: Vec<&str> = table.lines().collect();
    changed.truncate(changed.len() - 1);
    std::fs::write(&path, changed.join("\n")).unwrap();
    let reply = fails(&mut scene, |request| request.dataset_id = moving).await;
    assert_eq!(reply.code, Code::DataInvalid);
    std::fs::remove_file(&path).unwrap();
    let reply = fails(&mut scene, |request| request.dataset_id = moving).await;
    assert_eq!(reply.code, Code::DataUnavailable);

    let path = folder.path().join("small.csv");
    let few: Vec<&str> = table.lines().take(11).collect();
    std::fs::write(&path, few.join("\n")).unwrap();
    let small = owner.dataset_add(addition("small", &path)).await.unwrap().dataset_id;
    let reply = fails(&mut scene, |request| request.dataset_id = small).await;
    assert_eq!(reply.code, Code::DataTooFewSamples);

    let change = [("test_ratio", json!(1.0))];
    let reply = fails(&mut scene, |request| request.training_args = training_args(&change)).await;
    assert_eq!(reply.code, Code::DataNoTrainingSamples);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn training_that_diverges_says_so() {
    let mut scene = Scene::set().await;
    let change = [("optimizer_args", json!({ "lr": 1e38 })), ("epochs", json!(50))];
    let reply = fails(&mut scene, |request| request.training_args = training_args(&change)).await;
    assert_eq!(reply.code, Code::TrainingDiverged);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_cannot_be_written_is_an_export_failure() {
    let mut scene = Scene::set().await;
    // What a round is given is here from the round before.
    works(&mut scene).await;
    let partial = scene.home.folder.artifacts().join("partial");
    std::fs::remove_dir(&partial).unwrap();
    std::fs::write(&partial, "in the way").unwrap();
    let reply = fails(&mut scene, |_| {}).await;
    assert_eq!(reply.code, Code::PlanExportFailed);
    std::fs::remove_file(&partial).unwrap();
    std::fs::create_dir(&partial).unwrap();
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_above_the_owners_bound_does_not_leave() {
    let mut scene = Scene::set_with(|config| config.maximum_update_norm = Some(1e-6)).await;
    let reply = fails(&mut scene, |_| {}).await;
    assert_eq!(reply.code, Code::EgressDenied);
    let Some(Detail::Bound { bound, .. }) = reply.detail else { panic!("the bound is told") };
    assert_eq!(bound, "update_norm");
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_beyond_the_memory_limit_is_not_built() {
    let mut scene = Scene::set_with(|config| config.memory_limit = Some(16)).await;
    let reply = fails(&mut scene, |_| {}).await;
    assert_eq!(reply.code, Code::LimitsMemory);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_refused_three_times_is_not_offered_again() {
    let mut scene = Scene::set().await;
    scene.coordinator.refuse_uploads(3);
    let reply = fails(&mut scene, |_| {}).await;
    assert_eq!(reply.code, Code::ResultsUploadFailed);
    scene.coordinator.refuse_uploads(2);
    works(&mut scene).await;
    scene.node.stop().await;
}

/// Arguments under which a round would run for hours.
fn endless() -> serde_json::Map<String, serde_json::Value> {
    training_args(&[("epochs", json!(100_000_000)), ("log_interval", json!(1_000_000))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_round_ends_in_the_middle_of_its_training() {
    let mut scene = Scene::set().await;
    let mut request = scene.request();
    request.training_args = endless();
    scene.coordinator.request(&request);
    scene.node.notice(|notice| matches!(notice, node::Notice::RoundStarted { .. })).await;
    scene.coordinator.cancel(request.round_id);
    assert_eq!(scene.coordinator.reply().await.code, Code::Cancelled);
    works(&mut scene).await;
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_can_end_a_round_too() {
    let mut scene = Scene::set().await;
    let mut request = scene.request();
    request.training_args = endless();
    scene.coordinator.request(&request);
    scene.node.notice(|notice| matches!(notice, node::Notice::RoundStarted { .. })).await;
    scene.node.handle.administration().round_cancel(request.round_id).await.unwrap();
    assert_eq!(scene.coordinator.reply().await.code, Code::Cancelled);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_ends_rounds_that_run_and_rounds_that_wait() {
    let mut scene = Scene::set().await;
    let mut running = scene.request();
    running.training_args = endless();
    running.time_left = Duration::from_millis(1_500);
    let mut waiting = scene.request();
    waiting.time_left = Duration::from_millis(300);
    scene.coordinator.request(&running);
    scene.coordinator.request(&waiting);
    let first = scene.coordinator.reply().await;
    assert_eq!((first.round_id, first.code), (waiting.round_id, Code::DeadlineExceeded));
    let second = scene.coordinator.reply().await;
    assert_eq!((second.round_id, second.code), (running.round_id, Code::DeadlineExceeded));
    works(&mut scene).await;
    scene.node.stop().await;
}
