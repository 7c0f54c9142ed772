//! A coordinator in this process, with scripted nodes that speak the real stream over loopback.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use coordinator::{Config, Coordinator, Handle};
use futures::StreamExt;
use parameters::{Dtype, Parameters, Tensor};
use protocol::wire::v1;
use protocol::wire::v1::coordinator_message::Message as FromCoordinator;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use protocol::wire::v1::researcher_service_client::ResearcherServiceClient;
use protocol::{
    ArtifactReference, Code, CorrelationId, DatasetId, Digest, ExperimentId, MetricsReport, Mode,
    RoundId, Scalar, Timing, TrainReply, TrainRequest,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use transport::artifact::client;
use transport::{Address, ArtifactClient, Caller, Identity, Line, dial};
use uuid::Uuid;

/// No wait of a test is longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits, but not for ever.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what} does not happen"),
    }
}

/// A running coordinator.
pub(crate) struct Server {
    pub(crate) handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), coordinator::Error>>,
}

impl Server {
    pub(crate) async fn start(folder: &Path) -> Self {
        Self::start_with(test_config(folder)).await
    }

    pub(crate) async fn start_with(config: Config) -> Self {
        Self::run(Coordinator::open(config).await.expect("the coordinator opens"))
    }

    pub(crate) fn run(coordinator: Coordinator) -> Self {
        let handle = coordinator.handle();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(coordinator.run(async {
            let _asked_or_dropped = stopped.await;
        }));
        Self { handle, stop: Some(stop), running }
    }

    pub(crate) fn address(&self) -> Address {
        self.handle.address().clone()
    }

    /// Ends it as SIGTERM does.
    pub(crate) async fn stop(mut self) {
        drop(self.stop.take());
        soon("the shutdown", &mut self.running)
            .await
            .expect("it runs to its end")
            .expect("ends well");
    }

    /// Ends it as `kill -9` does, as far as one process can: nothing more of it runs.
    pub(crate) async fn kill(self) {
        self.running.abort();
        let ended = soon("the abort", self.running).await;
        assert!(ended.is_err_and(|error| error.is_cancelled()));
    }
}

pub(crate) fn test_config(folder: &Path) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        insecure_loopback: true,
        retry_delay_milliseconds: 20,
        silence_seconds: 5,
        shutdown_seconds: 1,
        reserve_bytes: 0,
        ..Config::new(folder)
    }
}

/// How many replies were sent, and which of them is a node's own in each round.
pub(crate) type Turns = (watch::Sender<usize>, fn(u32) -> usize);

/// What a scripted node brings after a round of training.
#[derive(Clone, Copy)]
pub(crate) enum Work {
    /// The parameters it got, each with the node's step added.
    Trained,
    /// The parameters it got, all with this value.
    Filled(f32),
    /// The parameters it got, in double precision and all as large as they can be.
    Enormous,
    /// Parameters with other tensors than it got.
    OtherTensors,
    /// Bytes that are no parameters.
    NoParameters,
    /// Nothing, and it names what another has brought that is [`Work::Filled`].
    Claimed(f32),
}

/// How a scripted node behaves.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) name: &'static str,
    /// What its owner says about the plan; may change.
    pub(crate) approval: watch::Receiver<Code>,
    /// What is added to every parameter in a round of training.
    pub(crate) step: f32,
    pub(crate) sample_count: u64,
    /// What it brings after a round of training.
    pub(crate) work: Work,
    /// The accuracy it measures in a round, of the model the round starts from.
    pub(crate) accuracy: fn(u32) -> f64,
    /// The codes that rounds end with, by round; `ok` where absent.
    pub(crate) ends: BTreeMap<u32, Code>,
    /// Whose turn it is to reply, where the order matters.
    pub(crate) turns: Option<Turns>,
    /// Whether it works; while not, requests are accepted and nothing comes of them.
    pub(crate) works: watch::Receiver<bool>,
    /// What its updates are inside its replies; where nothing is said, they are brought before.
    pub(crate) carries: Option<fn(Vec<u8>) -> Vec<u8>>,
}

