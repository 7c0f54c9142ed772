//! A coordinator, its scripted nodes and a researcher, together.

use coordinator::Config;
use protocol::wire::v1;
use serde_json::Value;

use crate::support::{NODES, Researcher, Script, ScriptedNode, Server, connected, test_config};

pub(crate) struct Federation {
    pub(crate) folder: tempfile::TempDir,
    _scratch: tempfile::TempDir,
    pub(crate) server: Server,
    pub(crate) nodes: Vec<ScriptedNode>,
    pub(crate) researcher: Researcher,
}

impl Federation {
    pub(crate) async fn start(scripts: Vec<Script>) -> Self {
        Self::start_with(scripts, |_| {}).await
    }

    /// With the usual nodes, changed by `script`.
    pub(crate) async fn usual(script: impl Fn(&mut Script)) -> Self {
        let mut scripts: Vec<Script> = NODES.into_iter().map(Script::new).collect();
        scripts.iter_mut().for_each(script);
        Self::start(scripts).await
    }

    pub(crate) async fn start_with(scripts: Vec<Script>, change: fn(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let mut config = test_config(folder.path());
        change(&mut config);
        let server = Server::start_with(config).await;
        let count = scripts.len();
        let start = |script| ScriptedNode::start(&server.address(), script, scratch.path());
        let nodes = scripts.into_iter().map(start).collect();
        let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
        connected(&mut researcher, count).await;
        Self { folder, _scratch: scratch, server, nodes, researcher }
    }

    /// Stops the coordinator and starts it again on the same folder and port, configured otherwise.
    pub(crate) async fn restart_with(self, change: fn(&mut Config)) -> Self {
        let Self { folder, _scratch, server, nodes, researcher: _ } = self;
        let listen = server.handle.socket_address();
        server.stop().await;
        let mut config = Config { listen, ..test_config(folder.path()) };
        change(&mut config);
        let server = Server::start_with(config).await;
        let mut researcher = Researcher::dial(&server.address(), _scratch.path()).await;
        connected(&mut researcher, nodes.len()).await;
        Self { folder, _scratch, server, nodes, researcher }
    }

    /// Submits an experiment of so many rounds.
    pub(crate) async fn submit(&mut self, rounds: u32) -> String {
        let request = self.researcher.prepare(rounds).await;
        self.researcher.submit(request).await
    }

    /// The nodes whose updates a round used, and the codes of the others.
    pub(crate) async fn used(&mut self, id: &str, round: usize) -> Vec<(String, bool)> {
        let history = self.researcher.history(id).await;
        let sites = history.rounds[round].sites.iter();
        sites.map(|site| (site.node.to_string(), site.used)).collect()
    }
}

pub(crate) fn fields(event: &v1::ExperimentEvent) -> Value {
    serde_json::from_str(&event.fields_json).unwrap()
}

pub(crate) fn last(events: &[v1::ExperimentEvent]) -> Value {
    fields(events.last().unwrap())
}
