//! A client that keeps to no rule, against a coordinator that runs as a process: what identity promises, rule by rule.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use federation::{ExperimentFile, Federation, PATIENCE};
use identity::{Application, Authority, Credentials, Time};
use protocol::wire::v1::coordinator_message::Message as ToNode;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use protocol::wire::v1::researcher_service_client::ResearcherServiceClient;
use protocol::wire::{refusal, v1};
use protocol::{Code, Digest, Timestamp};
use store::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_stream::StreamExt;
use transport::artifact::client;
use transport::{Address, ArtifactClient, Line, dial};

/// Somebody with the wire's own client and no scruples.
struct Attacker {
    federation: Federation,
    runtime: tokio::runtime::Runtime,
}

impl Attacker {
    fn of(federation: Federation) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        Self { federation, runtime: runtime.expect("a runtime starts") }
    }

    fn address(&self) -> Address {
        self.federation.coordinator.url().parse().expect("it is an address")
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.federation.folder().join(name)
    }

    fn coordinator_log(&self) -> String {
        std::fs::read_to_string(self.federation.coordinator.log()).expect("it has a log")
    }

    fn run<T>(&self, what: &str, work: impl Future<Output = T>) -> T {
        let ended = async { tokio::time::timeout(PATIENCE, work).await };
        self.runtime.block_on(ended).unwrap_or_else(|_| panic!("no end of {what}"))
    }

    fn token(&self, role: &str, name: &str) -> identity::Token {
        let token = self.federation.coordinator.token(role, name, &[]);
        token.parse().expect("the program prints a token")
    }

    /// Joins as anybody may who was given a token; by the wire, without the program.
    fn join(&self, role: &str, name: &str) -> Arc<Credentials> {
        let token = self.token(role, name);
        let joined = self.enrol(&token, name);
        Arc::new(joined.unwrap_or_else(|error| panic!("{name} may join: {error}")))
    }

    fn enrol(
        &self,
        token: &identity::Token,
        folder: &str,
    ) -> Result<Credentials, transport::enrolment::Error> {
        let folder = self.folder(folder);
        let enrolment = transport::enrol(&folder, token, now(), dial::Settings::default());
        self.run("an enrolment", enrolment)
    }

    async fn line(&self, credentials: &Arc<Credentials>) -> Result<Line, String> {
        let address = self.address();
        let dialled = dial(&address, Arc::clone(credentials), dial::Settings::default()).await;
        dialled.map_err(|error| chain(&error))
    }

    /// The simplest call that any member may make.
    fn status(&self, credentials: &Arc<Credentials>) -> Result<(), String> {
        self.run("a call", async {
            let line = self.line(credentials).await?;
            let asked = ResearcherServiceClient::new(line).status(v1::StatusRequest {}).await;
            asked.map(|_| ()).map_err(|status| told(&status))
        })
    }

    /// Attends as a node of this name; gives the coordinator's first message.
    fn attend(&self, credentials: &Arc<Credentials>, name: &str) -> Result<ToNode, String> {
        self.run("a stream", async {
            let mut answers = self.open_stream(credentials, name).await?;
            let first = answers.next().await.ok_or("it ended without a word")?;
            let first = first.map_err(|status| told(&status))?;
            first.message.ok_or_else(|| "an empty message".to_owned())
        })
    }

    async fn open_stream(
        &self,
        credentials: &Arc<Credentials>,
        name: &str,
    ) -> Result<tonic::Streaming<v1::CoordinatorMessage>, String> {
        let line = self.line(credentials).await?;
        let greeting = v1::Greeting {
            wire_version: protocol::WIRE_VERSION,
            node_id: name.to_owned(),
            software: "an attacker".to_owned(),
            ..Default::default()
        };
        let greeting = v1::NodeMessage { message: Some(FromNode::Greeting(greeting)) };
        let messages = tokio_stream::iter([greeting]).chain(tokio_stream::pending());
        let attended = NodeServiceClient::new(line).attend(messages).await;
        Ok(attended.map_err(|status| told(&status))?.into_inner())
    }

    /// Speaks TLS without a certificate, and says one request whose body never comes.
    fn ask_as_nobody(&self, request: &str) -> String {
        let name = format!("nobody-{}", Digest::of(request.as_bytes()).short());
        let token = self.token("node", &name);
        let application = Application::begin(&self.folder(&name), &token);
        let application = application.expect("a folder can be made");
        let config = application.client_config(identity::Protocol::Http1, now());
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config.expect("TLS is set up")));
        self.run("an answer", async {
            let stream = tokio::net::TcpStream::connect(self.address().authority());
            let stream = stream.await.expect("the coordinator listens");
            let name = "127.0.0.1".try_into().expect("it is a name");
            let mut stream = connector.connect(name, stream).await.expect("a stranger may ask");
            let head = format!("{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
            let caller = "wardround-caller: researcher:ada\r\ncontent-length: 1000\r\n\r\n";
            stream.write_all((head + caller).as_bytes()).await.expect("it can be said");
            let mut answer = Vec::new();
            drop(stream.read_to_end(&mut answer).await);
            String::from_utf8_lossy(&answer).into_owned()
        })
    }
}

