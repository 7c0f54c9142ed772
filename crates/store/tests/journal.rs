//! The journal: order, snapshots, closing, and a model it is compared with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use protocol::Timestamp;
use store::Database;
use store::journal::{self, Error, Event, Journal};

fn open(folder: &Path) -> Database {
    Database::open(&folder.join("journal.sqlite"), &[journal::MIGRATIONS]).unwrap()
}

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_milliseconds(milliseconds)
}

fn write<T: Send + 'static>(
    database: &Database,
    work: impl FnOnce(Journal<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    database.write_blocking(move |transaction| work(Journal::within(transaction)))
}

fn event(number: u64) -> Event {
    Event::new(at(number), "counted", &number).unwrap()
}

#[test]
fn events_come_back_in_order_with_their_bodies() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, |journal| journal.append("round/1", &[event(10), event(20)])).unwrap();
    let last = write(&database, |journal| journal.append("round/1", &[event(30)])).unwrap();
    assert_eq!(last, 3);
    let entries = write(&database, |journal| journal.replay("round/1", 2)).unwrap();
    let read: Vec<(u64, u64, u64)> = entries
        .iter()
        .map(|entry| (entry.sequence, entry.at.milliseconds(), entry.read().unwrap()))
        .collect();
    assert_eq!(read, [(2, 20, 20), (3, 30, 30)]);
    assert!(entries[0].read::<String>().is_err());
}

#[test]
fn a_snapshot_stands_for_the_events_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, |journal| {
        journal.append("experiment/1", &[event(1), event(2), event(3)])?;
        journal.keep_snapshot("experiment/1", 2, at(5), &"sum 3")?;
        let forgotten = journal.forget_before_snapshot("experiment/1")?;
        assert_eq!(forgotten, 2);
        Ok(())
    })
    .unwrap();
    let restored = write(&database, |journal| journal.restore("experiment/1")).unwrap();
    assert_eq!(restored.snapshot.unwrap().read::<String>().unwrap(), "sum 3");
    assert_eq!(restored.entries.len(), 1);
    assert_eq!(restored.entries[0].sequence, 3);
    let last = write(&database, |journal| journal.append("experiment/1", &[event(4)])).unwrap();
    assert_eq!(last, 4);
}

#[test]
fn a_snapshot_of_the_future_or_of_the_past_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, |journal| journal.append("m", &[event(1), event(2)])).unwrap();
    let future = write(&database, |journal| journal.keep_snapshot("m", 3, at(1), &())).unwrap_err();
    assert!(matches!(future, Error::Snapshot { sequence: 3, last: 2, .. }), "{future:?}");
    write(&database, |journal| journal.keep_snapshot("m", 2, at(1), &())).unwrap();
    let past = write(&database, |journal| journal.keep_snapshot("m", 1, at(1), &())).unwrap_err();
    assert!(matches!(past, Error::Snapshot { sequence: 1, .. }), "{past:?}");
}

#[test]
fn a_closed_machine_keeps_its_events_and_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    write(&database, |journal| {
        journal.append("round/1", &[event(1)])?;
        journal.append("round/2", &[event(1)])?;
        journal.append("other/1", &[event(1)])?;
        journal.close("round/1", at(100))
    })
    .unwrap();
    let error = write(&database, |journal| journal.append("round/1", &[event(2)])).unwrap_err();
    assert_eq!(error.to_string(), "machine \"round/1\" is closed");
    write(&database, |journal| {
        assert_eq!(journal.open_machines("round/")?, ["round/2"]);
        assert_eq!(journal.open_machines("")?, ["round/2", "other/1"]);
        assert_eq!(journal.closed_before("round/", at(100))?, Vec::<String>::new());
        assert_eq!(journal.closed_before("round/", at(101))?, ["round/1"]);
        assert_eq!(journal.replay("round/1", 1)?.len(), 1);
        journal.remove("round/1")?;
        assert_eq!(journal.replay("round/1", 1)?.len(), 0);
        assert_eq!(journal.append("round/1", &[event(9)])?, 1);
        Ok(())
    })
    .unwrap();
}

