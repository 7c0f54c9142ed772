//! Joining, and who is answered afterwards.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use coordinator::administration::{Answer, MemberRow, Request, ask};
use coordinator::{Config, Coordinator};
use futures::StreamExt;
use identity::token::{Secret, Token};
use identity::{Application, Credentials, Protocol, Time};
use protocol::wire::v1::enrolment_service_client::EnrolmentServiceClient;
use protocol::wire::v1::node_message::Message as FromNode;
use protocol::wire::v1::node_service_client::NodeServiceClient;
use protocol::wire::v1::researcher_service_client::ResearcherServiceClient;
use protocol::wire::{refusal, v1};
use protocol::{ArtifactReference, Code, Digest, Timestamp};
use store::{Clock, ManualClock, SystemClock};
use tonic::transport::{Channel, Endpoint};
use transport::artifact::client;
use transport::{Address, ArtifactClient, Identity, dial, enrol, enrolment, renew};

use crate::support::{Researcher, Server, soon, test_config};

/// A coordinator that serves by certificates, with members' folders beside it.
struct Guarded {
    server: Server,
    folder: tempfile::TempDir,
    clock: ManualClock,
}

impl Guarded {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::at(SystemClock.now());
        Self::start_in(folder, clock).await
    }

    async fn start_in(folder: tempfile::TempDir, clock: ManualClock) -> Self {
        let home = folder.path().join("coordinator");
        if !home.exists() {
            coordinator::init(&home, None).unwrap();
        }
        let config = Config { insecure_loopback: false, ..test_config(&home) };
        let opened = Coordinator::open_with(config, Arc::new(clock.clone())).await.unwrap();
        let server = Server::run(opened);
        Self { server, folder, clock }
    }

    async fn restart(self) -> Self {
        let Self { server, folder, clock } = self;
        server.stop().await;
        Self::start_in(folder, clock).await
    }

    fn home(&self) -> PathBuf {
        self.folder.path().join("coordinator")
    }

    fn time(&self) -> Time {
        let clock = self.clock.clone();
        Time::new(move || -> Timestamp { clock.now() })
    }

    fn address(&self) -> Address {
        self.server.address()
    }

    async fn ask(&self, request: &Request) -> Result<Answer, String> {
        let asked = soon("the answer", ask(&self.home(), [], request)).await;
        asked.map_err(|error| error.to_string())
    }

    async fn invite(&self, member: &str, replaces: bool) -> Result<Token, String> {
        let member = member.to_owned();
        let request = Request::Invite { member, seconds: 24 * 60 * 60, replaces };
        match self.ask(&request).await? {
            Answer::Invited { token, .. } => Ok(token.parse().unwrap()),
            other => panic!("{other:?}"),
        }
    }

    async fn try_enrol(&self, name: &str, token: &Token) -> Result<Arc<Credentials>, String> {
        let folder = self.folder.path().join(name);
        let joined = enrol(&folder, token, self.time(), dial::Settings::default());
        let joined = soon("the enrolment", joined).await;
        joined.map(Arc::new).map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            format!("{error}{}", cause.unwrap_or_default())
        })
    }

    async fn join(&self, member: &str) -> Arc<Credentials> {
        let token = self.invite(member, false).await.unwrap();
        self.try_enrol(member, &token).await.unwrap()
    }

    async fn members(&self, role: &str) -> (Vec<MemberRow>, u64) {
        match self.ask(&Request::Members { role: role.to_owned() }).await.unwrap() {
            Answer::Members { members, refusals } => (members, refusals),
            other => panic!("{other:?}"),
        }
    }

    async fn researcher(
        &self,
        credentials: &Arc<Credentials>,
    ) -> ResearcherServiceClient<transport::Line> {
        let line = dial(&self.address(), Arc::clone(credentials), Default::default()).await;
        ResearcherServiceClient::new(line.unwrap())
    }

    async fn status(&self, credentials: &Arc<Credentials>) -> Result<(), Option<Code>> {
        let mut client = self.researcher(credentials).await;
        let asked = soon("the status", client.status(v1::StatusRequest {})).await;
        asked.map(|_| ()).map_err(|status| refusal::code(&status))
    }

    /// Whoever writes requests by hand, and pins the authority as a token says.
    async fn stranger(&self, token: &Token) -> EnrolmentServiceClient<Channel> {
        let folder = self.folder.path().join("stranger");
        let application = Application::begin(&folder, token).unwrap();
        let config = application.client_config(Protocol::Http2, self.time()).unwrap();
        EnrolmentServiceClient::new(raw_channel(&self.address(), config).await)
    }
}