impl Script {
    pub(crate) fn new(name: &'static str) -> Self {
        let step = name.bytes().map(f32::from).sum::<f32>() / 1024.0;
        let sample_count = name.len() as u64 * 7;
        Self {
            name,
            approval: watch::channel(Code::Ok).1,
            step,
            sample_count,
            work: Work::Trained,
            accuracy: |round| 1.0 - 0.5 / f64::from(round),
            ends: BTreeMap::new(),
            turns: None,
            works: watch::channel(true).1,
            carries: None,
        }
    }
}

/// What a scripted node keeps over its connections, as a real one keeps its journal.
#[derive(Default)]
struct Memory {
    accepted: BTreeMap<RoundId, TrainRequest>,
    replies: BTreeMap<RoundId, TrainReply>,
    acknowledged: BTreeMap<RoundId, String>,
    carried: BTreeMap<RoundId, Vec<u8>>,
}

/// A node that dials, greets, answers and works until it is dropped.
pub(crate) struct ScriptedNode {
    memory: Arc<Mutex<Memory>>,
    living: JoinHandle<()>,
}

impl Drop for ScriptedNode {
    fn drop(&mut self) {
        self.living.abort();
    }
}

impl ScriptedNode {
    pub(crate) fn start(address: &Address, script: Script, scratch: &Path) -> Self {
        let memory = Arc::new(Mutex::new(Memory::default()));
        let scratch = scratch.join(script.name);
        std::fs::create_dir_all(&scratch).unwrap();
        let life = Life { address: address.clone(), script, memory: Arc::clone(&memory), scratch };
        Self { memory, living: tokio::spawn(life.live()) }
    }

    /// How often each reply was acknowledged, and with which code.
    pub(crate) fn acknowledged(&self) -> Vec<String> {
        self.memory.lock().unwrap().acknowledged.values().cloned().collect()
    }

    pub(crate) fn accepted(&self) -> Vec<TrainRequest> {
        self.memory.lock().unwrap().accepted.values().cloned().collect()
    }
}

struct Life {
    address: Address,
    script: Script,
    memory: Arc<Mutex<Memory>>,
    scratch: PathBuf,
}