fn now() -> Time {
    Time::new(|| SystemClock.now())
}

fn told(status: &tonic::Status) -> String {
    match refusal::code(status) {
        Some(code) => code.to_string(),
        None => chain(status),
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

fn refused() -> Result<(), String> {
    Err(Code::IdentityRefused.to_string())
}

/// Copies a member's folder, for somebody who changes one file in the copy.
fn steal(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a member has a folder") {
        let entry = entry.expect("it can be listed");
        let target = to.join(entry.file_name());
        std::fs::copy(entry.path(), target).expect("a file can be copied");
    }
}

#[test]
fn without_a_certificate_no_route_answers_and_no_body_is_awaited() {
    let attacker = Attacker::of(Federation::encrypted());
    let digest = Digest::of(b"parameters");
    for request in [
        format!("GET /artifacts/{digest}"),
        format!("HEAD /artifacts/{digest}"),
        format!("PUT /artifacts/{digest}"),
        "POST /uploads".to_owned(),
        "POST /wardround.v1.NodeService/Attend".to_owned(),
        "POST /wardround.v1.ResearcherService/ListExperiments".to_owned(),
        "POST /wardround.v1.ResearcherService/SubmitExperiment".to_owned(),
        "POST /wardround.v1.WitnessService/Countersign".to_owned(),
        "POST /wardround.v1.EnrolmentService/Enrol/../../wardround.v1.ResearcherService/Status"
            .to_owned(),
    ] {
        let answer = attacker.ask_as_nobody(&request);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{request}: {answer}");
    }
}

#[test]
fn a_certificate_that_has_expired_is_refused() {
    let attacker = Attacker::of(Federation::encrypted());
    let bob = attacker.join("researcher", "bob");
    assert_eq!(attacker.status(&bob), Ok(()));
    // The authority's own signature, for bob's own keys: nothing is wrong but the date.
    let then = SystemClock.now().milliseconds() - 61 * 24 * 60 * 60 * 1000;
    let then = Timestamp::from_milliseconds(then);
    let folder = attacker.federation.coordinator.home().join("authority");
    let authority = Authority::open(&folder, vec![], Time::new(move || then));
    let renewal = bob.renewal().expect("a key can be made");
    let issued = authority.expect("the folder is the coordinator's").issue(&renewal.request());
    let issued = issued.expect("an authority signs what it is given");
    bob.install(renewal, issued.chain).expect("it is bob's");
    attacker.status(&bob).expect_err("it has expired");
    // Whether the alert or the end of the line reaches a caller first is chance; the log has the reason.
    let log = attacker.coordinator_log();
    assert!(log.contains("invalid peer certificate: certificate expired"), "{log}");
}

#[test]
fn a_certificate_of_ones_own_making_is_refused() {
    let attacker = Attacker::of(Federation::encrypted());
    let bob = attacker.join("researcher", "bob");
    let own = attacker.folder("own-authority");
    Authority::create(&own, SystemClock.now()).expect("anybody can make one");
    let own = Authority::open(&own, vec![], now()).expect("it was made");
    let renewal = bob.renewal().expect("a key can be made");
    let issued = own.issue(&renewal.request()).expect("it signs what it is given");
    // It goes into the folder beside the true authority's certificate, by which the coordinator is known.
    let forged = attacker.folder("forged");
    steal(&attacker.folder("bob"), &forged);
    let certificates = |text: &str| -> Vec<String> {
        let blocks = text.split_inclusive("-----END CERTIFICATE-----\n");
        blocks.map(str::to_owned).collect()
    };
    let kept = std::fs::read_to_string(forged.join("tls.pem")).expect("bob has joined");
    let authority = certificates(&kept)[1].clone();
    let key = std::fs::read_to_string(forged.join("next.key")).expect("it was made");
    let leaf = pem::encode_config(
        &pem::Pem::new("CERTIFICATE", issued.chain[0].clone()),
        pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF),
    );
    std::fs::write(forged.join("tls.pem"), key + &leaf + &authority).expect("it is the attacker's");
    let forged = Credentials::open(&forged, now()).expect("it has the form of one");
    attacker.status(&Arc::new(forged)).expect_err("the authority never signed it");
    let log = attacker.coordinator_log();
    assert!(log.contains("invalid peer certificate: UnknownIssuer"), "{log}");
    assert_eq!(attacker.status(&bob), Ok(()), "the member himself is served");
}

