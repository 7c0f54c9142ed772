//! What the doctor finds in a node's database: interpreters that went, rounds that are damaged, records of later days.

use std::time::Duration;

use node::doctor::{self, Area, Finding, Verdict};
use node::registry::pythons::{self, Interpreter};
use node::registry::{self, rounds};
use protocol::{Digest, Timestamp};
use runtime::python::Environment;
use store::rusqlite::Connection;
use store::{Clock, Database, SystemClock, journal};

use crate::coordinator::Coordinator;
use crate::site::{Experiment, Home};

fn database(home: &Home) -> Database {
    let components = [journal::MIGRATIONS, registry::MIGRATIONS];
    Database::open(&home.folder.database(), &components).unwrap()
}

fn interpreter(name: &str) -> Interpreter {
    let environment = Environment {
        interpreter: "/nowhere/bin/python".into(),
        python: "3.11.7".to_owned(),
        frameworks: Vec::new(),
        packages: 0,
        digest: Digest::of(b""),
        readable: Vec::new(),
    };
    Interpreter { name: name.to_owned(), environment, added_at: Timestamp::from_milliseconds(0) }
}

#[track_caller]
fn only<'a>(findings: &'a [Finding], area: Area, fact: &str) -> &'a Finding {
    let fits = |finding: &&Finding| finding.area == area && finding.fact.contains(fact);
    let mut found = findings.iter().filter(fits);
    let first = found.next().unwrap_or_else(|| panic!("{fact}: {findings:#?}"));
    assert!(found.next().is_none(), "{fact} twice: {findings:#?}");
    first
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_knows_to_be_wrong_is_named_with_its_remedy() {
    let coordinator = Coordinator::start().await;
    let home = Home::new(&coordinator.address);
    let request = Experiment::publish(&coordinator)
        .request(protocol::DatasetId::from_uuid(uuid::Uuid::nil()));
    let round = request.round_id;
    let database = database(&home);
    let later = SystemClock.now().after(Duration::from_secs(3_600));
    database
        .write(move |transaction| -> Result<(), registry::Error> {
            pythons::add(transaction, &interpreter("one"))?;
            pythons::add(transaction, &interpreter("two"))?;
            rounds::accept(transaction, &request, later)
        })
        .await
        .unwrap();
    drop(database);
    let damage = "UPDATE journal_events SET body = 'no json'";
    Connection::open(home.folder.database()).unwrap().execute_batch(damage).unwrap();

    let findings = doctor::examine(&home.folder, [], None).await;
    for name in ["one", "two"] {
        let fact = format!("{name}: interpreter /nowhere/bin/python cannot be started");
        let gone = only(&findings, Area::Interpreter, &fact);
        assert_eq!(gone.verdict, Verdict::Wrong);
    }
    let unchosen = only(&findings, Area::Interpreter, "none of 2 interpreters is chosen");
    assert!(unchosen.remedy.as_ref().unwrap().contains("`python` in node.toml"));
    let damaged = only(&findings, Area::Rounds, &format!("round {round} is damaged"));
    let drop = format!("`wardround node round drop {round}`");
    assert!(damaged.remedy.as_ref().unwrap().contains(&drop), "{damaged:?}");
    let clock = only(&findings, Area::Clock, "s behind what the node has written down");
    assert_eq!(clock.verdict, Verdict::Wrong);
    let sandbox = only(&findings, Area::Sandbox, "the program that confines Python plans");
    assert_eq!(sandbox.verdict, Verdict::Wrong);
    // The tests' coordinator knows nodes only.
    let coordinator = only(&findings, Area::Coordinator, "answers, but not as a coordinator");
    assert_eq!(coordinator.verdict, Verdict::Wrong);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chosen_interpreter_that_is_not_registered_is_named() {
    let coordinator = Coordinator::start().await;
    let home = Home::new(&coordinator.address);
    let variables = [("WARDROUND_NODE_PYTHON".to_owned(), "torch".to_owned())];
    let findings = doctor::examine(&home.folder, variables, None).await;
    let missing = only(&findings, Area::Interpreter, "names torch, which is not registered");
    assert_eq!(missing.verdict, Verdict::Wrong);
    drop(database(&home));
}
