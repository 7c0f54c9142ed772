//! Callers who ask for what is not theirs or do not follow the protocol.

use coordinator::Config;
use protocol::wire::v1::coordinator_message::Message as FromCoordinator;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use protocol::wire::{refusal, v1};
use protocol::{ArtifactReference, Code, Digest};
use tokio::sync::mpsc;
use transport::artifact::client;
use transport::{ArtifactClient, Caller, dial};

use crate::support::{
    Researcher, Script, ScriptedNode, Server, connected, message, nodes, soon, test_config,
};

/// Makes a good submission a bad one.
type Spoil = fn(&mut v1::SubmitExperimentRequest);

/// What a node is told that greets like this.
async fn greet(server: &Server, caller: &str, greeting: v1::Greeting) -> Option<v1::Refusal> {
    let caller = Caller::Node(caller.parse().unwrap());
    let line = dial(&server.address(), &caller, Default::default()).await.unwrap();
    let (out, outgoing) = mpsc::channel(4);
    out.send(message(FromNode::Greeting(greeting))).await.unwrap();
    let stream = tokio_stream::wrappers::ReceiverStream::new(outgoing);
    let answered = NodeServiceClient::new(line).attend(stream).await.unwrap();
    let first = soon("the answer", answered.into_inner().message()).await.unwrap().unwrap();
    match first.message.unwrap() {
        FromCoordinator::Refusal(refusal) => Some(refusal),
        _ => None,
    }
}

