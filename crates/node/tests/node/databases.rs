//! Databases of earlier versions are taken over with all that they hold; newer, altered and damaged ones are refused.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use node::registry::plans::Decision;
use node::registry::rounds::Stage;
use node::{Node, Notice};
use protocol::{Code, DatasetId, RoundId};
use serde_json::json;
use store::rusqlite::Connection;
use store::{Clock, ManualClock, SystemClock};

use crate::coordinator::Coordinator;
use crate::site::{Experiment, Home, Scene, example, training_args};

/// A node's database as the first schema made it: decisions of every kind, and rounds that a kill left at every stage.
const FIRST_SCHEMA: &str = include_str!("schema-1/node.sql");
const PLAN: &[u8] = include_bytes!("schema-1/plan.json");
const PARAMETERS: &[u8] = include_bytes!("schema-1/parameters.safetensors");

/// What the database says about its rounds: their number in the experiment, and how far they were.
const ROUNDS: [(&str, u32, Stage); 5] = [
    ("01a2067b-b47f-72af-ba15-f83ae8612bc0", 5, Stage::Running),
    ("01a2067b-b47f-72af-ba15-f839dd6b5bff", 4, Stage::Queued),
    ("01a2067b-b470-720f-9005-6ac078395e34", 3, Stage::Exported),
    ("01a2067b-b44d-7275-a8f1-327f2aa215ab", 2, Stage::Replied),
    ("01a2067b-b43d-7135-ac5e-093f47cc189e", 1, Stage::Delivered),
];
const DATASET: &str = "01a2067b-b412-76ef-b75a-076fe4685e88";

