//! Updates from which no model can be made, alone and among others.

use parameters::{Dtype, Parameters, Tensor};
use protocol::Code;

use crate::federation::{Federation, fields, last};
use crate::support::{Script, Work};

/// The code that an experiment fails with, whose nodes are all changed by `script`.
async fn fails_with(script: impl Fn(&mut Script)) -> Code {
    let mut world = Federation::usual(script).await;
    let id = world.submit(1).await;
    let events = world.researcher.watch_until(&id, "failed").await;
    let code: Code = last(&events)["code"].as_str().unwrap().parse().unwrap();
    let shown = world.researcher.show(&id).await.summary.unwrap();
    assert_eq!((shown.state.as_str(), shown.code.as_str()), ("failed", code.as_str()));
    assert_eq!(shown.message, code.sentence());
    let resume = protocol::wire::v1::ResumeExperimentRequest { experiment_id: id };
    let refused = world.researcher.calls.resume_experiment(resume).await.unwrap_err();
    assert_eq!(protocol::wire::refusal::code(&refused), Some(Code::ExperimentState));
    world.server.stop().await;
    code
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_that_all_count_no_sample_have_no_mean() {
    let code = fails_with(|script| script.sample_count = 0).await;
    assert_eq!(code, Code::AggregationNoSamples);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finite_updates_whose_weighted_sum_is_infinite_have_a_mean() {
    let mut world = Federation::usual(|script| script.work = Work::Enormous).await;
    let mut model = Parameters::new();
    model
        .insert("layers.0.weight", Tensor::from_f64(Dtype::F64, &[30, 1], &[0.0; 30]).unwrap())
        .unwrap();
    let parameters = world.researcher.bring(&model.to_bytes(None).unwrap()).await;
    let mut request = world.researcher.prepare(1).await;
    request.parameters = Some(parameters.into());
    let id = world.researcher.submit(request).await;
    world.researcher.watch_until(&id, "completed").await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_samples_than_can_be_counted_are_no_aggregate() {
    let mut world = Federation::usual(|script| script.sample_count = u64::MAX).await;
    let id = world.submit(1).await;
    let events = world.researcher.watch_until(&id, "paused").await;
    assert_eq!(last(&events)["code"], Code::RoundTooFewUpdates.as_str());
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_without_samples_weighs_nothing_among_others() {
    let mut world = Federation::usual(|script| {
        if script.name == "north" {
            (script.sample_count, script.work) = (0, Work::Filled(1e30));
        }
    })
    .await;
    let id = world.submit(1).await;
    world.researcher.watch_until(&id, "completed").await;
    let digest = world.researcher.model(&id).await;
    world.server.stop().await;

    let mut world = Federation::start(vec![Script::new("east"), Script::new("southern")]).await;
    let id = world.submit(1).await;
    world.researcher.watch_until(&id, "completed").await;
    assert_eq!(world.researcher.model(&id).await, digest);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_update_that_is_unusable_is_named_and_the_others_are_used() {
    for (work, code) in [
        (Work::OtherTensors, Code::ParametersMismatch),
        (Work::NoParameters, Code::ParametersInvalid),
        (Work::Filled(f32::NAN), Code::TrainingDiverged),
        (Work::Filled(f32::NEG_INFINITY), Code::TrainingDiverged),
    ] {
        let mut world = Federation::usual(|script| {
            if script.name == "north" {
                script.work = work;
            }
        })
        .await;
        let id = world.submit(1).await;
        let events = world.researcher.watch_until(&id, "completed").await;
        let told = events
            .iter()
            .map(fields)
            .any(|fields| fields["code"] == code.as_str() && fields["site"]["node"] == "north");
        assert!(told, "{code} of north is told: {events:#?}");
        let used = world.used(&id, 1).await;
        let expected = [("east", true), ("north", false), ("southern", true)];
        assert_eq!(used, expected.map(|(name, used)| (name.to_owned(), used)), "{code}");
        world.server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_few_usable_updates_pause_and_say_whose_are_not() {
    let mut world = Federation::usual(|script| {
        if script.name != "east" {
            script.work = Work::OtherTensors;
        }
    })
    .await;
    let id = world.submit(1).await;
    let events = world.researcher.watch_until(&id, "paused").await;
    let told = last(&events);
    assert_eq!(told["code"], Code::RoundTooFewUpdates.as_str());
    assert_eq!(
        told["message"],
        "round 1 has 1 of 2 needed nodes; north/records: parameters.mismatch; \
         southern/records: parameters.mismatch"
    );
    world.server.stop().await;
}