#[test]
fn a_member_who_was_revoked_is_refused_and_open_streams_are_cut() {
    let attacker = Attacker::of(Federation::encrypted());
    let (bob, north) = (attacker.join("researcher", "bob"), attacker.join("node", "north"));
    let stream = attacker.run("a stream", attacker.open_stream(&north, "north"));
    let mut stream = stream.expect("north is a member");
    let welcome = attacker.run("a welcome", stream.next()).expect("it is greeted");
    assert!(matches!(welcome.map(|one| one.message), Ok(Some(ToNode::Welcome(_)))));
    attacker.federation.coordinator.operate(&["coordinator", "nodes", "revoke", "north"]);
    let end = attacker.runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(5), async {
            while let Some(Ok(_)) = stream.next().await {}
        })
        .await
    });
    assert_eq!(end, Ok(()), "its stream goes on");
    assert_eq!(attacker.attend(&north, "north").map(|_| ()), refused());
    assert_eq!(attacker.status(&bob), Ok(()));
    attacker.federation.coordinator.operate(&["coordinator", "researchers", "revoke", "bob"]);
    assert_eq!(attacker.status(&bob), refused());
    let address = attacker.address();
    let renewed = transport::renew(&bob, &address, dial::Settings::default());
    assert!(attacker.run("a renewal", renewed).is_err(), "a renewal is a way back in");
}

#[test]
fn a_node_that_takes_anothers_name_is_refused() {
    let mut federation = Federation::encrypted();
    federation.add_hospital("south");
    let attacker = Attacker::of(federation);
    let north = attacker.join("node", "north");
    for name in ["south", "nobody", "../north", ""] {
        match attacker.attend(&north, name) {
            Ok(ToNode::Refusal(refusal)) => assert_eq!(refusal.code, "request.invalid", "{name}"),
            other => panic!("{name:?}: {other:?}"),
        }
    }
    // Nor is it a researcher, nor a researcher a node.
    let error = attacker.run("a list", async {
        let line = attacker.line(&north).await;
        let mut client = ResearcherServiceClient::new(line.expect("north is a member"));
        told(&client.list_experiments(v1::ListExperimentsRequest {}).await.expect_err("refused"))
    });
    assert_eq!(error, Code::PolicyDenied.to_string());
    let bob = attacker.join("researcher", "bob");
    assert_eq!(attacker.attend(&bob, "south").map(|_| ()), Err(Code::PolicyDenied.to_string()));
}

#[test]
fn another_researchers_experiment_is_not_there_by_any_call_or_route() {
    let mut federation = Federation::encrypted();
    for name in ["north", "south", "east"] {
        federation.add_hospital(name);
    }
    let experiment = federation.submit_approved(&ExperimentFile::default());
    let model = experiment.await_model();
    let attacker = Attacker::of(federation);
    let eve = attacker.join("researcher", "eve");
    let id = || experiment.id.clone();
    let answers = attacker.run("the calls", async {
        let line = attacker.line(&eve).await;
        let mut client = ResearcherServiceClient::new(line.expect("eve is a member"));
        let show = v1::ShowExperimentRequest { experiment_id: id() };
        let watch = v1::WatchExperimentRequest { experiment_id: id(), after: 0 };
        let history = v1::ExperimentHistoryRequest { experiment_id: id() };
        let cancel = v1::CancelExperimentRequest { experiment_id: id() };
        let resume = v1::ResumeExperimentRequest { experiment_id: id() };
        [
            client.show_experiment(show).await.map(|_| ()),
            client.watch_experiment(watch).await.map(|_| ()),
            client.experiment_history(history).await.map(|_| ()),
            client.cancel_experiment(cancel).await.map(|_| ()),
            client.resume_experiment(resume).await.map(|_| ()),
        ]
    });
    for answer in answers {
        let status = answer.expect_err("it is ada's");
        assert_eq!(refusal::code(&status), Some(Code::ExperimentUnknown), "{status:?}");
    }
    let model: Digest = model.parse().expect("it is a digest");
    let plan: Digest = experiment.plan.parse().expect("it is a digest");
    let settings = client::Settings { attempts: 1, ..Default::default() };
    let files = ArtifactClient::new(attacker.address(), Arc::clone(&eve), settings);
    for digest in [model, plan, Digest::of(b"there is no such file")] {
        let asked = attacker.run("a file", files.size(&digest));
        let error = chain(&asked.expect_err("it is not eve's"));
        assert!(error.contains("403"), "what is another's and what is not are one: {error}");
    }
}

#[test]
fn a_token_opens_once_and_only_for_whom_it_was_made() {
    let attacker = Attacker::of(Federation::encrypted());
    let token = attacker.token("node", "north");
    let north = Arc::new(attacker.enrol(&token, "north").expect("the token is new"));
    let code = Code::IdentityRefused.to_string();
    for attempt in ["replayed", "replayed again"] {
        let error = attacker.enrol(&token, attempt).expect_err("it is spent");
        assert!(chain(&error).contains(&code), "{error}");
    }
    let token = attacker.token("node", "south");
    let mut other = token.clone();
    other.member = "node:west".parse().expect("it is a member's name");
    let error = attacker.enrol(&other, "west").expect_err("it names another");
    assert!(chain(&error).contains(&code), "{error}");
    other.member = "researcher:south".parse().expect("it is a member's name");
    let error = attacker.enrol(&other, "researcher").expect_err("it is of another role");
    assert!(chain(&error).contains(&code), "{error}");
    attacker.enrol(&token, "south").expect("nobody's failure spends it");
    assert!(attacker.attend(&north, "north").is_ok(), "whoever came first is a member");
}
