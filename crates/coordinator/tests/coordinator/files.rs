//! Which files stay, and what a full disk does.

use std::path::Path;

use protocol::Code;
use protocol::wire::{refusal, v1};

use crate::federation::{Federation, last};
use crate::support::Researcher;

/// The rounds whose models the researcher can still fetch, and how many files are left, after five rounds.
async fn kept(
    keep_models: bool,
    keep_updates: bool,
    accuracy: fn(u32) -> f64,
) -> (Vec<u32>, usize) {
    let mut world = Federation::usual(|script| script.accuracy = accuracy).await;
    let request = world.researcher.prepare(5).await;
    let request = v1::SubmitExperimentRequest { keep_models, keep_updates, ..request };
    let id = world.researcher.submit(request).await;
    world.researcher.watch_until(&id, "completed").await;
    let history = world.researcher.history(&id).await;
    let mut rounds = Vec::new();
    for round in &history.rounds {
        let digest = round.model.as_ref().unwrap().digest;
        let size = world.researcher.files.size(&digest).await;
        if size.ok().flatten().is_some() {
            rounds.push(round.round);
        }
    }
    let Federation { folder, server, .. } = world;
    server.stop().await;
    (rounds, count(&folder.path().join("artifacts").join("sha256")))
}

fn count(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { count(&path) } else { 1 }).sum()
}

/// The plan stays always.
const PLAN: usize = 1;
/// The initial parameters were brought less than a day ago, so they stay.
const BROUGHT: usize = 1;
/// The updates of three nodes in five rounds.
const UPDATES: usize = 15;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_models_are_kept_and_updates_are_not() {
    let improving = |round| 1.0 - 0.5 / f64::from(round);
    assert_eq!(kept(false, false, improving).await, (vec![3, 4, 5], PLAN + BROUGHT + 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_best_model_is_kept_though_it_is_old() {
    // Round 2 measures the model of round 1.
    let peak = |round| if round == 2 { 0.9 } else { 0.5 };
    assert_eq!(kept(false, false, peak).await, (vec![1, 3, 4, 5], PLAN + BROUGHT + 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_wants_every_model_or_every_update_keeps_them() {
    let improving = |round| 1.0 - 0.5 / f64::from(round);
    let every = vec![0, 1, 2, 3, 4, 5];
    assert_eq!(kept(true, false, improving).await, (every.clone(), PLAN + every.len()));
    let last = vec![3, 4, 5];
    assert_eq!(kept(false, true, improving).await, (last, PLAN + BROUGHT + 3 + UPDATES));
    let files = PLAN + every.len() + UPDATES;
    assert_eq!(kept(true, true, improving).await, (every, files));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_pauses_and_the_same_model_comes_once_there_is_room() {
    let mut undisturbed = Federation::usual(|_| {}).await;
    let id = undisturbed.submit(2).await;
    undisturbed.researcher.watch_until(&id, "completed").await;
    let expected = undisturbed.researcher.model(&id).await;
    undisturbed.server.stop().await;

    // The files are brought while there is room; the nodes begin when there is none.
    let (wake, works) = tokio::sync::watch::channel(false);
    let mut world = Federation::usual(|script| script.works = works.clone()).await;
    let id = world.submit(2).await;
    world.researcher.watch_until(&id, "round-started").await;
    let mut world = world.restart_with(|config| config.reserve_bytes = u64::MAX).await;
    wake.send(true).unwrap();
    let events = world.researcher.watch_until(&id, "paused").await;
    assert_eq!(last(&events)["code"], Code::StorageFull.as_str());
    let shown = world.researcher.show(&id).await.summary.unwrap();
    assert_eq!(shown.code, Code::StorageFull.as_str());
    assert_eq!(shown.message, "the coordinator's disk has no space left");

    // A researcher is told the same.
    let bytes = b"{\"format\":\"wardround-plan/1\",\"more\":true}";
    let refused = world.researcher.try_bring(bytes).await.unwrap_err().to_string();
    assert!(refused.contains("507") && refused.contains("disk is full"), "{refused}");

    let mut world = world.restart_with(|_| {}).await;
    let shown = world.researcher.show(&id).await.summary.unwrap();
    assert_eq!(shown.state, "paused", "somebody has to say that there is room again");
    let resume = v1::ResumeExperimentRequest { experiment_id: id.clone() };
    world.researcher.calls.resume_experiment(resume).await.unwrap();
    world.researcher.watch_until(&id, "completed").await;
    assert_eq!(world.researcher.model(&id).await, expected);
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_was_not_brought_or_has_another_length_is_unknown() {
    let mut world = Federation::start(Vec::new()).await;
    let good = world.researcher.prepare(1).await;
    let never = v1::ArtifactReference {
        digest: protocol::Digest::of(b"never brought").to_string(),
        size: 13,
        url: String::new(),
    };
    let mut longer = good.parameters.clone().unwrap();
    longer.size += 1;
    for request in [
        v1::SubmitExperimentRequest { plan: Some(never.clone()), ..good.clone() },
        v1::SubmitExperimentRequest { parameters: Some(never), ..good.clone() },
        v1::SubmitExperimentRequest { parameters: Some(longer), ..good.clone() },
    ] {
        let refused = world.researcher.calls.submit_experiment(request).await.unwrap_err();
        assert_eq!(refusal::code(&refused), Some(Code::ArtifactUnknown), "{refused}");
        assert_eq!(refused.code(), tonic::Code::NotFound);
    }
    world.researcher.submit(good).await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_makes_anothers_update_or_model_their_own_by_naming_it() {
    let mut world = Federation::usual(|_| {}).await;
    let request = world.researcher.prepare(1).await;
    let request = v1::SubmitExperimentRequest { keep_updates: true, ..request };
    let id = world.researcher.submit(request).await;
    world.researcher.watch_until(&id, "completed").await;
    let model = world.researcher.show(&id).await.model.unwrap();
    let update = {
        let database = world.folder.path().join("coordinator.sqlite");
        let database = store::rusqlite::Connection::open(database).unwrap();
        let query = "SELECT update_digest FROM replies WHERE update_kept LIMIT 1";
        let digest: String = database.query_row(query, [], |row| row.get(0)).unwrap();
        v1::ArtifactReference { digest, ..model.clone() }
    };

    let scratch = tempfile::tempdir().unwrap();
    let mut eve = Researcher::dial_as("eve", &world.server.address(), scratch.path()).await;
    for named in [&model, &update] {
        let request = eve.prepare(1).await;
        let request = v1::SubmitExperimentRequest { parameters: Some(named.clone()), ..request };
        let refused = eve.calls.submit_experiment(request).await.unwrap_err();
        assert_eq!(refusal::code(&refused), Some(Code::ArtifactUnknown), "{refused}");
        let digest = named.digest.parse().unwrap();
        assert!(eve.files.size(&digest).await.ok().flatten().is_none(), "she sees it");
    }

    // Whose model it is may go on from it.
    let request = world.researcher.prepare(1).await;
    let request = v1::SubmitExperimentRequest { parameters: Some(model), ..request };
    let id = world.researcher.submit(request).await;
    world.researcher.watch_until(&id, "completed").await;
    world.server.stop().await;
}