async fn raw_channel(address: &Address, config: rustls::ClientConfig) -> Channel {
    let target = address.authority();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let connect = tower::service_fn(move |_| {
        let (connector, target) = (connector.clone(), target.clone());
        async move {
            let stream = tokio::net::TcpStream::connect(target).await?;
            let name = "127.0.0.1".try_into().unwrap();
            let stream = connector.connect(name, stream).await?;
            Ok::<_, std::io::Error>(hyper_util::rt::TokioIo::new(stream))
        }
    });
    let endpoint = Endpoint::from_static("http://coordinator");
    endpoint.connect_with_connector(connect).await.unwrap()
}

fn refused() -> String {
    format!(
        "the coordinator refuses: {}: {}",
        Code::IdentityRefused,
        Code::IdentityRefused.sentence()
    )
}

#[tokio::test]
async fn a_member_joins_with_a_token_and_is_listed_with_its_words() {
    let guarded = Guarded::start().await;
    let north = guarded.join("node:north").await;
    assert_eq!(guarded.status(&north).await, Ok(()));
    let (members, _) = guarded.members("node").await;
    let [row] = &members[..] else { panic!("{members:?}") };
    assert_eq!(row.name, "north");
    assert_eq!(row.fingerprint, north.identity().fingerprint().to_string());
    assert_eq!(row.certificate_expires_at, north.expires_at().milliseconds());
    assert_eq!(guarded.members("researcher").await.0, []);
    let guarded = guarded.restart().await;
    assert_eq!(guarded.status(&north).await, Ok(()), "it is remembered");
    assert_eq!(guarded.members("node").await.0, members);
    guarded.server.stop().await;
}

#[tokio::test]
async fn a_token_is_good_once_for_one_identity_which_may_ask_again() {
    let guarded = Guarded::start().await;
    let token = guarded.invite("node:north", false).await.unwrap();
    let north = guarded.try_enrol("north", &token).await.unwrap();
    let thief = guarded.try_enrol("thief", &token).await.unwrap_err();
    assert_eq!(thief, refused());
    // The answer was lost: the same folder asks again, and gets a certificate of the same identity.
    std::fs::remove_file(guarded.folder.path().join("north/tls.pem")).unwrap();
    let again = guarded.try_enrol("north", &token).await.unwrap();
    assert_eq!(again.identity(), north.identity());
    assert_eq!(guarded.members("node").await.0.len(), 1);
    guarded.clock.advance(Duration::from_secs(24 * 60 * 60));
    std::fs::remove_file(guarded.folder.path().join("north/tls.pem")).unwrap();
    assert_eq!(guarded.try_enrol("north", &token).await.unwrap_err(), refused(), "it has expired");
}

#[tokio::test]
async fn two_who_use_one_token_at_once_do_not_both_join() {
    let guarded = Guarded::start().await;
    let token = guarded.invite("node:north", false).await.unwrap();
    let names = ["one", "two", "three", "four"];
    let joined = futures::future::join_all(names.map(|name| guarded.try_enrol(name, &token))).await;
    let (good, bad): (Vec<_>, Vec<_>) = joined.into_iter().partition(Result::is_ok);
    assert_eq!((good.len(), bad.len()), (1, 3), "{bad:?}");
    assert_eq!(guarded.members("node").await.0.len(), 1);
}

