//! The database: transactions, groups, refusals and damage.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use store::database::{Database, Error, Migration, Migrations, Transaction};

const TABLES: Migrations = Migrations {
    component: "tests",
    steps: &[Migration {
        version: 1,
        sql: "
            CREATE TABLE numbers (number INTEGER PRIMARY KEY);
            CREATE TABLE children (number INTEGER NOT NULL REFERENCES numbers (number));
        ",
    }],
};

fn open(folder: &Path) -> Database {
    Database::open(&folder.join("tests.sqlite"), &[TABLES]).unwrap()
}

fn insert(database: &Database, number: i64) -> Result<usize, Error> {
    database.write_blocking(move |transaction| {
        Ok(transaction.execute("INSERT INTO numbers (number) VALUES (?1)", [number])?)
    })
}

fn numbers(database: &Database) -> Vec<i64> {
    database
        .read_blocking(|transaction| -> Result<_, Error> {
            let mut select = transaction.prepare("SELECT number FROM numbers ORDER BY number")?;
            let numbers = select.query_map([], |row| row.get(0))?;
            Ok(numbers.collect::<Result<_, _>>()?)
        })
        .unwrap()
}

#[test]
fn what_was_written_is_read_and_is_there_after_opening_again() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    insert(&database, 1).unwrap();
    assert_eq!(numbers(&database), [1]);
    drop(database);
    assert_eq!(numbers(&open(folder.path())), [1]);
}

#[test]
fn work_that_fails_undoes_its_own_writes_and_no_others_of_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    // Holds the writer until all the others wait, so that they become one group.
    let (release, held) = mpsc::channel::<()>();
    let results = runtime.block_on(async {
        let holding = database.write(move |_| -> Result<(), Error> {
            held.recv_timeout(Duration::from_secs(10)).unwrap();
            Ok(())
        });
        let works = (0..100_i64).map(|number| {
            database.write(move |transaction| -> Result<(), Error> {
                transaction.execute("INSERT INTO numbers (number) VALUES (?1)", [number])?;
                if number % 2 == 1 { Err(Error::Closed) } else { Ok(()) }
            })
        });
        let works = futures_in_order(works);
        let releasing = async {
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        };
        let ((), held, results) = tokio::join!(releasing, holding, works);
        held.unwrap();
        results
    });
    for (number, result) in results.into_iter().enumerate() {
        assert_eq!(result.is_ok(), number % 2 == 0);
    }
    assert_eq!(numbers(&database), (0..100).filter(|number| number % 2 == 0).collect::<Vec<_>>());
}

async fn futures_in_order<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for (future, output) in &mut waiting {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(ready) => *output = Some(ready),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().map(|(_, output)| output.unwrap()).collect()
}

#[test]
fn many_writes_that_wait_together_cost_few_commits() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let frames = || fs::metadata(folder.path().join("tests.sqlite-wal")).unwrap().len();
    let before = frames();
    insert(&database, -1).unwrap();
    let of_one = frames() - before;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (release, held) = mpsc::channel::<()>();
    runtime.block_on(async {
        let holding = database.write(move |_| -> Result<(), Error> {
            held.recv_timeout(Duration::from_secs(10)).unwrap();
            Ok(())
        });
        let works = futures_in_order((0..200_i64).map(|number| {
            database.write(move |transaction| -> Result<usize, Error> {
                Ok(transaction.execute("INSERT INTO numbers (number) VALUES (?1)", [number])?)
            })
        }));
        let releasing = async {
            tokio::task::yield_now().await;
            release.send(()).unwrap();
        };
        let ((), held, results) = tokio::join!(releasing, holding, works);
        held.unwrap();
        assert!(results.iter().all(Result::is_ok));
    });
    // Two hundred commits of their own would each have written the page again.
    let of_all = frames() - before - of_one;
    assert!(of_all <= 10 * of_one, "{of_all} bytes in the log, one commit has {of_one}");
}

#[test]
fn a_write_that_nobody_waits_for_joins_the_next_commit_or_is_made_alone() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let add = |number: i64| {
        move |transaction: &Transaction<'_>| -> Result<usize, Error> {
            Ok(transaction.execute("INSERT INTO numbers (number) VALUES (?1)", [number])?)
        }
    };
    let alone = runtime.block_on(database.write_in_company(add(1)));
    assert_eq!(alone.unwrap(), 1);
    let (patient, urgent) = runtime.block_on(async {
        tokio::join!(database.write_in_company(add(2)), database.write(add(3)))
    });
    assert_eq!((patient.unwrap(), urgent.unwrap()), (1, 1));
    assert_eq!(numbers(&database), [1, 2, 3]);
    // Dropped after its first poll it may still happen, and does when the database closes.
    runtime.block_on(async {
        let forgotten = database.write_in_company(add(4));
        tokio::pin!(forgotten);
        assert!(futures_poll_once(forgotten.as_mut()).await.is_none());
    });
    drop(database);
    assert_eq!(numbers(&open(folder.path())), [1, 2, 3, 4]);
}

