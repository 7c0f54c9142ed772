//! A coordinator and nodes in this process, whose clock stands still until the test moves it.
//!
//! They are the daemons that the program starts, on real sockets and real files; only the time is the test's.
//! Researchers and owners use the program as everywhere.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use federation::{Coordinator, Experiment, ExperimentFile, Hospital, PATIENCE, Program, share};
use node::{Folder, Node, Notice};
use protocol::{Phase, Timestamp};
use store::{Clock, ManualClock};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A federation under one clock; dropping it ends everything.
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    pub(crate) coordinator: Coordinator,
    pub(crate) nodes: Vec<RunningNode>,
    program: Program,
    server: Option<Served>,
    runtime: Runtime,
    folder: TempDir,
}

/// A node that runs in this process.
pub(crate) struct RunningNode {
    pub(crate) hospital: Hospital,
    notices: broadcast::Receiver<Notice>,
    _running: JoinHandle<()>,
}

struct Served {
    listen: std::net::SocketAddr,
    shutdown: CancellationToken,
    running: JoinHandle<()>,
}

impl World {
    /// A coordinator without nodes.
    pub(crate) fn start() -> Self {
        let folder = TempDir::with_prefix("wardround-clock-").expect("a folder can be made");
        let runtime = Runtime::new().expect("threads can be started");
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
        let now = u64::try_from(since.as_millis()).expect("it is before the end of time");
        let clock = ManualClock::at(Timestamp::from_milliseconds(now));
        let program = Program::find(&folder.path().join("home"));
        let home = folder.path().join("coordinator");
        std::fs::create_dir(&home).expect("the folder is new");
        let server = serve(&runtime, &home, "127.0.0.1:0".parse().expect("is an address"), &clock);
        let url = format!("http://{}", server.listen);
        let coordinator = Coordinator::elsewhere(&program, &home, &url);
        Self {
            clock,
            coordinator,
            nodes: Vec::new(),
            program,
            server: Some(server),
            runtime,
            folder,
        }
    }

    /// Adds a node with its share; where it is to stand still, it does so in its first round there, for ever.
    pub(crate) fn add(&mut self, name: &str, stands_still_at: Option<Phase>) {
        let url = self.coordinator.url();
        let hospital = Hospital::create(&self.program, self.folder.path(), name, &url);
        hospital.add_table(&share(name), &[]);
        let folder = Folder::new(hospital.home());
        let mut config = node::Config::load(&folder, []).expect("it was written by the program");
        config.pause_at = stands_still_at;
        config.shutdown_seconds = 1;
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        // What a daemon opens it opens inside its runtime.
        let _entered = self.runtime.enter();
        let (node, handle) = Node::open_with_clock(&folder, config, clock).expect("the node opens");
        let notices = handle.notices();
        let running = self.runtime.spawn(async move {
            let ended = node.run(std::future::pending()).await;
            ended.expect("a node runs until it is asked to end");
        });
        let mut node = RunningNode { hospital, notices, _running: running };
        node.notice(&self.runtime, |notice| *notice == Notice::Connected);
        self.nodes.push(node);
    }

    pub(crate) fn submit_approved(&self, file: &ExperimentFile) -> Experiment {
        let experiment = self.submit(file);
        experiment.await_event("an answer from every owner", |event| {
            event["event"] == "waiting-for-approval"
                && event["unanswered"].as_array().is_some_and(Vec::is_empty)
        });
        for node in &self.nodes {
            node.hospital.approve(&experiment.plan);
        }
        experiment
    }

    pub(crate) fn submit(&self, file: &ExperimentFile) -> Experiment {
        file.submit(&self.folder.path().join("experiment"), &self.coordinator)
    }

    pub(crate) fn advance(&self, time: Duration) {
        self.clock.advance(time);
    }

    /// Ends the coordinator and serves the same folder at the same address again; waits until all nodes are back.
    pub(crate) fn restart_coordinator(&mut self) {
        let Served { listen, shutdown, running } = self.server.take().expect("it is served");
        shutdown.cancel();
        self.runtime.block_on(running).expect("it ends without a panic");
        self.server = Some(serve(&self.runtime, self.coordinator.home(), listen, &self.clock));
        for node in &mut self.nodes {
            node.notice(&self.runtime, |notice| *notice == Notice::Connected);
        }
    }

    /// Waits until a node tells something.
    pub(crate) fn await_notice(&mut self, node: usize, fits: impl Fn(&Notice) -> bool) -> Notice {
        self.nodes[node].notice(&self.runtime, fits)
    }
}

impl RunningNode {
    fn notice(&mut self, runtime: &Runtime, fits: impl Fn(&Notice) -> bool) -> Notice {
        let heard = async {
            loop {
                let notice = self.notices.recv().await.expect("the node runs");
                if fits(&notice) {
                    return notice;
                }
            }
        };
        let heard = runtime.block_on(async { tokio::time::timeout(PATIENCE, heard).await });
        heard.unwrap_or_else(|_| panic!("{} does not tell it", self.hospital.name()))
    }
}

fn serve(
    runtime: &Runtime,
    folder: &Path,
    listen: std::net::SocketAddr,
    clock: &ManualClock,
) -> Served {
    let config = coordinator::Config {
        listen,
        insecure_loopback: true,
        shutdown_seconds: 1,
        ..coordinator::Config::new(folder)
    };
    let clock: Arc<dyn Clock> = Arc::new(clock.clone());
    let opening = coordinator::Coordinator::open_with(config, clock);
    let coordinator = runtime.block_on(opening).expect("the coordinator opens");
    let listen = coordinator.handle().socket_address();
    let shutdown = CancellationToken::new();
    let ended = shutdown.clone().cancelled_owned();
    let running = runtime.spawn(async move {
        coordinator.run(ended).await.expect("it runs until it is asked to end");
    });
    Served { listen, shutdown, running }
}
