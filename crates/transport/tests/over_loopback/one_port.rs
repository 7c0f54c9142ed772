//! gRPC and HTTP together on one port, from dialling to shutdown.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tonic::Code;
use transport::server::{self, Server, Settings};
use transport::{Security, address, dial};

use crate::echo::talk;
use crate::ward::{DEADLINE, Ward, node, random_bytes, within};

type Said = mpsc::Sender<Bytes>;

async fn conversation(ward: &Ward) -> (Said, tonic::Streaming<Bytes>) {
    let line =
        within(dial(&ward.address, &node("north"), dial::Settings::default())).await.unwrap();
    let (say, said) = mpsc::channel(1);
    let messages = futures::stream::unfold(said, |mut said: mpsc::Receiver<Bytes>| async {
        said.recv().await.map(|message| (message, said))
    });
    let answers = within(talk(line, messages)).await.unwrap();
    (say, answers)
}

async fn ping(say: &Said, answers: &mut tonic::Streaming<Bytes>) -> Duration {
    let started = Instant::now();
    say.send(Bytes::from_static(b"hello")).await.unwrap();
    let answer = within(answers.next()).await.unwrap().unwrap();
    assert_eq!(answer, &b"node:north says hello"[..]);
    started.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_on_while_files_are_carried_on_the_same_port() {
    let ward = Ward::open().await;
    let (say, mut answers) = conversation(&ward).await;
    let reference = ward.keep(&random_bytes(1, 50_000_000));
    let client = ward.client();
    let target = ward.path("target");
    let downloading = tokio::spawn(async move { client.download(&reference, &target).await });
    let mut pings = Vec::new();
    while !downloading.is_finished() || pings.len() < 20 {
        pings.push(ping(&say, &mut answers).await);
    }
    within(downloading).await.unwrap().unwrap();
    pings.sort();
    let median = pings[pings.len() / 2];
    // Measured 0.1 to 2 ms on two busy cores; a queue behind the file would cost tens of them.
    assert!(median < Duration::from_millis(50), "{median:?} over {} pings", pings.len());
}

#[tokio::test]
async fn a_grpc_call_without_a_caller_is_unauthenticated() {
    let ward = Ward::open().await;
    let endpoint = tonic::transport::Endpoint::from_shared(ward.address.to_string()).unwrap();
    let channel = within(endpoint.connect()).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/tests.Echo/Talk");
    let messages = futures::stream::pending::<Bytes>();
    let request = tonic::Request::new(messages);
    let status = within(grpc.streaming(request, path, crate::echo::Plain)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    assert_eq!(status.message(), "the request does not say who is calling");
}

#[tokio::test]
async fn a_call_that_is_not_there_is_unimplemented() {
    let ward = Ward::open().await;
    let line =
        within(dial(&ward.address, &node("north"), dial::Settings::default())).await.unwrap();
    let mut grpc = tonic::client::Grpc::new(line);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/tests.Nobody/Talk");
    let request = tonic::Request::new(futures::stream::pending::<Bytes>());
    let status = within(grpc.streaming(request, path, crate::echo::Plain)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_message_above_the_limit_is_refused_and_the_line_goes_on() {
    let ward = Ward::open().await;
    let (say, mut answers) = conversation(&ward).await;
    say.send(Bytes::from(vec![0; server::MESSAGE_LIMIT + 1])).await.unwrap();
    let status = within(answers.next()).await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange);
    let (say, mut answers) = conversation(&ward).await;
    ping(&say, &mut answers).await;
}

#[tokio::test]
async fn other_machines_are_refused_in_words_when_listening() {
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let address: SocketAddr = address.parse().unwrap();
        let error = Server::bind(address, Security::InsecureLoopback, Settings::default())
            .await
            .unwrap_err();
        assert!(
            matches!(error, server::Error::Address(address::Error::NotLoopback { .. })),
            "{error:?}"
        );
        let words = error.to_string();
        assert!(words.contains("is not loopback"), "{words}");
    }
}

#[tokio::test]
async fn a_port_that_is_taken_and_one_where_nobody_is_are_named() {
    let ward = Ward::open().await;
    let error = Server::bind(ward.socket, Security::InsecureLoopback, Settings::default())
        .await
        .unwrap_err();
    let expected = format!("address {} cannot be listened on", ward.socket);
    assert_eq!(error.to_string(), expected);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let free = listener.local_addr().unwrap();
    drop(listener);
    let address = free.to_string().parse().unwrap();
    let error =
        within(dial(&address, &node("north"), dial::Settings::default())).await.unwrap_err();
    assert_eq!(error.to_string(), format!("coordinator http://{free} is not reachable"));
}

#[tokio::test]
async fn a_peer_that_accepts_and_never_answers_is_a_line_that_is_down() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string().parse().unwrap();
    let settings = dial::Settings {
        keep_alive_interval: Duration::from_millis(50),
        keep_alive_timeout: Duration::from_millis(150),
        ..dial::Settings::default()
    };
    let accepting = tokio::spawn(async move { listener.accept().await.unwrap() });
    let line = within(dial(&address, &node("north"), settings)).await.unwrap();
    let _silent = accepting.await.unwrap();
    let started = Instant::now();
    let status = within(talk(line, futures::stream::pending())).await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status:?}");
}

#[tokio::test]
async fn a_shutdown_lets_an_open_download_end() {
    let mut ward = Ward::open().await;
    let bytes = random_bytes(1, 20_000_000);
    let reference = ward.keep(&bytes);
    let (begun, mut has_begun) = mpsc::channel(1);
    let client = ward.client().with_progress(move |_| {
        // Only the first piece finds room.
        begun.try_send(()).unwrap_or_default();
    });
    let target = ward.path("target");
    let asked = reference.clone();
    let written = target.clone();
    let downloading = tokio::spawn(async move { client.download(&asked, &written).await });
    within(has_begun.recv()).await.unwrap();
    ward.begin_stop();
    within(downloading).await.unwrap().unwrap();
    assert_eq!(std::fs::read(target).unwrap(), bytes);
    let socket = ward.socket;
    ward.stopped().await;
    assert!(TcpStream::connect(socket).await.is_err());
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_ever_for_a_conversation() {
    let settings = Settings { shutdown_grace: Duration::from_millis(200), ..Settings::default() };
    let mut ward = Ward::open_with(settings, store::artifact::Settings::default(), DEADLINE).await;
    let (say, mut answers) = conversation(&ward).await;
    ping(&say, &mut answers).await;
    let started = Instant::now();
    ward.begin_stop();
    ward.stopped().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    let ended = within(answers.next()).await;
    assert!(!matches!(ended, Some(Ok(_))), "{ended:?}");
}