#[tokio::test]
async fn a_token_that_is_wrong_in_any_way_is_refused_in_the_same_words() {
    let guarded = Guarded::start().await;
    let token = guarded.invite("node:north", false).await.unwrap();
    let unknown = Token { secret: Secret::from_bytes([9; 20]), ..token.clone() };
    let other_name = Token { member: "node:south".parse().unwrap(), ..token.clone() };
    let other_role = Token { member: "researcher:north".parse().unwrap(), ..token.clone() };
    for (name, wrong) in [("a", unknown), ("b", other_name), ("c", other_role)] {
        assert_eq!(guarded.try_enrol(name, &wrong).await.unwrap_err(), refused());
    }
    // The secret is not even sent to a coordinator of another authority.
    let elsewhere = Token { authority: Digest::of(b"another"), ..token.clone() };
    let error = guarded.try_enrol("d", &elsewhere).await.unwrap_err();
    assert!(error.contains("not by this federation's authority"), "{error}");
    let (members, refusals) = guarded.members("node").await;
    assert_eq!(members, []);
    assert!(refusals >= 3, "{refusals}");
    guarded.try_enrol("e", &token).await.unwrap();
    guarded.clock.advance(Duration::from_secs(1));
    let expired = guarded.invite("node:south", false).await.unwrap();
    guarded.clock.advance(Duration::from_secs(24 * 60 * 60));
    assert_eq!(guarded.try_enrol("f", &expired).await.unwrap_err(), refused());
}

#[tokio::test]
async fn a_name_is_one_members_until_the_operator_replaces_it() {
    let guarded = Guarded::start().await;
    let first = guarded.join("node:north").await;
    let error = guarded.invite("node:north", false).await.unwrap_err();
    assert_eq!(error, "node:north has enrolled already");
    let token = guarded.invite("node:north", true).await.unwrap();
    assert_eq!(guarded.status(&first).await, Ok(()), "until the token is used");
    let second = guarded.try_enrol("second", &token).await.unwrap();
    assert_eq!(guarded.status(&first).await, Err(Some(Code::IdentityRefused)));
    assert_eq!(guarded.status(&second).await, Ok(()));
    assert_eq!(guarded.members("node").await.0.len(), 1);
}

#[tokio::test]
async fn garbage_instead_of_a_request_is_refused_and_too_much_of_it_is_not_heard() {
    let guarded = Guarded::start().await;
    let token = guarded.invite("node:north", false).await.unwrap();
    let mut stranger = guarded.stranger(&token).await;
    let good = v1::EnrolRequest {
        wire_version: protocol::WIRE_VERSION,
        secret: token.secret.as_bytes().to_vec(),
        member: "node:north".to_owned(),
        identity_key: vec![1; 32],
        tls_key: vec![2; 32],
        signature: vec![3; 64],
    };
    let wrong = [
        v1::EnrolRequest { secret: vec![], ..good.clone() },
        v1::EnrolRequest { member: "node:../x".to_owned(), ..good.clone() },
        v1::EnrolRequest { identity_key: vec![0; 32], ..good.clone() },
        v1::EnrolRequest { identity_key: vec![1; 3000], ..good.clone() },
        v1::EnrolRequest { signature: vec![], ..good.clone() },
        good.clone(),
    ];
    for request in wrong {
        let status = soon("an answer", stranger.enrol(request)).await.unwrap_err();
        assert_eq!(refusal::code(&status), Some(Code::IdentityRefused), "{status:?}");
    }
    let long = v1::EnrolRequest { signature: vec![0; 100_000], ..good.clone() };
    let status = soon("an answer", stranger.enrol(long)).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::OutOfRange, "{status:?}");
    for _ in 0..14 {
        let status = soon("an answer", stranger.enrol(good.clone())).await.unwrap_err();
        assert_eq!(refusal::code(&status), Some(Code::IdentityRefused), "{status:?}");
    }
    let status = soon("an answer", stranger.enrol(good)).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::CoordinatorBusy), "{status:?}");
    guarded.clock.advance(Duration::from_secs(60));
    guarded.try_enrol("north", &token).await.unwrap();
}

#[tokio::test]
async fn a_stranger_gets_no_answer_but_from_the_enrolment() {
    let guarded = Guarded::start().await;
    let token = guarded.invite("node:north", false).await.unwrap();
    let mut stranger = guarded.stranger(&token).await;
    let status = soon("an answer", stranger.renew(v1::RenewRequest::default())).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::IdentityRefused), "{status:?}");
    let folder = guarded.folder.path().join("stranger");
    let application = Application::begin(&folder, &token).unwrap();
    let config = application.client_config(Protocol::Http2, guarded.time()).unwrap();
    let channel = raw_channel(&guarded.address(), config).await;
    let mut request = tonic::Request::new(v1::ListNodesRequest {});
    request.metadata_mut().insert("wardround-caller", "researcher:ada".parse().unwrap());
    let mut client = ResearcherServiceClient::new(channel);
    let status = soon("an answer", client.list_nodes(request)).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::IdentityRefused), "{status:?}");
}

