//! Databases that are damaged under a running coordinator, older, newer or altered.

use std::error::Error;
use std::path::Path;

use coordinator::Coordinator;
use protocol::wire::{refusal, v1};
use protocol::{Code, Digest};
use store::rusqlite::Connection;
use store::{Clock, SystemClock};
use transport::artifact::client;
use transport::{ArtifactClient, Caller};

use crate::federation::{Federation, last};
use crate::support::{Researcher, Server, nodes, test_config};

/// Changes a coordinator's database behind its back.
fn meddle(folder: &Path, sql: &str) {
    let database = Connection::open(folder.join("coordinator.sqlite")).unwrap();
    database.busy_timeout(crate::support::PATIENCE).unwrap();
    database.execute_batch(sql).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_is_gone_is_told_as_a_defect_and_nothing_more() {
    let mut world = Federation::start(Vec::new()).await;
    let id = world.submit(1).await;
    // Nothing is written any more once the experiment waits: a write that failed would end the coordinator.
    world.researcher.watch_until(&id, "waiting-for-nodes").await;
    meddle(world.folder.path(), "ALTER TABLE experiments RENAME TO gone");
    let show = v1::ShowExperimentRequest { experiment_id: id.clone() };
    for refused in [
        world.researcher.calls.show_experiment(show.clone()).await.unwrap_err(),
        world.researcher.calls.list_experiments(v1::ListExperimentsRequest {}).await.unwrap_err(),
    ] {
        assert_eq!(refusal::code(&refused), Some(Code::CoordinatorInternal), "{refused}");
        assert_eq!(refused.code(), tonic::Code::Internal);
        let sentence = Code::CoordinatorInternal.sentence();
        assert_eq!(refused.message(), format!("coordinator.internal: {sentence}"));
    }

    // Over HTTP the words are public, too.
    let settings = client::Settings { attempts: 1, ..Default::default() };
    let caller = Caller::Researcher("ada".parse().unwrap());
    let files = ArtifactClient::new(world.server.address(), caller, settings);
    let wanted = protocol::ArtifactReference::new(Digest::of(b"any"), 3);
    let error = files.download(&wanted, &world.folder.path().join("any")).await.unwrap_err();
    let client::Error::Refused { status, sentence, .. } = error else { panic!("{error:?}") };
    assert_eq!(status.as_u16(), 503);
    assert_eq!(sentence, "the coordinator cannot use its artifacts");

    meddle(world.folder.path(), "ALTER TABLE gone RENAME TO experiments");
    world.researcher.calls.show_experiment(show).await.expect("it is served again");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_checkpoint_that_cannot_be_written_pauses_the_experiment_in_public_words() {
    let mut world = Federation::usual(|_| {}).await;
    meddle(
        world.folder.path(),
        "CREATE TRIGGER torn BEFORE UPDATE OF model ON rounds
         BEGIN SELECT RAISE(ABORT, 'the page is torn'); END",
    );
    let id = world.submit(1).await;
    let events = world.researcher.watch_until(&id, "paused").await;
    assert_eq!(last(&events)["code"], Code::CoordinatorInternal.as_str());
    let all = format!("{events:?}");
    let folder = world.folder.path().display().to_string();
    assert!(!all.contains("torn") && !all.contains(&folder), "{all}");

    meddle(world.folder.path(), "DROP TRIGGER torn");
    let resume = protocol::wire::v1::ResumeExperimentRequest { experiment_id: id.clone() };
    world.researcher.calls.resume_experiment(resume).await.expect("it goes on where it was");
    world.researcher.watch_until(&id, "completed").await;
    world.server.stop().await;
}

/// What opening a coordinator over this folder fails with: every cause in words.
async fn refusal_to_open(folder: &Path) -> String {
    let error = Coordinator::open(test_config(folder)).await.expect_err("is refused");
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_altered_or_damaged_database_is_refused_in_words() {
    for (sql, expected) in [
        (
            "INSERT INTO schema_steps (component, version, digest)
             VALUES ('coordinator', 1000, 'sha256:unknown')",
            "schema of \"coordinator\" has version 1000, this version of the program knows ",
        ),
        (
            "ALTER TABLE nodes ADD COLUMN colour TEXT",
            "schema was altered by something other than this program",
        ),
        (
            "UPDATE schema_steps SET digest = 'sha256:other' WHERE component = 'coordinator'",
            "schema of \"coordinator\" was made with another step 1 than this program has",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        Server::start(folder.path()).await.stop().await;
        meddle(folder.path(), sql);
        let words = refusal_to_open(folder.path()).await;
        assert!(words.contains(expected), "{words}");
    }
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("coordinator.sqlite"), "no database at all".repeat(99))
        .unwrap();
    let words = refusal_to_open(folder.path()).await;
    assert!(words.contains("is damaged"), "{words}");
}

/// A database as the first schema made it, with an experiment whose first round was being checkpointed.
const FIRST_SCHEMA: &str = include_str!("schema-1.sql");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_the_first_schema_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    meddle(folder.path(), FIRST_SCHEMA);
    let now = SystemClock.now().milliseconds();
    meddle(folder.path(), &format!("UPDATE uploads SET at = {now}"));
    let server = Server::start(folder.path()).await;
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    let listed = researcher.calls.list_experiments(v1::ListExperimentsRequest {}).await.unwrap();
    let [summary] = listed.into_inner().experiments.try_into().expect("one experiment");
    researcher.watch_until(&summary.experiment_id, "round-finished").await;
    // A file whose bringer the first schema did not know is nobody's; it stays for its day.
    let database = Connection::open(folder.path().join("coordinator.sqlite")).unwrap();
    let query = "SELECT count(*), group_concat(DISTINCT owner) FROM brought";
    let brought: (u32, String) =
        database.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!(brought, (2, String::new()));
    let history = researcher.history(&summary.experiment_id).await;
    assert_eq!(history.rounds[1].sites.len(), 3);
    assert!(history.rounds[1].sites.iter().all(|site| site.used), "{history:#?}");

    // Its machine was restored and takes a command; the coordinator works as any other.
    let cancel = v1::CancelExperimentRequest { experiment_id: summary.experiment_id.clone() };
    researcher.calls.cancel_experiment(cancel).await.unwrap();
    researcher.watch_until(&summary.experiment_id, "cancelled").await;
    let _nodes = nodes(&server.address(), scratch.path());
    let request = researcher.prepare(1).await;
    let id = researcher.submit(request).await;
    researcher.watch_until(&id, "completed").await;
    server.stop().await;
}
