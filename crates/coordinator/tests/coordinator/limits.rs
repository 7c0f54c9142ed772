//! The coordinator's own limits, and that who meets one harms nobody else.

use protocol::Code;
use protocol::wire::v1::coordinator_message::Message as FromCoordinator;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use protocol::wire::{MAXIMUM_COLUMNS, MAXIMUM_MESSAGE, refusal, v1};
use tokio::sync::mpsc;
use tonic::Streaming;
use transport::{Address, Caller, dial};

use crate::federation::Federation;
use crate::support::{PATIENCE, Script, message, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_experiment_more_than_may_be_open_is_refused_until_another_ends() {
    let mut world = Federation::start_with(Vec::new(), |config| config.open_experiments = 1).await;
    let first = world.submit(1).await;
    let second = world.researcher.prepare(1).await;
    let refused = world.researcher.calls.submit_experiment(second.clone()).await.unwrap_err();
    assert_eq!(refusal::code(&refused), Some(Code::CoordinatorBusy), "{refused}");
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);

    let cancel = v1::CancelExperimentRequest { experiment_id: first };
    world.researcher.calls.cancel_experiment(cancel).await.unwrap();
    world.researcher.submit(second).await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_connection_more_than_may_be_is_closed_and_the_others_stay() {
    // Its nodes and researchers hold lines: one of the node, one of the researcher.
    let mut world =
        Federation::start_with(vec![Script::new("east")], |config| config.connections = 2).await;
    let caller = Caller::Researcher("bob".parse().unwrap());
    let ask = || async {
        let line = dial(&world.server.address(), &caller, Default::default()).await.ok()?;
        let mut calls = v1::researcher_service_client::ResearcherServiceClient::new(line);
        calls.status(v1::StatusRequest {}).await.ok()
    };
    assert!(ask().await.is_none(), "there is no place");
    let status = world.researcher.calls.status(v1::StatusRequest {}).await.unwrap().into_inner();
    assert_eq!(status.connected_nodes, 1, "the others are served");

    world.nodes.clear();
    let served = async { while ask().await.is_none() {} };
    soon("the place of the node that left", served).await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_too_long_is_not_read() {
    let mut world = Federation::start(Vec::new()).await;
    let request = world.researcher.prepare(1).await;
    let long = v1::SubmitExperimentRequest {
        experiment_toml: " ".repeat(MAXIMUM_MESSAGE + 1),
        ..request.clone()
    };
    let refused = world.researcher.calls.submit_experiment(long).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused}");
    world.researcher.submit(request).await;
    world.server.stop().await;
}

/// A node that has greeted, and what it is told.
struct Attending {
    out: mpsc::Sender<v1::NodeMessage>,
    incoming: Streaming<v1::CoordinatorMessage>,
}

impl Attending {
    async fn start(address: &Address, datasets: Vec<v1::DatasetSummary>) -> Self {
        let caller = Caller::Node("north".parse().unwrap());
        let line = dial(address, &caller, Default::default()).await.unwrap();
        let (out, outgoing) = mpsc::channel(4);
        let greeting = v1::Greeting {
            wire_version: protocol::WIRE_VERSION,
            node_id: "north".to_owned(),
            datasets,
            ..Default::default()
        };
        out.send(message(FromNode::Greeting(greeting))).await.unwrap();
        let stream = tokio_stream::wrappers::ReceiverStream::new(outgoing);
        let incoming = NodeServiceClient::new(line).attend(stream).await.unwrap().into_inner();
        Self { out, incoming }
    }

    async fn next(&mut self) -> Option<FromCoordinator> {
        let next = tokio::time::timeout(PATIENCE, self.incoming.message()).await;
        next.expect("an answer comes").ok().flatten().and_then(|answer| answer.message)
    }
}

fn wide(columns: usize) -> v1::DatasetSummary {
    let column = v1::Column { name: "c".to_owned(), ..Default::default() };
    v1::DatasetSummary {
        dataset_id: uuid::Uuid::from_u128(3).to_string(),
        name: "wide".to_owned(),
        kind: "tabular".to_owned(),
        columns: vec![column; columns],
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_with_too_many_columns_is_refused_and_others_go_on() {
    let mut world = Federation::start(vec![Script::new("east"), Script::new("southern")]).await;
    let id = world.submit(2).await;

    let address = world.server.address();
    let mut greeting = Attending::start(&address, vec![wide(MAXIMUM_COLUMNS + 1)]).await;
    let Some(FromCoordinator::Refusal(refusal)) = greeting.next().await else {
        panic!("is refused");
    };
    assert_eq!(refusal.code, "request.invalid");
    assert!(refusal.message.contains("dataset.columns"), "{}", refusal.message);

    // One that was welcome ends its own stream by it, and by a message that is too long.
    let long = v1::DatasetSummary { description: " ".repeat(MAXIMUM_MESSAGE), ..wide(1) };
    for datasets in [vec![wide(MAXIMUM_COLUMNS + 1)], vec![long]] {
        let mut node = Attending::start(&address, Vec::new()).await;
        assert!(matches!(node.next().await, Some(FromCoordinator::Welcome(_))));
        let changed = v1::DatasetsChanged { datasets };
        node.out.send(message(FromNode::DatasetsChanged(changed))).await.unwrap();
        assert_eq!(node.next().await, None, "the stream ends");
        let left = async {
            let list = || v1::ListNodesRequest {};
            loop {
                let nodes = world.researcher.calls.list_nodes(list()).await.unwrap().into_inner();
                if nodes.nodes.iter().any(|node| node.node_id == "north" && !node.connected) {
                    return nodes.nodes;
                }
            }
        };
        let nodes = soon("the end of the stream", left).await;
        let connected: Vec<_> =
            nodes.iter().filter(|node| node.connected).map(|node| node.node_id.as_str()).collect();
        assert_eq!(connected, ["east", "southern"]);
    }
    world.researcher.watch_until(&id, "completed").await;
    world.server.stop().await;
}
