//! A reply that comes after its round: kept as a record, not used, and its file does not stay.

use std::path::{Path, PathBuf};

use protocol::wire::v1;
use store::rusqlite::Connection;
use tokio::sync::watch;

use crate::federation::Federation;
use crate::support::{PATIENCE, Script, soon};

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_comes_after_its_round_is_stored_and_its_update_deleted() {
    let (turns, _) = watch::channel(0_usize);
    // It brings its update in time, and says so when nobody waits any more.
    let last = Script { turns: Some((turns.clone(), |_| 1)), ..Script::new("southern") };
    let mut world = Federation::start(vec![Script::new("east"), Script::new("north"), last]).await;
    let request = world.researcher.prepare(1).await;
    let request = v1::SubmitExperimentRequest { round_deadline_milliseconds: 1_500, ..request };
    let id = world.researcher.submit(request).await;
    world.researcher.watch_until(&id, "completed").await;
    assert_eq!(world.used(&id, 1).await.iter().filter(|(_, used)| *used).count(), 2);
    let artifacts = world.folder.path().join("artifacts/sha256");
    let model = world.researcher.model(&id).await;

    turns.send_modify(|turn| *turn += 1);
    let acknowledged = async {
        while !world.nodes[2].acknowledged().contains(&"round.closed".to_owned()) {
            tokio::task::yield_now().await;
        }
    };
    soon("the answer to the late reply", acknowledged).await;
    let database = Connection::open(world.folder.path().join("coordinator.sqlite")).unwrap();
    database.busy_timeout(PATIENCE).unwrap();
    let query = "SELECT late, used, update_digest FROM replies
                 WHERE node = 'southern' AND round = 1";
    let row = |row: &store::rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let stored: (bool, bool, String) = database.query_row(query, [], row).unwrap();
    assert_eq!((stored.0, stored.1), (true, false));
    let digest = stored.2.trim_start_matches("sha256:").to_owned();
    let deleted = async {
        let is_its = |path: &PathBuf| path.to_string_lossy().replace('/', "").contains(&digest);
        while files(&artifacts).iter().any(is_its) {
            tokio::task::yield_now().await;
        }
    };
    soon("the end of the late update's file", deleted).await;
    assert_eq!(world.researcher.model(&id).await, model);
    world.server.stop().await;
}