fn greeting(name: &str) -> v1::Greeting {
    v1::Greeting {
        wire_version: protocol::WIRE_VERSION,
        node_id: name.to_owned(),
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_greeting_that_breaks_a_rule_is_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let _node = ScriptedNode::start(&server.address(), Script::new("east"), scratch.path());
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut researcher, 1).await;

    let old = v1::Greeting { wire_version: 0, ..greeting("north") };
    let refusal = greet(&server, "north", old).await.expect("is refused");
    assert_eq!(refusal.code, "wire.version");
    assert!(refusal.message.contains("the other side is the older one"), "{}", refusal.message);

    let refusal = greet(&server, "north", greeting("east")).await.expect("is refused");
    assert_eq!(
        (refusal.code.as_str(), refusal.message.as_str()),
        ("request.invalid", "field \"greeting.node_id\": is the caller's name")
    );

    let refusal = greet(&server, "east", greeting("east")).await.expect("is refused");
    assert_eq!(refusal.code, "node.name_taken");

    let many = v1::Greeting { open_rounds: vec![String::new(); 10_001], ..greeting("north") };
    let refusal = greet(&server, "north", many).await.expect("is refused");
    assert_eq!(refusal.code, "request.invalid");
    assert!(greet(&server, "north", greeting("north")).await.is_none(), "a good one is welcome");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_does_not_fit_is_refused_and_stops_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let config = Config {
        largest_artifact_bytes: u64::MAX,
        waiting_bytes_per_caller: u64::MAX,
        ..test_config(folder.path())
    };
    let server = Server::start_with(config).await;
    let mut ada = Researcher::dial(&server.address(), scratch.path()).await;
    let first = ada.prepare(1).await;
    let first = ada.submit(first).await;

    let mallory = Researcher::dial_as("mallory", &server.address(), scratch.path()).await;
    let path = scratch.path().join("huge");
    // No disk of this size is there; the file itself is a hole.
    let size = 8 << 40;
    std::fs::File::create(&path).unwrap().set_len(size).unwrap();
    let huge = ArtifactReference::new(Digest::of(b"huge"), size);
    let refused = mallory.files.upload(&huge, &path).await.unwrap_err().to_string();
    assert!(refused.contains("disk is full"), "{refused}");

    // Whatever the refusal set off is done before this is accepted.
    let second = ada.prepare(1).await;
    ada.submit(second).await;
    assert_eq!(ada.show(&first).await.summary.unwrap().state, "selecting");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_or_touches_what_is_another_ones() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let _nodes = nodes(&server.address(), scratch.path());
    let mut ada = Researcher::dial(&server.address(), scratch.path()).await;
    connected(&mut ada, 3).await;
    let request = ada.prepare(1).await;
    let id = ada.submit(request.clone()).await;
    ada.watch_until(&id, "completed").await;

    let mut bob = Researcher::dial_as("bob", &server.address(), scratch.path()).await;
    let list = bob.calls.list_experiments(v1::ListExperimentsRequest {}).await.unwrap();
    assert!(list.into_inner().experiments.is_empty());
    let show = v1::ShowExperimentRequest { experiment_id: id.clone() };
    let refused = bob.calls.show_experiment(show).await.unwrap_err();
    assert!(refused.message().starts_with("experiment.unknown: "), "{refused}");
    let cancel = v1::CancelExperimentRequest { experiment_id: id.clone() };
    assert!(bob.calls.cancel_experiment(cancel).await.is_err());
    let taken = bob.calls.submit_experiment(request.clone()).await.unwrap_err();
    assert_eq!(refusal::code(&taken), Some(Code::ExperimentInvalid));
    assert!(taken.message().starts_with("experiment.invalid: "), "{taken}");
    let model: protocol::ArtifactReference = ada.show(&id).await.model.unwrap().try_into().unwrap();
    assert!(bob.files.download(&model, &scratch.path().join("stolen")).await.is_err());

    // A node without an open request may neither read nor bring anything.
    let caller = Caller::Node("east".parse().unwrap());
    let files = ArtifactClient::new(server.address(), caller, client::Settings::default());
    assert!(files.download(&model, &scratch.path().join("stolen")).await.is_err());
    let path = scratch.path().join("unasked");
    std::fs::write(&path, b"unasked").unwrap();
    let unasked = protocol::ArtifactReference::new(protocol::Digest::of(b"unasked"), 7);
    assert!(files.upload(&unasked, &path).await.is_err());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submission_that_breaks_a_rule_names_field_and_rule() {
    let folder = tempfile::tempdir().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path()).await;
    let mut researcher = Researcher::dial(&server.address(), scratch.path()).await;
    let good = researcher.prepare(1).await;
    let cases: [(&str, Spoil); 27] = [
        ("field \"rounds\": is at least 1", |request| request.rounds = 0),
        ("field \"rounds\": is at most 100000", |request| request.rounds = 100_001),
        ("field \"round_retries\": is at most", |request| request.round_retries = 101),
        ("field \"round_deadline\"", |request| request.round_deadline_milliseconds = 0),
        ("field \"min_nodes\": is at least 1", |request| request.min_nodes = 0),
        ("field \"tags\": or nodes are named", |request| request.tags.clear()),
        ("field \"tags\": has at most", |request| request.tags = vec!["t".to_owned(); 65]),
        ("field \"nodes\": has at most", |request| request.nodes = vec!["n".to_owned(); 10_001]),
        ("field \"nodes\"", |request| request.nodes = vec!["two words".to_owned()]),
        ("field \"columns\": has at most", |request| {
            request.columns = vec!["c".to_owned(); protocol::wire::MAXIMUM_COLUMNS + 1];
        }),
        ("field \"strategy\"", |request| request.strategy = "guess".to_owned()),
        ("field \"weights\"", |request| request.weights = "age".to_owned()),
        ("field \"start\"", |request| request.start = "soon".to_owned()),
        ("field \"runtime\"", |request| request.runtime = "java".to_owned()),
        ("field \"training_args\"", |request| request.training_args_json = "[1]".to_owned()),
        ("field \"model_args\"", |request| request.model_args_json = "{".to_owned()),
        ("field \"model_args\"", |request| {
            request.model_args_json = " ".repeat(protocol::wire::MAXIMUM_JSON + 1);
        }),
        ("field \"experiment_toml\": has at most", |request| {
            request.experiment_toml = " ".repeat(protocol::wire::MAXIMUM_JSON + 1);
        }),
        ("field \"name\"", |request| request.name = "two\nlines".to_owned()),
        ("field \"name\"", |request| request.name = "  ".to_owned()),
        ("field \"name\": has at most 256 bytes", |request| request.name = "n".repeat(257)),
        ("field \"class\": has at most 256 bytes", |request| request.class = "c".repeat(257)),
        ("field \"experiment_id\"", |request| request.experiment_id = "1".to_owned()),
        ("field \"plan\": is named", |request| request.plan = None),
        ("field \"parameters\": is named", |request| request.parameters = None),
        ("digest", |request| request.plan.as_mut().unwrap().digest = "sha256:0".to_owned()),
        ("digest", |request| request.parameters.as_mut().unwrap().digest.clear()),
    ];
    for (expected, spoil) in cases {
        let mut request = good.clone();
        spoil(&mut request);
        let refused = researcher.calls.submit_experiment(request).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{expected}: {refused}");
        assert_eq!(refusal::code(&refused), Some(Code::ExperimentInvalid), "{expected}: {refused}");
        assert!(refused.message().contains(expected), "{expected}: {refused}");
    }
    let old = v1::SubmitExperimentRequest { wire_version: 9, ..good };
    let refused = researcher.calls.submit_experiment(old).await.unwrap_err();
    assert!(refused.message().contains("this program is the older one"), "{refused}");
    server.stop().await;
}
