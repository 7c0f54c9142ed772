//! Connections that are encrypted, and callers who are who their certificates say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use identity::peer;
use identity::request::Occasion;
use protocol::Code;
use protocol::wire::refusal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use transport::server::Settings;
use transport::server::security::Refused;
use transport::{ArtifactClient, Identity, Security, Server, dial, server};

use crate::echo::talk;
use crate::members::Federation;
use crate::ward::{Ward, node, quick, random_bytes, within};

type Said = mpsc::Sender<Bytes>;
type Answers = tonic::Streaming<Bytes>;

async fn conversation(
    ward: &Ward,
    identity: impl Into<Identity>,
) -> Result<(Said, Answers), tonic::Status> {
    let line = within(dial(&ward.address, identity, dial::Settings::default())).await.unwrap();
    let (say, said) = mpsc::channel(1);
    let messages = futures::stream::unfold(said, |mut said: mpsc::Receiver<Bytes>| async {
        said.recv().await.map(|message| (message, said))
    });
    let answers = within(talk(line, messages)).await?;
    Ok((say, answers))
}

async fn ask((say, answers): &mut (Said, Answers)) -> String {
    say.send(Bytes::from_static(b"hello")).await.unwrap();
    let answer = within(answers.next()).await.unwrap().unwrap();
    String::from_utf8(answer.to_vec()).unwrap()
}

#[tokio::test]
async fn a_member_is_who_its_certificate_says_for_calls_and_for_files() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    let mut talk = conversation(&ward, Arc::clone(&north)).await.unwrap();
    assert_eq!(ask(&mut talk).await, "node:north says hello");
    let client = ArtifactClient::new(ward.address.clone(), north, quick());
    let (kept, target) = (ward.keep(&random_bytes(1, 3_000_000)), ward.path("target"));
    within(client.download(&kept, &target)).await.unwrap();
    let bytes = random_bytes(2, 400_000);
    let (reference, path) = (crate::ward::reference(&bytes), ward.write("new", &bytes));
    within(client.upload(&reference, &path)).await.unwrap();
    assert_eq!(ward.kept(&reference), bytes);
    assert_eq!(federation.refused(), []);
}

#[tokio::test]
async fn a_name_in_a_header_is_not_believed_beside_a_certificate() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    let line = within(dial(&ward.address, north, dial::Settings::default())).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(line);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/tests.Echo/Talk");
    let messages = futures::stream::iter([Bytes::from_static(b"hello")]);
    let mut request = tonic::Request::new(messages);
    request.metadata_mut().insert("wardround-caller", "node:south".parse().unwrap());
    let answers = within(grpc.streaming(request, path, crate::echo::Plain)).await.unwrap();
    let answer = within(answers.into_inner().next()).await.unwrap().unwrap();
    assert_eq!(answer, &b"node:north says hello"[..]);
}

/// Speaks TLS as somebody without a certificate, and says one HTTP/1.1 request.
async fn ask_as_stranger(federation: &Federation, ward: &Ward, request: &str) -> String {
    let token = federation.token("node:nobody", ward);
    let folder = federation.folder.path().join("stranger");
    let application = identity::Application::begin(&folder, &token).unwrap();
    let time = federation.authority.time().clone();
    let config = application.client_config(identity::Protocol::Http1, time).unwrap();
    let stream = TcpStream::connect(ward.socket).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = "127.0.0.1".try_into().unwrap();
    let mut stream = within(connector.connect(name, stream)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    drop(within(stream.read_to_end(&mut answer)).await);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn nobody_without_a_certificate_is_answered_anywhere_but_where_certificates_are_given() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let digest = ward.keep(b"parameters").digest;
    for line in [
        format!("GET /artifacts/{digest}"),
        format!("PUT /artifacts/{digest}"),
        "POST /uploads".to_owned(),
        "PATCH /uploads/x".to_owned(),
        "POST /tests.Echo/Talk".to_owned(),
        "POST /tests.Echo/Open/".to_owned(),
        "POST /tests.Echo/./Open".to_owned(),
        "GET /".to_owned(),
    ] {
        // The body never comes: whoever waited for it would not answer.
        let request = format!(
            "{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000\r\n\
             wardround-caller: node:north\r\n\r\n"
        );
        let answer = ask_as_stranger(&federation, &ward, &request).await;
        assert_eq!(crate::ward::status(&answer), 401, "{line}");
        assert_eq!(crate::ward::body(&answer), Code::IdentityRefused.sentence());
    }
    assert_eq!(federation.refused(), vec![Refused::NoCertificate; 8]);
    let open = "POST /tests.Echo/Open HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = ask_as_stranger(&federation, &ward, open).await;
    assert!(answer.contains("grpc-message: no%20caller"), "it is let in, as nobody: {answer}");
}

#[tokio::test]
async fn a_caller_that_speaks_plainly_is_not_heard() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let answer = ward.ask("GET /artifacts/x", "", "").await;
    assert!(!answer.contains("HTTP"), "{answer:?}");
    let error =
        within(dial(&ward.address, &node("north"), dial::Settings::default())).await.unwrap_err();
    assert!(error.to_string().ends_with("asks for https, which needs an identity"), "{error}");
}