#[test]
fn events_and_the_callers_own_rows_are_kept_or_undone_together() {
    const TABLES: store::database::Migrations = store::database::Migrations {
        component: "caller",
        steps: &[store::database::Migration {
            version: 1,
            sql: "CREATE TABLE replies (round TEXT PRIMARY KEY)",
        }],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("node.sqlite");
    let database = Database::open(&path, &[journal::MIGRATIONS, TABLES]).unwrap();
    let reply = |round: &'static str| {
        database.write_blocking(move |transaction| -> Result<(), Error> {
            Journal::within(transaction).append(round, &[event(1)])?;
            transaction.execute("INSERT INTO replies (round) VALUES ('the only one')", [])?;
            Ok(())
        })
    };
    reply("round/1").unwrap();
    assert!(reply("round/2").is_err());
    let open = write(&database, |journal| journal.open_machines("")).unwrap();
    assert_eq!(open, ["round/1"]);
}

/// What may be done with one of a few machines.
#[derive(Clone, Debug)]
enum Step {
    Append(u8, u8),
    Snapshot(u8),
    Forget(u8),
    Close(u8),
    Remove(u8),
    Reopen,
}

/// What a machine must look like.
#[derive(Clone, Debug, Default)]
struct Model {
    bodies: BTreeMap<u64, u64>,
    last: u64,
    snapshot: u64,
    closed: bool,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..4_u8).prop_map(|(machine, count)| Step::Append(machine, count)),
        1 => (0..3_u8).prop_map(Step::Snapshot),
        1 => (0..3_u8).prop_map(Step::Forget),
        1 => (0..3_u8).prop_map(Step::Close),
        1 => (0..3_u8).prop_map(Step::Remove),
        1 => Just(Step::Reopen),
    ]
}

fn apply(database: &Database, models: &mut BTreeMap<u8, Model>, step: &Step, counter: &mut u64) {
    match *step {
        Step::Append(machine, count) => {
            let bodies: Vec<u64> = (0..u64::from(count)).map(|number| *counter + number).collect();
            *counter += u64::from(count);
            let events: Vec<Event> = bodies.iter().map(|body| event(*body)).collect();
            let result = write(database, move |journal| journal.append(&name(machine), &events));
            let model = models.entry(machine).or_default();
            if model.closed {
                assert!(matches!(result, Err(Error::Closed { .. })), "{result:?}");
                return;
            }
            for body in bodies {
                model.last += 1;
                model.bodies.insert(model.last, body);
            }
            assert_eq!(result.unwrap(), model.last);
        }
        Step::Snapshot(machine) => {
            let Some(model) = models.get_mut(&machine) else { return };
            let last = model.last;
            write(database, move |journal| {
                journal.keep_snapshot(&name(machine), last, at(1), &last)
            })
            .unwrap();
            model.snapshot = last;
        }
        Step::Forget(machine) => {
            write(database, move |journal| journal.forget_before_snapshot(&name(machine))).unwrap();
            if let Some(model) = models.get_mut(&machine) {
                model.bodies.retain(|sequence, _| *sequence > model.snapshot);
            }
        }
        Step::Close(machine) => {
            write(database, move |journal| journal.close(&name(machine), at(1))).unwrap();
            if let Some(model) = models.get_mut(&machine) {
                model.closed = true;
            }
        }
        Step::Remove(machine) => {
            write(database, move |journal| journal.remove(&name(machine))).unwrap();
            models.remove(&machine);
        }
        Step::Reopen => {}
    }
}

fn name(machine: u8) -> String {
    format!("machine/{machine}")
}

fn compare(database: &Database, models: &BTreeMap<u8, Model>) {
    for machine in 0..3 {
        let model = models.get(&machine).cloned().unwrap_or_default();
        let (entries, restored, last) = write(database, move |journal| {
            let name = name(machine);
            Ok((journal.replay(&name, 1)?, journal.restore(&name)?, journal.last_sequence(&name)?))
        })
        .unwrap();
        let found: BTreeMap<u64, u64> =
            entries.iter().map(|entry| (entry.sequence, entry.read().unwrap())).collect();
        assert_eq!(found, model.bodies);
        assert_eq!(last, model.last);
        let snapshot = restored.snapshot.map(|snapshot| snapshot.read::<u64>().unwrap());
        assert_eq!(snapshot.unwrap_or(0), model.snapshot);
        let after = model.bodies.range(model.snapshot + 1..).count();
        assert_eq!(restored.entries.len(), after);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_is_done_the_journal_agrees_with_its_model(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let mut database = open(folder.path());
        let mut models = BTreeMap::new();
        let mut counter = 0;
        for step in &steps {
            if matches!(step, Step::Reopen) {
                drop(database);
                database = open(folder.path());
            }
            apply(&database, &mut models, step, &mut counter);
        }
        compare(&database, &models);
    }
}