#[tokio::test]
async fn a_revoked_nodes_stream_ends_within_a_second_and_stays_ended_after_a_restart() {
    let guarded = Guarded::start().await;
    let north = guarded.join("node:north").await;
    let line = dial(&guarded.address(), Arc::clone(&north), Default::default()).await.unwrap();
    let mut commands = attend(line, "north").await;
    let welcome = soon("the welcome", commands.next()).await.unwrap().unwrap();
    assert!(welcome.message.is_some());
    let started = Instant::now();
    let answer = guarded.ask(&Request::Revoke { member: "node:north".to_owned() }).await;
    assert!(matches!(answer, Ok(Answer::Revoked { closed: 1.., .. })), "{answer:?}");
    let ended = soon("the end", commands.next()).await;
    assert!(!matches!(ended, Some(Ok(_))), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(guarded.status(&north).await, Err(Some(Code::IdentityRefused)));
    let (members, _) = guarded.members("node").await;
    assert!(members[0].revoked_at.is_some());
    let unknown = guarded.ask(&Request::Revoke { member: "node:nobody".to_owned() }).await;
    assert_eq!(unknown.unwrap_err(), "there is no node:nobody");
    let error = guarded.invite("node:north", false).await.unwrap_err();
    assert_eq!(error, "node:north has enrolled already", "a name is not given again by mistake");
}

#[tokio::test]
async fn a_member_is_revoked_while_the_coordinator_does_not_run() {
    let guarded = Guarded::start().await;
    let [north, south] = [guarded.join("node:north").await, guarded.join("node:south").await];
    let Guarded { server, folder, clock } = guarded;
    server.stop().await;
    let home = folder.path().join("coordinator");
    let request = Request::Revoke { member: "node:north".to_owned() };
    let answer = ask(&home, [], &request).await.unwrap();
    assert_eq!(answer, Answer::Revoked { member: "node:north".to_owned(), closed: 0 });
    let guarded = Guarded::start_in(folder, clock).await;
    let status = |credentials: Arc<Credentials>| {
        let guarded = &guarded;
        async move { guarded.status(&credentials).await }
    };
    assert_eq!(status(north).await, Err(Some(Code::IdentityRefused)));
    assert_eq!(status(south).await, Ok(()));
}

#[tokio::test]
async fn a_node_does_not_speak_for_another_and_roles_are_not_mixed() {
    let guarded = Guarded::start().await;
    let north = guarded.join("node:north").await;
    let ada = guarded.join("researcher:ada").await;
    let line = dial(&guarded.address(), Arc::clone(&north), Default::default()).await.unwrap();
    let mut commands = attend(line, "south").await;
    let answer = soon("the refusal", commands.next()).await.unwrap().unwrap();
    let Some(v1::coordinator_message::Message::Refusal(refused)) = answer.message else {
        panic!("{answer:?}");
    };
    assert_eq!(refused.code, "request.invalid");
    assert!(refused.message.contains("is the caller's name"), "{}", refused.message);
    let mut client = guarded.researcher(&north).await;
    let status = client.list_experiments(v1::ListExperimentsRequest {}).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::PolicyDenied), "{status:?}");
    let line = dial(&guarded.address(), ada, Default::default()).await.unwrap();
    let messages = futures::stream::pending::<v1::NodeMessage>();
    let status = NodeServiceClient::new(line).attend(messages).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::PolicyDenied), "{status:?}");
}

async fn attend(line: transport::Line, name: &str) -> tonic::Streaming<v1::CoordinatorMessage> {
    let greeting = v1::Greeting {
        wire_version: protocol::WIRE_VERSION,
        node_id: name.to_owned(),
        software: "test".to_owned(),
        ..Default::default()
    };
    let greeting = v1::NodeMessage { message: Some(FromNode::Greeting(greeting)) };
    let messages = futures::stream::iter([greeting]).chain(futures::stream::pending());
    let answered = soon("the stream", NodeServiceClient::new(line).attend(messages)).await;
    answered.unwrap().into_inner()
}