#[tokio::test]
async fn a_member_of_another_federation_is_refused_on_both_sides() {
    let (here, there) = (Federation::new(), Federation::new());
    let ward = here.serve().await;
    let stranger = there.join("node:north", &ward);
    let error = within(dial(&ward.address, stranger, dial::Settings::default())).await.unwrap_err();
    let dial::Error::Certificate { source: peer::Error::WrongAuthority { issuer }, .. } = &error
    else {
        panic!("{error:?}");
    };
    let authority = here.authority.fingerprint().short();
    assert_eq!(*issuer, format!("CN=Wardround authority {authority}"));
    // One that does not mind who the coordinator is, and shows the other federation's certificate.
    let error = within(ask_carelessly(&ward, &there)).await.unwrap_err();
    assert!(peer::alert_within(&error).is_some(), "{error:?}");
    let refused = here.refused();
    assert!(matches!(refused.last(), Some(Refused::Handshake(_))), "{refused:?}");
}

/// Shows another federation's certificate to a server whose own certificate is taken as it is.
async fn ask_carelessly(ward: &Ward, federation: &Federation) -> std::io::Result<()> {
    let folder = federation.folder.path().join("node:north");
    let text = std::fs::read_to_string(folder.join("tls.pem")).unwrap();
    let config = crate::careless::client(&text);
    let stream = TcpStream::connect(ward.socket).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let mut stream = connector.connect("127.0.0.1".try_into().unwrap(), stream).await?;
    stream.write_all(b"GET /artifacts/x HTTP/1.1\r\nhost: x\r\n\r\n").await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    panic!("it was answered: {}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_self_signed_certificate_with_a_members_name_is_refused() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let config = crate::careless::self_signed("node", "north");
    let stream = TcpStream::connect(ward.socket).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = "127.0.0.1".try_into().unwrap();
    let mut stream = within(connector.connect(name, stream)).await.unwrap();
    drop(stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await);
    let mut answer = Vec::new();
    let ended = within(stream.read_to_end(&mut answer)).await;
    assert!(ended.is_err() && answer.is_empty(), "{ended:?}");
    assert!(matches!(federation.refused()[..], [Refused::Handshake(_)]));
}

#[tokio::test]
async fn a_coordinators_certificate_for_another_name_is_refused_by_its_name() {
    let federation = Federation::named(&["ward.example"]);
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    let error = within(dial(&ward.address, north, dial::Settings::default())).await.unwrap_err();
    let dial::Error::Certificate { source: peer::Error::WrongName { dialled, certified }, .. } =
        error
    else {
        panic!("{error:?}");
    };
    assert_eq!(dialled, "127.0.0.1");
    assert_eq!(certified.len(), 1, "{certified:?}");
    assert!(certified[0].contains("ward.example"), "{certified:?}");
}

#[tokio::test]
async fn what_answers_without_tls_is_named() {
    let ward = Ward::open().await;
    let federation = Federation::new();
    let north = federation.join("node:north", &ward);
    let error = within(dial(&ward.address, north, dial::Settings::default())).await.unwrap_err();
    assert!(matches!(error, dial::Error::NotTls { .. }), "{error:?}");
}

/// Serves one connection by other means at a port of its own.
async fn instead<F: Future<Output = ()> + Send + 'static>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> transport::Address {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { serve(listener.accept().await.unwrap().0).await });
    format!("https://{address}").parse().unwrap()
}