async fn futures_poll_once<F: Future>(mut future: std::pin::Pin<&mut F>) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match future.as_mut().poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_read_that_panics_leaves_the_next_one_a_clean_connection() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let panicking = |_: &Transaction<'_>| -> Result<(), Error> { panic!("on purpose") };
    assert!(matches!(database.read_blocking(panicking), Err(Error::Panicked)));
    insert(&database, 1).unwrap();
    assert_eq!(numbers(&database), [1]);
}

#[test]
fn a_closure_that_panics_is_an_error_and_the_next_one_runs() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let panicked = database.write_blocking(|transaction| -> Result<(), Error> {
        transaction.execute("INSERT INTO numbers (number) VALUES (1)", [])?;
        panic!("this panic belongs to the test");
    });
    assert!(matches!(panicked, Err(Error::Panicked)), "{panicked:?}");
    insert(&database, 2).unwrap();
    assert_eq!(numbers(&database), [2]);
}

#[test]
fn foreign_keys_hold_and_a_reader_cannot_write() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let orphan = database.write_blocking(|transaction| -> Result<usize, Error> {
        Ok(transaction.execute("INSERT INTO children (number) VALUES (99)", [])?)
    });
    assert!(matches!(orphan, Err(Error::Statement(_))), "{orphan:?}");
    let written = database.read_blocking(|transaction| -> Result<usize, Error> {
        Ok(transaction.execute("INSERT INTO numbers (number) VALUES (1)", [])?)
    });
    assert!(matches!(written, Err(Error::Statement(_))), "{written:?}");
    assert!(numbers(&database).is_empty());
}

#[test]
fn a_full_disk_is_named_and_what_was_committed_before_stays() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    insert(&database, 1).unwrap();
    // SQLite's own page bound ends in the same error code as a disk without room.
    let filled = database.write_blocking(|transaction| -> Result<(), Error> {
        let pages: i64 = transaction.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        transaction.pragma_update(None, "max_page_count", pages)?;
        transaction.execute_batch(
            "WITH RECURSIVE many (number) AS \
             (SELECT 2 UNION ALL SELECT number + 1 FROM many WHERE number < 100000) \
             INSERT INTO numbers (number) SELECT number FROM many",
        )?;
        Ok(())
    });
    assert!(matches!(filled, Err(Error::DiskFull)), "{filled:?}");
    assert_eq!(numbers(&database), [1]);
    database
        .write_blocking(|transaction| -> Result<(), Error> {
            transaction.pragma_update(None, "max_page_count", 1_000_000)?;
            Ok(())
        })
        .unwrap();
    insert(&database, 2).unwrap();
    assert_eq!(numbers(&database), [1, 2]);
}

#[test]
fn a_reader_does_not_wait_for_a_writer_that_is_at_work() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    insert(&database, 1).unwrap();
    let (release, held) = mpsc::channel::<()>();
    let writing = database.clone();
    let writer = std::thread::spawn(move || {
        writing.write_blocking(move |transaction| -> Result<(), Error> {
            transaction.execute("INSERT INTO numbers (number) VALUES (2)", [])?;
            held.recv_timeout(Duration::from_secs(10)).unwrap();
            Ok(())
        })
    });
    let started = Instant::now();
    assert_eq!(numbers(&database), [1]);
    assert!(started.elapsed() < Duration::from_secs(5));
    release.send(()).unwrap();
    writer.join().unwrap().unwrap();
    assert_eq!(numbers(&database), [1, 2]);
}

#[test]
fn a_handle_dropped_inside_its_own_closure_does_not_hang() {
    let folder = tempfile::tempdir().unwrap();
    let database = open(folder.path());
    let inside = database.clone();
    let (told, dropped) = mpsc::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let writing = database.write(move |_| -> Result<(), Error> {
            drop(inside);
            told.send(()).unwrap();
            Ok(())
        });
        writing.await.unwrap();
    });
    drop(database);
    dropped.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn a_file_that_is_no_database_is_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tests.sqlite");
    fs::write(&path, vec![b'x'; 8192]).unwrap();
    let error = Database::open(&path, &[TABLES]).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

#[test]
fn a_database_with_a_damaged_page_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tests.sqlite");
    let database = open(folder.path());
    for number in 0..2_000 {
        insert(&database, number).unwrap();
    }
    drop(database);
    // Whoever closes last decides whether the log beside the file still covers the page.
    let connection = store::rusqlite::Connection::open(&path).unwrap();
    let log = |row: &store::rusqlite::Row<'_>| row.get::<_, i64>(0);
    assert_eq!(connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], log).unwrap(), 0);
    drop(connection);
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    file.seek(SeekFrom::Start(length - 4096)).unwrap();
    file.write_all(&[0xff; 512]).unwrap();
    drop(file);
    let error = Database::open(&path, &[TABLES]).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
}

#[test]
fn a_folder_that_is_not_there_is_unopenable_by_name() {
    let error = Database::open(Path::new("/absent/tests.sqlite"), &[TABLES]).unwrap_err();
    assert_eq!(error.to_string(), "database /absent/tests.sqlite cannot be opened");
}