#[tokio::test]
async fn a_researcher_finds_nothing_of_anothers_by_any_call_or_route() {
    let guarded = Guarded::start().await;
    let [ada, eve] = [guarded.join("researcher:ada").await, guarded.join("researcher:eve").await];
    let scratch = guarded.folder.path();
    let own = Identity::from(Arc::clone(&ada));
    let mut owner = Researcher::dial_with(own, &guarded.address(), scratch).await;
    let request = owner.prepare(1).await;
    let plan = ArtifactReference::try_from(request.plan.clone().unwrap()).unwrap();
    let id = owner.submit(request).await;
    assert!(owner.show(&id).await.summary.is_some());
    let mut other = guarded.researcher(&eve).await;
    let experiment_id = || id.clone();
    let refusals = [
        other
            .show_experiment(v1::ShowExperimentRequest { experiment_id: experiment_id() })
            .await
            .map(|_| ()),
        other
            .watch_experiment(v1::WatchExperimentRequest {
                experiment_id: experiment_id(),
                after: 0,
            })
            .await
            .map(|_| ()),
        other
            .experiment_history(v1::ExperimentHistoryRequest { experiment_id: experiment_id() })
            .await
            .map(|_| ()),
        other
            .cancel_experiment(v1::CancelExperimentRequest { experiment_id: experiment_id() })
            .await
            .map(|_| ()),
        other
            .resume_experiment(v1::ResumeExperimentRequest { experiment_id: experiment_id() })
            .await
            .map(|_| ()),
    ];
    for refused in refusals {
        let status = refused.unwrap_err();
        assert_eq!(refusal::code(&status), Some(Code::ExperimentUnknown), "{status:?}");
    }
    let listed = other.list_experiments(v1::ListExperimentsRequest {}).await.unwrap();
    assert_eq!(listed.into_inner().experiments, []);
    let target = guarded.folder.path().join("target");
    let settings = client::Settings { attempts: 1, ..Default::default() };
    let files = |credentials| ArtifactClient::new(guarded.address(), credentials, settings);
    files(Arc::clone(&ada)).download(&plan, &target).await.unwrap();
    let elsewhere = guarded.folder.path().join("elsewhere");
    let error = files(Arc::clone(&eve)).download(&plan, &elsewhere).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
    let error = files(eve).size(&plan.digest).await.unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");
}

#[tokio::test]
async fn a_certificate_is_renewed_for_its_member_only() {
    let guarded = Guarded::start().await;
    let north = guarded.join("node:north").await;
    let first = north.certified();
    guarded.clock.advance(Duration::from_secs(25 * 24 * 60 * 60));
    let guarded = guarded.restart().await;
    renew(&north, &guarded.address(), Default::default()).await.unwrap();
    assert_ne!(north.certified().serial, first.serial);
    let (members, _) = guarded.members("node").await;
    assert_eq!(members[0].certificate_expires_at, north.expires_at().milliseconds());
    assert_eq!(guarded.status(&north).await, Ok(()));
    // Signed for another occasion than the certificate that is shown.
    let line = dial(&guarded.address(), Arc::clone(&north), Default::default()).await.unwrap();
    let renewal = north.renewal().unwrap().request();
    let mut signature = renewal.signature.to_vec();
    signature[0] ^= 1;
    let request = v1::RenewRequest { tls_key: renewal.tls.as_bytes().to_vec(), signature };
    let status = EnrolmentServiceClient::new(line).renew(request).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::IdentityRefused), "{status:?}");
    let revoked = guarded.ask(&Request::Revoke { member: "node:north".to_owned() }).await;
    assert!(revoked.is_ok());
    let error = renew(&north, &guarded.address(), Default::default()).await.unwrap_err();
    assert!(matches!(error, enrolment::Error::Refused(_)), "{error}");
}

#[tokio::test]
async fn the_operators_socket_is_for_the_operator_only() {
    use std::os::unix::fs::PermissionsExt;
    let guarded = Guarded::start().await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&guarded.home().join("admin.sock")), 0o600);
    assert_eq!(mode(&guarded.home().join("authority/authority.key")), 0o600);
    assert_eq!(mode(&guarded.home().join("authority")), 0o700);
    let long = Request::Invite { member: "node:x".to_owned(), seconds: u64::MAX, replaces: false };
    let error = guarded.ask(&long).await.unwrap_err();
    assert!(error.contains("at most 60 days"), "{error}");
    let nobody = Request::Invite { member: "root:x".to_owned(), seconds: 1, replaces: false };
    assert!(guarded.ask(&nobody).await.unwrap_err().starts_with("a member is"));
}