#[tokio::test]
async fn something_that_opens_tls_on_the_way_is_named_by_the_issuer_that_it_shows() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    let address = instead(|stream| async move {
        let config = crate::careless::interceptor("Hospital Web Shield");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        assert!(acceptor.accept(stream).await.is_err());
    });
    let address = address.await;
    let error = within(dial(&address, north, dial::Settings::default())).await.unwrap_err();
    let dial::Error::Certificate { source: peer::Error::WrongAuthority { issuer }, .. } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(issuer, "CN=Hospital Web Shield");
    assert!(error.hint().unwrap().contains("TLS is intercepted"), "{error:?}");
    assert!(!error.to_string().contains("Web Shield"), "its cause says it, once");
}

#[tokio::test]
async fn something_that_speaks_older_tls_is_told_from_a_coordinator() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    // The alert protocol_version, in a record of TLS 1.2 (RFC 5246, section 7.2).
    const ALERT: [u8; 7] = [21, 3, 3, 0, 2, 2, 70];
    let address = instead(|mut stream| async move {
        let mut hello = [0; 64];
        stream.read_exact(&mut hello).await.unwrap();
        stream.write_all(&ALERT).await.unwrap();
        drop(stream.read_to_end(&mut Vec::new()).await);
    });
    let address = address.await;
    let error = within(dial(&address, north, dial::Settings::default())).await.unwrap_err();
    assert!(matches!(error, dial::Error::OtherTls { .. }), "{error:?}");
    assert!(error.hint().unwrap().contains("intercepted"), "{error:?}");
}

#[tokio::test]
async fn an_expired_certificate_is_refused_by_the_handshake() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    federation.days(61);
    assert!(federation.authority.renew_own().unwrap(), "the coordinator's own is good again");
    let status = conversation(&ward, north).await.unwrap_err();
    let alert = peer::alert_within(&status);
    assert_eq!(alert.as_deref(), Some("CertificateExpired"), "{status:?}");
}

#[tokio::test]
async fn a_coordinators_certificate_that_has_expired_is_refused_with_its_date() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    federation.days(31);
    let error = within(dial(&ward.address, north, dial::Settings::default())).await.unwrap_err();
    let dial::Error::Certificate { source: peer::Error::Expired { at: Some(at) }, .. } = error
    else {
        panic!("{error:?}");
    };
    use store::Clock;
    assert!(at < federation.clock.now());
}

#[tokio::test]
async fn requests_on_a_connection_end_with_its_certificate() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    let line = within(dial(&ward.address, north, dial::Settings::default())).await.unwrap();
    let none = || futures::stream::iter([Bytes::from_static(b"hello")]);
    within(talk(line.clone(), none())).await.unwrap();
    federation.days(61);
    let status = within(talk(line, none())).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::IdentityRefused), "{status:?}");
    let refused = federation.refused();
    assert_eq!(refused, [Refused::Expired("node:north".parse().unwrap())]);
}

