//! Real processes, killed in the middle: nothing that was acknowledged may be lost.
//!
//! Each test runs itself again as a child process, told by an environment variable which folder to
//! work in. The child prints what it was told is safe; the parent kills it at some line and looks.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{ArtifactReference, Digest, Timestamp};
use store::artifact::{ArtifactStore, Begun, Settings};
use store::folder_lock::{FolderLock, Holder};
use store::journal::{self, Error, Event, Journal};
use store::{Database, Durability, SystemClock};

const FOLDER: &str = "STORE_CRASH_TEST_FOLDER";

fn child_folder() -> Option<PathBuf> {
    env::var_os(FOLDER).map(PathBuf::from)
}

fn start_child(test: &str, folder: &Path) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Reads the child's acknowledgements, kills it after `count` of them and returns all it printed.
fn kill_after(mut child: Child, count: usize) -> Vec<u64> {
    let output = BufReader::new(child.stdout.take().unwrap());
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut acknowledged = Vec::new();
    for line in output.lines() {
        let Ok(line) = line else { break };
        let Some(number) = line.strip_prefix("safe ") else { continue };
        acknowledged.push(number.parse().unwrap());
        if acknowledged.len() == count {
            child.kill().unwrap();
        }
        assert!(Instant::now() < deadline, "the child is too slow");
    }
    child.wait().unwrap();
    assert!(acknowledged.len() >= count, "the child ended by itself");
    acknowledged
}

fn acknowledge(number: u64) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "\nsafe {number}").unwrap();
    output.flush().unwrap();
}

fn open_journal(folder: &Path) -> Database {
    Database::open(&folder.join("journal.sqlite"), &[journal::MIGRATIONS]).unwrap()
}

#[test]
fn acknowledged_events_survive_a_kill_in_the_middle_of_appending() {
    if let Some(folder) = child_folder() {
        append_for_ever(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    let mut written = 0;
    for count in [1, 7, 40, 3, 90] {
        let test = "acknowledged_events_survive_a_kill_in_the_middle_of_appending";
        let acknowledged = kill_after(start_child(test, folder.path()), count);
        let database = open_journal(folder.path());
        let entries = database
            .read_blocking(|transaction| Journal::within(transaction).replay("machine", 1))
            .unwrap();
        let found: Vec<u64> = entries.iter().map(|entry| entry.read().unwrap()).collect();
        let highest = *acknowledged.iter().max().unwrap();
        assert!(found.len() as u64 >= highest, "{} events of {highest}", found.len());
        assert!(highest > written);
        // Without a gap and in order: each group is there whole or not at all.
        assert_eq!(found, (1..=found.len() as u64).collect::<Vec<_>>());
        assert_eq!(found.len() % 2, 0, "half a transaction is there");
        written = highest;
    }
}

/// Four writers append pairs of events, each pair in one transaction.
fn append_for_ever(folder: &Path) -> ! {
    let database = open_journal(folder);
    let writers: Vec<_> = (0..4)
        .map(|_| {
            let database = database.clone();
            std::thread::spawn(move || {
                loop {
                    let last = database.write_blocking(append_pair).unwrap();
                    acknowledge(last);
                }
            })
        })
        .collect();
    for writer in writers {
        let ended: Result<(), _> = writer.join();
        ended.unwrap();
    }
    unreachable!("the parent kills this process");
}

fn append_pair(transaction: &store::Transaction<'_>) -> Result<u64, Error> {
    let journal = Journal::within(transaction);
    let last = journal.last_sequence("machine")?;
    for number in [last + 1, last + 2] {
        let event = Event::new(Timestamp::from_milliseconds(number), "counted", &number)?;
        journal.append("machine", &[event])?;
    }
    Ok(last + 2)
}

#[test]
fn acknowledged_artifacts_survive_a_kill_and_half_ones_go_on() {
    if let Some(folder) = child_folder() {
        ingest_for_ever(&folder);
    }
    let folder = tempfile::tempdir().unwrap();
    for count in [1, 5, 20] {
        let test = "acknowledged_artifacts_survive_a_kill_and_half_ones_go_on";
        let acknowledged = kill_after(start_child(test, folder.path()), count);
        let store = open_artifacts(folder.path());
        for number in acknowledged {
            let artifact = store.open_verified(&reference(number).digest).unwrap();
            assert_eq!(std::fs::read(artifact.path).unwrap(), bytes(number));
        }
        for reference in store.list() {
            store.open_verified(&reference.digest).unwrap();
        }
    }
}

fn ingest_for_ever(folder: &Path) -> ! {
    let store = open_artifacts(folder);
    let mut number = 0;
    loop {
        number += 1;
        let bytes = bytes(number);
        let durability = if number % 2 == 0 { Durability::PowerLoss } else { Durability::Process };
        if let Begun::Partial(mut partial) =
            store.begin("child", &reference(number), durability).unwrap()
        {
            // The first pieces may be there from the process before.
            let start = usize::try_from(partial.offset()).unwrap();
            for piece in bytes[start..].chunks(10_000) {
                partial.append(piece).unwrap();
            }
            partial.commit(durability).unwrap();
        }
        acknowledge(number);
    }
}

fn open_artifacts(folder: &Path) -> ArtifactStore {
    ArtifactStore::open(folder, Settings::default(), Arc::new(SystemClock)).unwrap()
}

fn bytes(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(30_000)
}

fn reference(number: u64) -> ArtifactReference {
    let bytes = bytes(number);
    ArtifactReference::new(Digest::of(&bytes), bytes.len() as u64)
}

#[test]
fn a_killed_holder_frees_its_folder_and_was_named_while_it_lived() {
    if let Some(folder) = child_folder() {
        let _lock = FolderLock::take(&folder).unwrap();
        acknowledge(1);
        std::thread::sleep(Duration::from_secs(600));
    }
    let folder = tempfile::tempdir().unwrap();
    let test = "a_killed_holder_frees_its_folder_and_was_named_while_it_lived";
    let mut child = start_child(test, folder.path());
    let output = BufReader::new(child.stdout.take().unwrap());
    assert!(output.lines().map_while(Result::ok).any(|line| line == "safe 1"));
    let holder = FolderLock::holder(folder.path()).unwrap();
    assert_eq!(holder, Some(Holder { process: Some(child.id()) }));
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(FolderLock::holder(folder.path()).unwrap(), None);
    FolderLock::take(folder.path()).unwrap();
}
