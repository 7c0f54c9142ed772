//! The owner's commands: over the socket while the node runs, in process while it does not.

use std::os::unix::fs::PermissionsExt;

use node::Administration;
use node::administration::{Acceptance, Cancellation, DatasetEdit};
use protocol::Code;

use crate::site::{Scene, addition, example};

#[tokio::test(flavor = "multi_thread")]
async fn the_same_commands_work_with_and_without_a_daemon() {
    let mut scene = Scene::set().await;
    let home = &scene.home;
    let socket = std::fs::metadata(home.folder.socket()).unwrap();
    assert_eq!(socket.permissions().mode() & 0o777, 0o600);
    let daemon = Administration::open(&home.folder, home.config.clone()).await.unwrap();
    let status = daemon.status().await.unwrap();
    assert!(status.is_running && status.is_connected);
    let with = (daemon.dataset_list().await.unwrap(), daemon.plan_list().await.unwrap());

    let request = scene.request();
    assert_eq!(scene.run(&request).await.code, Code::Ok);
    let shown = daemon.round_show(request.round_id).await.unwrap();
    assert_eq!(*shown.request, request);
    assert_eq!(shown.reply.unwrap().code, Code::Ok);
    let outcome = daemon.round_cancel(request.round_id).await;
    assert!(matches!(outcome, Ok(Cancellation::TooLate | Cancellation::Asked)));

    scene.node.stop().await;
    let home = &scene.home;
    assert!(!home.folder.socket().exists());
    let alone = Administration::open(&home.folder, home.config.clone()).await.unwrap();
    assert!(!alone.status().await.unwrap().is_running);
    let mut without = (alone.dataset_list().await.unwrap(), alone.plan_list().await.unwrap());
    assert_eq!(without.1[0].grants[0].used, 1, "the round counts");
    without.1[0].grants[0].used = 0;
    assert_eq!(with, without);
    assert_eq!(alone.round_list(10).await.unwrap().len(), 1);
    assert_eq!(alone.round_cancel(request.round_id).await.unwrap(), Cancellation::TooLate);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_told_and_accepted() {
    let mut scene = Scene::set().await;
    let home = &scene.home;
    let owner = Administration::open(&home.folder, home.config.clone()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table.csv");
    let table = std::fs::read_to_string(example("north.csv")).unwrap();
    std::fs::write(&path, &table).unwrap();
    owner.dataset_add(addition("table", &path)).await.unwrap();
    assert!(!owner.dataset_check("table", Acceptance::Look).await.unwrap().is_changed);
    let fewer: Vec<&str> = table.lines().take(100).collect();
    std::fs::write(&path, fewer.join("\n")).unwrap();
    let check = owner.dataset_check("table", Acceptance::Look).await.unwrap();
    assert!(check.is_changed && !check.is_updated);
    assert_eq!((check.rows_before, check.rows), (202, 99));
    assert!(owner.dataset_check("table", Acceptance::Update).await.unwrap().is_updated);
    assert!(!owner.dataset_check("table", Acceptance::Look).await.unwrap().is_changed);
    let edit = DatasetEdit { tags: Some(vec!["small".to_owned()]), ..DatasetEdit::default() };
    assert_eq!(owner.dataset_edit("table", edit).await.unwrap().tags, ["small"]);
    scene.node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_is_wrong_and_what_to_do() {
    let mut scene = Scene::set().await;
    let home = &scene.home;
    let owner = Administration::open(&home.folder, home.config.clone()).await.unwrap();
    let error = owner.dataset_show("nothing").await.unwrap_err();
    assert_eq!(error.to_string(), "dataset \"nothing\" is not registered");
    assert_eq!(error.hint(), Some("list them with `wardround node dataset list`"));
    let mut wordy = addition("wordy", &example("north.csv"));
    wordy.description = "x".repeat(5_000);
    let error = owner.dataset_add(wordy).await.unwrap_err();
    assert!(error.to_string().contains("dataset.description"), "{error}");
    let wordy = DatasetEdit { description: Some("x".repeat(5_000)), ..DatasetEdit::default() };
    assert!(owner.dataset_edit("breast-cancer", wordy).await.is_err());
    let again = addition("breast-cancer", &example("north.csv"));
    let error = owner.dataset_add(again).await.unwrap_err();
    assert_eq!(error.to_string(), "dataset \"breast-cancer\" is registered already");
    let error = owner.plan_approve("0123456789", "").await.unwrap_err();
    assert_eq!(error.to_string(), "plan \"0123456789\" is not known here");
    let unknown = "0197f3a0-0000-7000-8000-0000000000ff".parse().unwrap();
    assert!(owner.round_show(unknown).await.is_err());
    assert!(owner.round_cancel(unknown).await.is_err());
    scene.node.stop().await;
}
