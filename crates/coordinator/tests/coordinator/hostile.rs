//! Nodes that say what no node of ours says.

use protocol::wire::v1;
use protocol::wire::v1::coordinator_message::Message as FromCoordinator;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use tokio::sync::{mpsc, watch};
use transport::{Address, Caller, dial};

use crate::support::{
    NODES, Researcher, Script, ScriptedNode, Server, Work, connected, message, soon,
};

/// The codes that a node's replies are acknowledged with, all over one line, where none of them can be read.
async fn babble(address: Address, heard: mpsc::UnboundedSender<String>) {
    let caller = Caller::Node("north".parse().unwrap());
    let line = dial(&address, &caller, Default::default()).await.unwrap();
    let (out, outgoing) = mpsc::channel(64);
    let greeting = v1::Greeting {
        wire_version: protocol::WIRE_VERSION,
        node_id: "north".to_owned(),
        datasets: vec![v1::DatasetSummary {
            dataset_id: "00000000-0000-0000-0000-000000000009".to_owned(),
            name: "records".to_owned(),
            tags: vec!["trial".to_owned()],
            kind: "tabular".to_owned(),
            ..Default::default()
        }],
        ..Default::default()
    };
    out.send(message(FromNode::Greeting(greeting))).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let mut incoming = NodeServiceClient::new(line).attend(stream).await.unwrap().into_inner();
    while let Ok(Some(received)) = incoming.message().await {
        let answers = match received.message {
            Some(FromCoordinator::AskApproval(question)) => {
                vec![FromNode::PlanAnswer(v1::PlanAnswer {
                    experiment_id: question.experiment_id,
                    dataset_id: question.dataset_id,
                    plan_digest: question.plan.unwrap().digest,
                    code: "ok".to_owned(),
                    status: String::new(),
                    note: String::new(),
                })]
            }
            Some(FromCoordinator::TrainRequest(request)) => {
                let scalar = v1::Scalar { round_id: "none".to_owned(), ..Default::default() };
                let reply = v1::TrainReply {
                    round_id: request.round_id,
                    code: "no code of ours".to_owned(),
                    ..Default::default()
                };
                let scalars = v1::Scalars { scalars: vec![scalar] };
                vec![FromNode::Scalars(scalars), FromNode::TrainReply(reply)]
            }
            Some(FromCoordinator::ReplyReceived(received)) => {
                heard.send(received.code).unwrap();
                Vec::new()
            }
            _ => Vec::new(),
        };
        for answer in answers {
            out.send(message(answer)).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_cannot_be_read_is_a_failure_and_is_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let _east = ScriptedNode::start(&server.address(), Script::new("east"), scratch.path());
    let (heard, mut acknowledged) = mpsc::unbounded_channel();
    let north = tokio::spawn(babble(server.address(), heard));
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 2).await;
    let request = researcher.prepare(1).await;
    let id = researcher.submit(request).await;
    let events = researcher.watch_until(&id, "paused").await;
    let told: serde_json::Value =
        serde_json::from_str(&events.last().unwrap().fields_json).unwrap();
    assert_eq!(told["message"], "round 1 has 1 of 2 needed nodes; north/records: node.internal");
    for _attempt in 0..3 {
        let code = soon("the acknowledgement", acknowledged.recv()).await;
        assert_eq!(code.as_deref(), Some("ok"));
    }
    assert!(!north.is_finished(), "the line still stands");
    north.abort();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_claims_too_many_samples_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let start = |name| {
        let mut script = Script::new(name);
        if name == "north" {
            script.sample_count = u64::MAX;
        }
        ScriptedNode::start(&server.address(), script, scratch.path())
    };
    let _nodes = NODES.map(start);
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 3).await;
    let request = researcher.prepare(1).await;
    let id = researcher.submit(request).await;
    researcher.watch_until(&id, "completed").await;
    let history = researcher.history(&id).await;
    let sites = history.rounds[1].sites.iter();
    let used: Vec<&str> = sites.filter(|site| site.used).map(|site| site.node.as_str()).collect();
    assert_eq!(used, ["east", "southern"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_names_an_update_of_another_has_brought_none() {
    // North replies once east has brought the file and said so.
    let turns = watch::Sender::new(0);
    let mut east = Script::new("east");
    east.work = Work::Filled(1.0);
    east.turns = Some((turns.clone(), |_| 0));
    let mut north = Script::new("north");
    north.work = Work::Claimed(1.0);
    north.turns = Some((turns, |_| 1));
    pauses_without_north([east, north]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_inside_a_reply_that_are_not_its_update_are_none() {
    let mut north = Script::new("north");
    north.carries = Some(|mut bytes| {
        *bytes.last_mut().unwrap() ^= 1;
        bytes
    });
    let mut east = Script::new("east");
    east.carries = Some(|bytes| bytes);
    pauses_without_north([east, north]).await;
}

/// One round of two nodes, both needed; it is to pause because north's update did not come.
async fn pauses_without_north(scripts: [Script; 2]) {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let _nodes =
        scripts.map(|script| ScriptedNode::start(&server.address(), script, scratch.path()));
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 2).await;
    let request = researcher.prepare(1).await;
    let id = researcher.submit(request).await;
    let events = researcher.watch_until(&id, "paused").await;
    let told: serde_json::Value =
        serde_json::from_str(&events.last().unwrap().fields_json).unwrap();
    let expected = "round 1 has 1 of 2 needed nodes; north/records: results.upload_failed";
    assert_eq!(told["message"], expected);
    server.stop().await;
}