impl Life {
    async fn live(mut self) {
        loop {
            // A line that breaks is dialled again: the coordinator may be starting.
            if let Err(error) = self.attend().await {
                tracing::debug!(%error, "line broken");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn caller(&self) -> Caller {
        Caller::Node(self.script.name.parse().unwrap())
    }

    async fn attend(&mut self) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let line = dial(&self.address, &self.caller(), Default::default()).await?;
        let (out, outgoing) = mpsc::channel(256);
        out.send(message(FromNode::Greeting(self.greeting()))).await?;
        let stream = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let mut incoming = NodeServiceClient::new(line).attend(stream).await?.into_inner();
        let mut jobs: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
        let mut approval = self.script.approval.clone();
        approval.mark_unchanged();
        let mut plan: Option<String> = None;
        loop {
            tokio::select! {
                changed = approval.changed() => {
                    if changed.is_err() {
                        // The test keeps no hold on it: nothing will change.
                        approval = Box::leak(Box::new(watch::channel(Code::Ok))).1.clone();
                        continue;
                    }
                    let code = approval.borrow_and_update().to_string();
                    if let Some(plan_digest) = plan.clone() {
                        let decision = v1::PlanDecision { plan_digest, code, note: String::new() };
                        out.send(message(FromNode::PlanDecision(decision))).await?;
                    }
                }
                received = incoming.next() => {
                    let Some(received) = received else { return Ok(()) };
                    match received?.message {
                        Some(FromCoordinator::AskApproval(question)) => {
                            plan = question.plan.as_ref().map(|plan| plan.digest.clone());
                            let answer = self.answer(question).await;
                            out.send(message(FromNode::PlanAnswer(answer))).await?;
                        }
                        Some(other) => self.take(other, &out, &mut jobs),
                        None => {}
                    }
                }
            }
        }
    }

    fn greeting(&self) -> v1::Greeting {
        let memory = self.memory.lock().unwrap();
        let open = memory.accepted.keys().filter(|id| !memory.acknowledged.contains_key(id));
        v1::Greeting {
            wire_version: protocol::WIRE_VERSION,
            node_id: self.script.name.to_owned(),
            software: "scripted".to_owned(),
            datasets: vec![dataset(self.script.name)],
            open_rounds: open.map(RoundId::to_string).collect(),
            paused: false,
        }
    }

    /// Fetches the plan, as an owner would have to before deciding, and says what the owner says.
    async fn answer(&self, question: v1::AskApproval) -> v1::PlanAnswer {
        let plan: ArtifactReference = question.plan.unwrap().try_into().unwrap();
        let fetched = self.files().download(&plan, &self.scratch.join("plan")).await;
        let code = match fetched {
            Ok(()) => *self.script.approval.borrow(),
            Err(_) => Code::PlanUnavailable,
        };
        v1::PlanAnswer {
            experiment_id: question.experiment_id,
            dataset_id: question.dataset_id,
            plan_digest: plan.digest.to_string(),
            code: code.to_string(),
            status: String::new(),
            note: String::new(),
        }
    }

    fn files(&self) -> ArtifactClient {
        ArtifactClient::new(self.address.clone(), self.caller(), client::Settings::default())
    }

    fn take(
        &self,
        received: FromCoordinator,
        out: &mpsc::Sender<v1::NodeMessage>,
        jobs: &mut tokio::task::JoinSet<()>,
    ) {
        match received {
            FromCoordinator::TrainRequest(request) => {
                let request = TrainRequest::try_from(request).expect("a well-formed request");
                self.memory.lock().unwrap().accepted.insert(request.round_id, request.clone());
                self.spawn_job(request, out, jobs);
            }
            FromCoordinator::Welcome(welcome) => {
                let memory = self.memory.lock().unwrap();
                let wanted = welcome.wanted_rounds.iter().map(|id| id.parse::<RoundId>().unwrap());
                let wanted: Vec<_> =
                    wanted.filter_map(|id| memory.accepted.get(&id).cloned()).collect();
                drop(memory);
                for request in wanted {
                    self.spawn_job(request, out, jobs);
                }
            }
            FromCoordinator::ReplyReceived(received) => {
                let round_id = received.round_id.parse().unwrap();
                self.memory.lock().unwrap().acknowledged.insert(round_id, received.code);
            }
            FromCoordinator::CancelRound(_)
            | FromCoordinator::Refusal(_)
            | FromCoordinator::AskApproval(_) => {}
        }
    }

    fn spawn_job(
        &self,
        request: TrainRequest,
        out: &mpsc::Sender<v1::NodeMessage>,
        jobs: &mut tokio::task::JoinSet<()>,
    ) {
        let job = Job {
            script: self.script.clone(),
            memory: Arc::clone(&self.memory),
            files: self.files(),
            scratch: self.scratch.clone(),
            out: out.clone(),
        };
        jobs.spawn(job.run(request));
    }
}

struct Job {
    script: Script,
    memory: Arc<Mutex<Memory>>,
    files: ArtifactClient,
    scratch: PathBuf,
    out: mpsc::Sender<v1::NodeMessage>,
}

impl Job {
    async fn run(mut self, request: TrainRequest) {
        if self.script.works.wait_for(|works| *works).await.is_err() && !*self.script.works.borrow()
        {
            return;
        }
        let stored = self.memory.lock().unwrap().replies.get(&request.round_id).cloned();
        let reply = match stored {
            Some(reply) => reply,
            None => self.execute(&request).await,
        };
        if let Some((turns, position)) = &self.script.turns {
            let mine = position(request.round);
            let mut turn = turns.subscribe();
            turn.wait_for(|turn| *turn >= mine).await.unwrap();
        }
        self.memory.lock().unwrap().replies.insert(reply.round_id, reply.clone());
        // The line may have broken; the reply is sent again when it stands.
        let mut reply = v1::TrainReply::from(reply);
        let carried = self.memory.lock().unwrap().carried.get(&request.round_id).cloned();
        reply.update_bytes = carried.unwrap_or_default();
        let _sent = self.out.send(message(FromNode::TrainReply(reply))).await;
        if let Some((turns, _)) = &self.script.turns {
            turns.send_modify(|turn| *turn += 1);
        }
    }

    async fn execute(&self, request: &TrainRequest) -> TrainReply {
        let code = self.script.ends.get(&request.round).copied().unwrap_or(Code::Ok);
        let mut reply = reply(&self.script, request, code);
        if code.is_ok() && request.mode == Mode::Train {
            let progress = v1::RoundProgress {
                round_id: request.round_id.to_string(),
                stage: "started".to_owned(),
                queued_before: 0,
            };
            let _sent = self.out.send(message(FromNode::RoundProgress(progress))).await;
            let scalars = v1::Scalars { scalars: vec![scalar(request).into()] };
            let _sent = self.out.send(message(FromNode::Scalars(scalars.clone()))).await;
            let _sent_twice = self.out.send(message(FromNode::Scalars(scalars))).await;
            reply.update = self.bring(request).await;
            if reply.update.is_none() {
                reply.code = Code::ResultsUploadFailed;
                reply.metrics_before = None;
            }
        }
        reply
    }

    /// Brings the update; none where the coordinator does not take it.
    async fn bring(&self, request: &TrainRequest) -> Option<ArtifactReference> {
        let received = self.scratch.join(format!("{}.received", request.round_id));
        self.files.download(&request.parameters, &received).await.expect("parameters come");
        let model = Parameters::from_bytes(&std::fs::read(&received).unwrap()).unwrap();
        let bytes = self.script.train(&model);
        let path = self.scratch.join(format!("{}.update", request.round_id));
        std::fs::write(&path, &bytes).unwrap();
        let reference = ArtifactReference::new(Digest::of(&bytes), bytes.len() as u64);
        if matches!(self.script.work, Work::Claimed(_)) {
            return Some(reference);
        }
        if let Some(carries) = self.script.carries {
            self.memory.lock().unwrap().carried.insert(request.round_id, carries(bytes));
            return Some(reference);
        }
        self.files.upload(&reference, &path).await.ok().map(|()| reference)
    }
}

impl Script {
    /// Adds the node's step to every parameter: training whose result is known. Or what else the script says.
    fn train(&self, model: &Parameters) -> Vec<u8> {
        let mut update = Parameters::new();
        for (name, tensor) in model.iter() {
            if matches!(self.work, Work::Enormous) {
                let values = vec![f64::MAX; tensor.elements()];
                let tensor = Tensor::from_f64(Dtype::F64, tensor.shape(), &values).unwrap();
                update.insert(name, tensor).unwrap();
                continue;
            }
            let values = tensor.to_f32().unwrap();
            let values: Vec<f32> = match self.work {
                Work::Trained => values.iter().map(|value| value + self.step).collect(),
                Work::Filled(value) | Work::Claimed(value) => vec![value; values.len()],
                Work::OtherTensors | Work::Enormous => vec![0.0; values.len()],
                Work::NoParameters => return b"these are no parameters".to_vec(),
            };
            let name = match self.work {
                Work::OtherTensors => format!("other.{name}"),
                _ => name.to_owned(),
            };
            update.insert(&name, Tensor::from_f32(tensor.shape(), &values).unwrap()).unwrap();
        }
        update.to_bytes(None).unwrap()
    }
}

pub(crate) fn scalar(request: &TrainRequest) -> Scalar {
    Scalar {
        round_id: request.round_id,
        attempt: 1,
        sequence: 1,
        train: true,
        test: false,
        test_on_local_updates: false,
        test_on_global_updates: false,
        metrics: vec![("Loss".to_owned(), 1.0 / f64::from(request.round))],
        epoch: Some(1),
        iteration: 1,
        total_samples: 10,
        batch_samples: 10,
        num_batches: 1,
        num_samples_trained: 10,
    }
}

fn reply(script: &Script, request: &TrainRequest, code: Code) -> TrainReply {
    let report = MetricsReport {
        metrics: vec![("ACCURACY".to_owned(), (script.accuracy)(request.round))],
        validation_count: 10,
        sums: None,
    };
    TrainReply {
        round_id: request.round_id,
        experiment_id: request.experiment_id,
        round: request.round,
        node_id: script.name.parse().unwrap(),
        researcher_id: request.researcher_id.clone(),
        dataset_id: request.dataset_id,
        code,
        correlation_id: CorrelationId::from_uuid(Uuid::from_u128(1)),
        detail: None,
        warnings: Vec::new(),
        timing: Timing::default(),
        update: None,
        sample_count: script.sample_count,
        metrics_before: code.is_ok().then_some(report),
        metrics_after: None,
        optimizer_args: Default::default(),
        auxiliary_state: None,
        state_id: None,
    }
}

pub(crate) fn dataset(node: &str) -> v1::DatasetSummary {
    v1::DatasetSummary {
        dataset_id: DatasetId::from_uuid(Uuid::from_u128(9)).to_string(),
        name: "records".to_owned(),
        tags: vec!["trial".to_owned(), node.to_owned()],
        description: String::new(),
        kind: "tabular".to_owned(),
        columns: Vec::new(),
        row_count: Some(100),
        parts: Vec::new(),
        loading_plan: String::new(),
    }
}

pub(crate) fn message(message: FromNode) -> v1::NodeMessage {
    v1::NodeMessage { message: Some(message) }
}

/// A researcher's line to the coordinator.
pub(crate) struct Researcher {
    pub(crate) calls: ResearcherServiceClient<Line>,
    pub(crate) files: ArtifactClient,
    scratch: PathBuf,
}

impl Researcher {
    pub(crate) async fn dial(address: &Address, scratch: &Path) -> Self {
        Self::dial_as("ada", address, scratch).await
    }

    pub(crate) async fn dial_as(name: &str, address: &Address, scratch: &Path) -> Self {
        let caller = Caller::Researcher(name.parse().unwrap());
        Self::dial_with(caller.into(), address, scratch).await
    }

    pub(crate) async fn dial_with(identity: Identity, address: &Address, scratch: &Path) -> Self {
        let line = dial(address, &identity, Default::default()).await.expect("the line stands");
        let files = ArtifactClient::new(address.clone(), identity, client::Settings::default());
        Self { calls: ResearcherServiceClient::new(line), files, scratch: scratch.to_owned() }
    }

    /// Brings a file and names it.
    pub(crate) async fn bring(&self, bytes: &[u8]) -> ArtifactReference {
        self.try_bring(bytes).await.expect("the file is taken")
    }

    pub(crate) async fn try_bring(&self, bytes: &[u8]) -> Result<ArtifactReference, client::Error> {
        let reference = ArtifactReference::new(Digest::of(bytes), bytes.len() as u64);
        let path = self.scratch.join(reference.digest.hexadecimal());
        std::fs::write(&path, bytes).unwrap();
        self.files.upload(&reference, &path).await.map(|()| reference)
    }

    /// A submission over every node, with its files brought.
    pub(crate) async fn prepare(&self, rounds: u32) -> v1::SubmitExperimentRequest {
        let plan = self.bring(b"{\"format\":\"wardround-plan/1\"}").await;
        let parameters = self.bring(&model().to_bytes(None).unwrap()).await;
        v1::SubmitExperimentRequest {
            wire_version: protocol::WIRE_VERSION,
            name: "trial".to_owned(),
            tags: vec!["trial".to_owned()],
            plan: Some(plan.into()),
            runtime: "native".to_owned(),
            parameters: Some(parameters.into()),
            rounds,
            seed: 42,
            min_nodes: 2,
            round_deadline_milliseconds: 30_000,
            start: "all".to_owned(),
            round_retries: 2,
            weights: "samples".to_owned(),
            strategy: "fed_avg".to_owned(),
            training_args_json: "{\"epochs\":1,\"test_ratio\":0.2,\"test_on_global_updates\":true}"
                .to_owned(),
            experiment_id: ExperimentId::from_uuid(Uuid::now_v7()).to_string(),
            ..Default::default()
        }
    }

    pub(crate) async fn submit(&mut self, request: v1::SubmitExperimentRequest) -> String {
        self.calls.submit_experiment(request).await.expect("is accepted").into_inner().experiment_id
    }

    /// Watches from the start until an event of this name.
    pub(crate) async fn watch_until(&mut self, id: &str, name: &str) -> Vec<v1::ExperimentEvent> {
        self.watch_until_one(id, name, |_| true).await
    }

    /// The events up to the first of this name that also fits.
    pub(crate) async fn watch_until_one(
        &mut self,
        id: &str,
        name: &str,
        fits: impl Fn(&v1::ExperimentEvent) -> bool,
    ) -> Vec<v1::ExperimentEvent> {
        let request = v1::WatchExperimentRequest { experiment_id: id.to_owned(), after: 0 };
        let mut events = self.calls.watch_experiment(request).await.unwrap().into_inner();
        let mut seen = Vec::new();
        let watching = async {
            while let Some(event) = events.message().await.expect("the stream holds") {
                let last = event.name == name && fits(&event);
                seen.push(event);
                if last {
                    return true;
                }
            }
            false
        };
        let found = tokio::time::timeout(PATIENCE, watching).await.unwrap_or(false);
        let names: Vec<_> = seen.iter().map(|event| (&event.name, &event.fields_json)).collect();
        assert!(found, "no event \"{name}\" among {names:#?}");
        seen
    }

    pub(crate) async fn show(&mut self, id: &str) -> v1::ShowExperimentResponse {
        let request = v1::ShowExperimentRequest { experiment_id: id.to_owned() };
        self.calls.show_experiment(request).await.unwrap().into_inner()
    }

    pub(crate) async fn history(&mut self, id: &str) -> protocol::history::History {
        let request = v1::ExperimentHistoryRequest { experiment_id: id.to_owned() };
        let answer = self.calls.experiment_history(request).await.unwrap().into_inner();
        serde_json::from_str(&answer.history_json).unwrap()
    }

    /// The digest of the newest model.
    pub(crate) async fn model(&mut self, id: &str) -> String {
        self.show(id).await.model.expect("there is a model").digest
    }
}

/// The model that every test starts from.
pub(crate) fn model() -> Parameters {
    let mut model = Parameters::new();
    let weights: Vec<f32> = (0..30_u8).map(|index| f32::from(index) / 7.0).collect();
    model.insert("layers.0.weight", Tensor::from_f32(&[30, 1], &weights).unwrap()).unwrap();
    model.insert("layers.0.bias", Tensor::from_f32(&[1], &[0.25]).unwrap()).unwrap();
    model
}

/// The nodes of the usual federation: with different sample counts.
pub(crate) const NODES: [&str; 3] = ["east", "north", "southern"];

/// Starts the usual federation.
pub(crate) fn nodes(address: &Address, scratch: &Path) -> Vec<ScriptedNode> {
    let start = |name: &&'static str| ScriptedNode::start(address, Script::new(name), scratch);
    NODES.iter().map(start).collect()
}

/// Waits until so many nodes are connected.
pub(crate) async fn connected(researcher: &mut Researcher, count: usize) {
    let all = async {
        loop {
            let listed = researcher.calls.list_nodes(v1::ListNodesRequest {}).await.unwrap();
            let nodes = listed.into_inner().nodes;
            if nodes.iter().filter(|node| node.connected).count() >= count {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    soon("the connection of every node", all).await;
}