#[tokio::test]
async fn whoever_is_revoked_is_put_out_within_a_second_and_not_let_in_again() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let [north, south] = ["node:north", "node:south"].map(|name| federation.join(name, &ward));
    let mut revoked = conversation(&ward, Arc::clone(&north)).await.unwrap();
    let mut other = conversation(&ward, south).await.unwrap();
    ask(&mut revoked).await;
    ask(&mut other).await;
    let member = north.member();
    federation.guard.revoked.lock().unwrap().insert(member.clone());
    let started = Instant::now();
    assert_eq!(federation.connections.close(&member), 1);
    let ended = within(revoked.1.next()).await;
    assert!(!matches!(ended, Some(Ok(_))), "{ended:?}");
    assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(ask(&mut other).await, "node:south says hello");
    let status = conversation(&ward, Arc::clone(&north)).await.unwrap_err();
    assert_eq!(refusal::code(&status), Some(Code::IdentityRefused), "{status:?}");
    let client = ArtifactClient::new(ward.address.clone(), north, quick());
    let error = within(client.size(&ward.keep(b"x").digest)).await.unwrap_err();
    assert!(error.to_string().contains("401"), "{error}");
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_by_the_next_connection_without_a_restart() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    let north = federation.join("node:north", &ward);
    let first = north.certified();
    let now = || federation.authority.time().now();
    assert!(!north.is_due_for_renewal(now()));
    federation.days(40);
    assert!(north.is_due_for_renewal(now()));
    federation.authority.renew_own().unwrap();
    let renewal = north.renewal().unwrap();
    let chain = federation.answer(&renewal, &Occasion::Renewal(first.digest));
    north.install(renewal, chain).unwrap();
    assert_ne!(north.certified().serial, first.serial);
    assert!(!north.is_due_for_renewal(now()));
    federation.days(25);
    federation.authority.renew_own().unwrap();
    assert!(now() > first.expires_at);
    let mut talk = conversation(&ward, Arc::clone(&north)).await.unwrap();
    assert_eq!(ask(&mut talk).await, "node:north says hello");
    let folder = federation.folder.path().join("node:north");
    assert_eq!(federation.open(&folder).certified(), north.certified(), "it is on the disk");
}

#[tokio::test]
async fn slow_handshakes_hold_up_nobody_and_are_cut() {
    let federation = Federation::new();
    let settings =
        Settings { handshake_timeout: Duration::from_millis(300), ..Settings::default() };
    let ward = federation.serve_with(settings).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut stream = TcpStream::connect(ward.socket).await.unwrap();
        // The head of a record of TLS that never goes on.
        stream.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
        slow.push(stream);
    }
    let north = federation.join("node:north", &ward);
    let mut talk = conversation(&ward, north).await.unwrap();
    assert_eq!(ask(&mut talk).await, "node:north says hello");
    for mut stream in slow {
        let mut answer = Vec::new();
        drop(within(stream.read_to_end(&mut answer)).await);
    }
    assert_eq!(ask(&mut talk).await, "node:north says hello");
}

#[tokio::test]
async fn a_connection_without_a_certificate_does_not_live_long() {
    let federation = Federation::new();
    let settings = Settings { stranger_timeout: Duration::from_millis(300), ..Settings::default() };
    let ward = federation.serve_with(settings).await;
    let started = Instant::now();
    ask_as_stranger(&federation, &ward, "GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn other_machines_may_be_served_when_connections_are_encrypted() {
    let federation = Federation::new();
    let open = "0.0.0.0:0".parse().unwrap();
    let server = Server::bind(open, federation.security(), Settings::default()).await.unwrap();
    let port = server.socket_address().port();
    assert_eq!(server.address().to_string(), format!("https://127.0.0.1:{port}"));
    let refused = Server::bind(open, Security::InsecureLoopback, Settings::default()).await;
    assert!(matches!(refused, Err(server::Error::Address(_))));
}

#[tokio::test]
async fn key_agreement_is_safe_against_computers_to_come() {
    let federation = Federation::new();
    let ward = federation.serve().await;
    federation.join("node:north", &ward);
    let text = std::fs::read_to_string(federation.folder.path().join("node:north/tls.pem"));
    let config = crate::careless::client(&text.unwrap());
    let stream = TcpStream::connect(ward.socket).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = "127.0.0.1".try_into().unwrap();
    let stream = within(connector.connect(name, stream)).await.unwrap();
    let (_, session) = stream.get_ref();
    assert_eq!(session.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let agreed = session.negotiated_key_exchange_group().unwrap().name();
    assert_eq!(agreed, rustls::NamedGroup::X25519MLKEM768);
}