/// A home whose database is the first schema's; the table lies where today's examples are.
fn of_the_first_schema(coordinator: &Coordinator) -> Home {
    let home = Home::new(&coordinator.address);
    let table = example("north.csv").display().to_string();
    let dump = FIRST_SCHEMA.replace("/hospital/north.csv", &table);
    Connection::open(home.folder.database()).unwrap().execute_batch(&dump).unwrap();
    home
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_the_first_schema_is_taken_over_and_its_rounds_go_on() {
    let mut coordinator = Coordinator::start().await;
    let plan = coordinator.publish(PLAN);
    let parameters = coordinator.publish(PARAMETERS);
    let home = of_the_first_schema(&coordinator);
    let mut node = home.start();
    let greeting = coordinator.greeting().await;
    assert_eq!(greeting.datasets[0].dataset_id, DATASET);
    // There were tables only, which did not say what they are.
    assert_eq!(
        (greeting.datasets[0].kind.as_str(), greeting.datasets[0].parts.len()),
        ("tabular", 0)
    );
    let mut open = greeting.open_rounds.clone();
    open.sort();
    let mut expected: Vec<&str> = ROUNDS[..4].iter().map(|(id, ..)| *id).collect();
    expected.sort_unstable();
    assert_eq!(open, expected, "what was not delivered is offered");

    let mut updates = std::collections::BTreeMap::new();
    while updates.len() < 4 {
        let reply = coordinator.reply().await;
        assert_eq!(reply.code, Code::Ok, "{reply:?}");
        let (_, round, _) =
            ROUNDS.iter().find(|(id, ..)| *id == reply.round_id.to_string()).unwrap();
        updates.insert(*round, reply.update.unwrap());
    }

    // The owner's decisions and the rounds' rows are there, too.
    let owner = node.handle.administration().clone();
    let mut decisions: Vec<Decision> =
        owner.plan_list().await.unwrap().iter().map(|one| one.known.decision).collect();
    decisions.sort_by_key(|decision| format!("{decision:?}"));
    assert_eq!(decisions, [Decision::Approved, Decision::Pending, Decision::Rejected]);
    // What was approved before there were grants is a grant without bounds.
    let plans = owner.plan_list().await.unwrap();
    let given: Vec<_> = plans.iter().flat_map(|one| &one.grants).collect();
    assert_eq!(given.len(), 1);
    let grant = given[0].grant.as_ref().unwrap();
    assert_eq!((given[0].status, &grant.granted_by), (node::grant::Status::Approved, &None));
    assert_eq!(
        Some(grant.granted_at),
        plans.iter().find(|one| !one.grants.is_empty()).unwrap().known.decided_at
    );
    for (id, round, before) in ROUNDS {
        let row = owner.round_show(id.parse::<RoundId>().unwrap()).await.unwrap().row;
        assert_eq!((row.round, row.code), (round, Some(Code::Ok)));
        let attempts = match before {
            // Its file was not there any more; and the other had begun when the node was killed.
            Stage::Exported | Stage::Running => 2,
            Stage::Queued | Stage::Replied | Stage::Delivered | Stage::Closed | Stage::Damaged => 1,
        };
        assert_eq!(row.attempt, attempts, "round {round} was {before:?}");
    }

    // The same rounds asked for today make the same bytes.
    let experiment = Experiment {
        bundle: training_plan::Bundle::parse(PLAN).unwrap(),
        plan,
        parameters,
        columns: Experiment::publish(&coordinator).columns,
    };
    for round in 3..=5 {
        let mut request = experiment.request(DATASET.parse::<DatasetId>().unwrap());
        request.round = round;
        request.training_args = training_args(&[("test_on_local_updates", json!(true))]);
        coordinator.request(&request);
        let reply = coordinator.reply_to(&request).await;
        assert_eq!(reply.update.as_ref(), updates.get(&round), "round {round}");
    }
    node.stop().await;
}

/// What opening a node over this folder fails with: every cause in words.
fn refusal_to_open(home: &Home) -> String {
    let Err(error) = Node::open(&home.folder, home.config.clone()) else { panic!("is refused") };
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_altered_or_damaged_database_is_refused_in_words() {
    let coordinator = Coordinator::start().await;
    for (sql, expected) in [
        (
            "INSERT INTO schema_steps (component, version, digest)
             VALUES ('node', 1000, 'sha256:unknown')",
            "schema of \"node\" has version 1000, this version of the program knows ",
        ),
        (
            "INSERT INTO schema_steps (component, version, digest)
             VALUES ('journal', 1000, 'sha256:unknown')",
            "schema of \"journal\" has version 1000, this version of the program knows ",
        ),
        (
            "ALTER TABLE node_rounds ADD COLUMN colour TEXT",
            "schema was altered by something other than this program",
        ),
        (
            "UPDATE schema_steps SET digest = 'sha256:other' WHERE component = 'node'",
            "schema of \"node\" was made with another step 1 than this program has",
        ),
    ] {
        let home = of_the_first_schema(&coordinator);
        Connection::open(home.folder.database()).unwrap().execute_batch(sql).unwrap();
        let words = refusal_to_open(&home);
        assert!(words.contains(expected), "{words}");
    }
    let home = Home::new(&coordinator.address);
    std::fs::write(home.folder.database(), "no database at all".repeat(99)).unwrap();
    let words = refusal_to_open(&home);
    assert!(words.contains("is damaged"), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivered_round_is_forgotten_after_its_days_and_an_open_one_is_not() {
    let mut scene = Scene::set().await;
    let delivered = scene.request();
    scene.run(&delivered).await;
    scene.coordinator.acknowledge(false);
    let open = scene.request();
    scene.run(&open).await;
    scene.node.stop().await;
    let days = scene.home.config.keep_replies_days;
    assert_eq!(days, 30);
    for (passed, expected) in
        [(days - 1, vec![open.round_id, delivered.round_id]), (days + 1, vec![open.round_id])]
    {
        let passed = Duration::from_secs(passed * 24 * 60 * 60);
        let clock = ManualClock::at(SystemClock.now().after(passed));
        let mut node = scene.home.start_at(Arc::new(clock));
        node.notice(|notice| *notice == Notice::Connected).await;
        let owner = node.handle.administration().clone();
        let forgotten = async {
            loop {
                let rows = owner.round_list(10).await.unwrap();
                let left: Vec<RoundId> = rows.iter().map(|row| row.round_id).collect();
                if left == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), forgotten).await.expect("old rounds go");
        node.stop().await;
    }
}
