//! A hospital for tests: a folder, the example's data of one hospital, its plan, and a node that runs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use node::administration::DatasetAddition;
use node::{Config, Folder, Handle, Node, Notice};
use protocol::{ArtifactReference, DatasetId, Mode, RoundId, RuntimeKind, TrainRequest};
use serde_json::{Map, Value, json};
use store::{Clock, SystemClock};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use training_plan::Bundle;
use transport::Address;

use crate::coordinator::Coordinator;

/// A node's folder, whether the node runs or not.
pub(crate) struct Home {
    pub(crate) folder: Folder,
    pub(crate) config: Config,
    _directory: tempfile::TempDir,
}

/// A node that runs.
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) notices: broadcast::Receiver<Notice>,
    shutdown: CancellationToken,
    task: JoinHandle<()>,
}

/// The files of an experiment at its coordinator.
pub(crate) struct Experiment {
    pub(crate) bundle: Bundle,
    pub(crate) plan: ArtifactReference,
    pub(crate) parameters: ArtifactReference,
    pub(crate) columns: Vec<String>,
}

impl Home {
    pub(crate) fn new(coordinator: &Address) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let folder = Folder::new(directory.path());
        node::init(&folder, &"north".parse().unwrap(), coordinator).unwrap();
        let mut config = Config::load(&folder, []).unwrap();
        config.shutdown_seconds = 1;
        Self { folder, config, _directory: directory }
    }

    pub(crate) fn start(&self) -> Running {
        self.start_at(Arc::new(SystemClock))
    }

    /// Starts the node with a clock of the test's.
    pub(crate) fn start_at(&self, clock: Arc<dyn Clock>) -> Running {
        let config = self.config.clone();
        let (node, handle) = Node::open_with_clock(&self.folder, config, clock).unwrap();
        let shutdown = CancellationToken::new();
        let ended = shutdown.clone().cancelled_owned();
        let notices = handle.notices();
        let task = tokio::spawn(async move { node.run(ended).await.unwrap() });
        Running { handle, notices, shutdown, task }
    }
}

impl Running {
    /// Registers the example's data of the hospital "north".
    pub(crate) async fn add_data(&self) -> DatasetId {
        let addition = addition("breast-cancer", &example("north.csv"));
        self.handle.administration().dataset_add(addition).await.unwrap().dataset_id
    }

    /// Ends in an orderly way.
    pub(crate) async fn stop(&mut self) {
        self.shutdown.cancel();
        (&mut self.task).await.unwrap();
    }

    /// Ends like a process that is killed: nothing more runs, nothing more is written.
    pub(crate) async fn kill(&mut self) {
        self.task.abort();
        drop((&mut self.task).await);
    }

    pub(crate) async fn notice(&mut self, fits: impl Fn(&Notice) -> bool) -> Notice {
        let waiting = async {
            loop {
                let notice = self.notices.recv().await.unwrap();
                if fits(&notice) {
                    return notice;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(60), waiting).await.expect("it happens in time")
    }
}

impl Experiment {
    /// Publishes the example's logistic plan and its first parameters.
    pub(crate) fn publish(coordinator: &Coordinator) -> Self {
        Self::publish_plan(coordinator, &std::fs::read_to_string(example("logistic.toml")).unwrap())
    }

    pub(crate) fn publish_plan(coordinator: &Coordinator, plan: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read_to_string(example(name));
        let bundle = Bundle::native(plan, read).unwrap();
        let columns = columns();
        let path = folder.path().join("parameters.safetensors");
        runtime::initial_parameters(&bundle, &columns, 42, &path).unwrap();
        let parameters = coordinator.publish(&std::fs::read(path).unwrap());
        let plan = coordinator.publish(bundle.bytes());
        Self { bundle, plan, parameters, columns }
    }

    pub(crate) async fn approve(&self, node: &Running) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plan.json");
        std::fs::write(&path, self.bundle.bytes()).unwrap();
        let known = node.handle.administration().plan_register(&path).await.unwrap();
        assert_eq!(known.plan, self.plan);
    }

    pub(crate) fn request(&self, dataset_id: DatasetId) -> TrainRequest {
        TrainRequest {
            round_id: RoundId::from_uuid(uuid::Uuid::now_v7()),
            experiment_id: "0197f3a0-0000-7000-8000-000000000002".parse().unwrap(),
            round: 1,
            researcher_id: "ada".parse().unwrap(),
            dataset_id,
            mode: Mode::Train,
            model_args: Map::new(),
            training_args: training_args(&[]),
            seed: 42,
            plan: self.plan.clone(),
            runtime: RuntimeKind::Native,
            class: String::new(),
            columns: self.columns.clone(),
            parameters: self.parameters.clone(),
            aggregator_args: Map::new(),
            auxiliary_state: None,
            previous_state: None,
            time_left: Duration::from_secs(120),
            data_loading_plan: None,
        }
    }
}

/// A node that is connected, has data and an approved plan.
pub(crate) struct Scene {
    pub(crate) coordinator: Coordinator,
    pub(crate) home: Home,
    pub(crate) node: Running,
    pub(crate) experiment: Experiment,
    pub(crate) dataset_id: DatasetId,
}

impl Scene {
    pub(crate) async fn set() -> Self {
        Self::set_with(|_| {}).await
    }

    pub(crate) async fn set_with(change: impl FnOnce(&mut Config)) -> Self {
        let mut coordinator = Coordinator::start().await;
        let mut home = Home::new(&coordinator.address);
        change(&mut home.config);
        let mut node = home.start();
        coordinator.greeting().await;
        node.notice(|notice| *notice == Notice::Connected).await;
        let dataset_id = node.add_data().await;
        let experiment = Experiment::publish(&coordinator);
        experiment.approve(&node).await;
        Self { coordinator, home, node, experiment, dataset_id }
    }

    pub(crate) fn request(&self) -> TrainRequest {
        self.experiment.request(self.dataset_id)
    }

    /// Sends a request and waits for its reply.
    pub(crate) async fn run(&mut self, request: &TrainRequest) -> protocol::TrainReply {
        self.coordinator.request(request);
        // After a restart the replies that were not acknowledged come again.
        self.coordinator.reply_to(request).await
    }
}

pub(crate) fn addition(name: &str, path: &Path) -> DatasetAddition {
    DatasetAddition {
        name: name.parse().unwrap(),
        path: path.to_owned(),
        tags: vec!["breast-cancer".to_owned()],
        description: "a share of the example's table".to_owned(),
        dataset: dataset::Description::default(),
        loading_plan: None,
        minimum_level: None,
    }
}

/// The example's training arguments, with some of them changed.
pub(crate) fn training_args(changes: &[(&str, Value)]) -> Map<String, Value> {
    let mut arguments: BTreeMap<String, Value> = BTreeMap::from([
        ("epochs".to_owned(), json!(1)),
        ("test_ratio".to_owned(), json!(0.2)),
        ("test_on_global_updates".to_owned(), json!(true)),
        ("loader_args".to_owned(), json!({ "batch_size": 32 })),
        ("optimizer_args".to_owned(), json!({ "lr": 0.1 })),
    ]);
    arguments.extend(changes.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    arguments.into_iter().collect()
}

pub(crate) fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer").join(name)
}

fn columns() -> Vec<String> {
    let table = std::fs::read_to_string(example("north.csv")).unwrap();
    let header = table.lines().next().unwrap();
    let mut columns: Vec<String> =
        header.split(',').filter(|name| *name != "diagnosis").map(str::to_owned).collect();
    columns.sort();
    columns
}
