//! Callers that break the rules, and those who only wait.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use transport::server::Settings;

use crate::ward::{DEADLINE, Ward, body, header, random_bytes, reference, status, within};

fn short() -> Settings {
    Settings {
        handshake_timeout: Duration::from_millis(200),
        header_timeout: Duration::from_millis(200),
        stall_timeout: Duration::from_millis(300),
        ..Settings::default()
    }
}

async fn ward_with(settings: Settings) -> Ward {
    Ward::open_with(settings, store::artifact::Settings::default(), DEADLINE).await
}

/// Waits until the server closes the connection and returns what it said before.
async fn read_to_close(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    // A reset is a close, too.
    drop(within(stream.read_to_end(&mut answer)).await);
    answer
}

/// The server still answers.
async fn assert_alive(ward: &Ward) {
    let digest = ward.keep(b"alive").digest;
    let answer = ward.ask(&format!("GET /artifacts/{digest}"), "", "").await;
    assert_eq!(body(&answer), "alive");
}

#[tokio::test]
async fn a_request_without_a_caller_is_refused_on_every_route() {
    let ward = Ward::open().await;
    let digest = ward.keep(b"parameters").digest;
    for line in [
        format!("GET /artifacts/{digest}"),
        format!("PUT /artifacts/{digest}"),
        "POST /uploads".to_owned(),
        "PATCH /uploads/x".to_owned(),
        "GET /nothing/here".to_owned(),
    ] {
        for caller in [
            "",
            "wardround-caller: \r\n",
            "wardround-caller: north\r\n",
            "wardround-caller: node:../x\r\n",
            "wardround-caller: node:a\r\nwardround-caller: node:b\r\n",
        ] {
            let request =
                format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{caller}\r\n");
            let answer = ward.raw(request.as_bytes()).await;
            assert_eq!(status(&answer), 401, "{request}");
            assert_eq!(body(&answer), "the request does not say who is calling");
        }
    }
}

#[tokio::test]
async fn malformed_requests_get_one_clear_refusal() {
    let ward = Ward::open().await;
    let digest = reference(b"parameters").digest;
    for (line, headers, body, expected) in [
        ("GET /artifacts/nonsense", "", "", 400),
        ("GET /artifacts/sha256:00", "", "", 400),
        ("GET /artifacts/..%2f..%2fetc%2fpasswd", "", "", 400),
        ("GET /artifacts/%ff", "", "", 400),
        ("PUT /artifacts/nonsense", "", "x", 400),
        ("DELETE /artifacts/x", "", "", 405),
        ("GET /nothing", "", "", 404),
        ("POST /uploads", "", "", 400),
        ("POST /uploads", "", "[1,2,3]", 400),
        ("POST /uploads", "", "{\"digest\":\"x\",\"size\":1}", 400),
        ("PATCH /uploads/nonsense", "upload-offset: 0\r\n", "x", 404),
        ("PATCH /uploads/..%2f..%2fx", "upload-offset: 0\r\n", "x", 404),
        ("PATCH /uploads/x", "", "x", 400),
        ("PATCH /uploads/x", "upload-offset: -1\r\n", "x", 400),
        ("HEAD /uploads/nonsense", "", "", 404),
    ] {
        let answer = ward.ask(line, headers, body).await;
        assert_eq!(status(&answer), expected, "{line} {body}");
    }
    for wrong in [
        format!("{{\"digest\":\"{digest}\"}}"),
        format!("{{\"digest\":\"{digest}\",\"size\":-1}}"),
        format!("{{\"digest\":\"{digest}\",\"size\":1,\"path\":\"/etc\"}}"),
        format!("{{\"digest\":\"{digest}\",\"size\":1{}}}", " ".repeat(10_000)),
    ] {
        assert_eq!(status(&ward.ask("POST /uploads", "", &wrong).await), 400, "{wrong:.80}");
    }
    assert_alive(&ward).await;
}

#[tokio::test]
async fn a_short_file_that_is_too_long_another_or_forbidden_is_refused() {
    let ward = Ward::open().await;
    let kept = reference(b"parameters");
    let line = format!("PUT /artifacts/{}", kept.digest);
    assert_eq!(status(&ward.ask(&line, "", "something else").await), 422);
    assert_eq!(status(&ward.ask(&line, "", "").await), 422);
    let long = "x".repeat((256 << 10) + 1);
    let too_long = format!("PUT /artifacts/{}", reference(long.as_bytes()).digest);
    assert_eq!(status(&ward.ask(&too_long, "", &long).await), 413);
    ward.shelf.forbidden.lock().unwrap().insert(kept.digest);
    assert_eq!(status(&ward.ask(&line, "", "parameters").await), 403);
    ward.shelf.forbidden.lock().unwrap().clear();
    assert_eq!(ward.shelf.store.list(), []);
    // Twice is as good as once; another's bytes under a known name are not.
    assert_eq!(status(&ward.ask(&line, "", "parameters").await), 200);
    assert_eq!(status(&ward.ask(&line, "", "parameters").await), 200);
    assert_eq!(status(&ward.ask(&line, "", "something else").await), 422);
    assert_eq!(ward.kept(&kept), b"parameters");
    assert_alive(&ward).await;
}

#[tokio::test]
async fn an_upload_of_an_absurd_length_is_refused_at_once() {
    let ward = Ward::open().await;
    let digest = reference(b"parameters").digest;
    let begin = format!("{{\"digest\":\"{digest}\",\"size\":18446744073709551615}}");
    assert_eq!(status(&ward.ask("POST /uploads", "", &begin).await), 507);
    assert_alive(&ward).await;
}

#[tokio::test]
async fn bytes_that_are_no_protocol_end_the_connection() {
    let ward = ward_with(short()).await;
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        b"GET\r\n\r\n".to_vec(),
        b"GET / HTTP/9.9\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nno colon here\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nhost: \x00\r\n\r\n".to_vec(),
        b"POST /uploads HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nx".to_vec(),
        b"POST /uploads HTTP/1.1\r\ncontent-length: -5\r\n\r\nx".to_vec(),
        random_bytes(1, 10_000),
        [&preface[..], &random_bytes(2, 10_000)].concat(),
        [&preface[..], &[0xff; 9]].concat(),
    ] {
        let answer = ward.raw(&bytes).await;
        assert!(!answer.starts_with("HTTP/1.1 2"), "{answer}");
    }
    assert_alive(&ward).await;
}

#[tokio::test]
async fn huge_and_numberless_headers_are_refused() {
    let ward = Ward::open().await;
    let one = format!("x: {}\r\n", "y".repeat(2 << 20));
    let many = (0..500).map(|number| format!("x-{number}: y\r\n")).collect::<String>();
    let large = format!("x: {}\r\n", "y".repeat(100 << 10));
    for headers in [one, many, large] {
        let answer = ward.ask("GET /artifacts/x", &headers, "").await;
        assert!(answer.is_empty() || status(&answer) == 431, "{answer:.200}");
    }
    assert_alive(&ward).await;
}

#[tokio::test]
async fn a_caller_that_says_nothing_or_too_little_is_closed_in_time() {
    let ward = ward_with(short()).await;
    for start in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n", b"GET /", b"GET / HTTP/1.1\r\nhost: x\r\n"]
    {
        let mut stream = TcpStream::connect(ward.socket).await.unwrap();
        stream.write_all(start).await.unwrap();
        let started = Instant::now();
        read_to_close(&mut stream).await;
        assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    }
    assert_alive(&ward).await;
}

#[tokio::test]
async fn headers_that_trickle_in_are_cut_off_by_the_clock() {
    let ward = ward_with(short()).await;
    let mut stream = TcpStream::connect(ward.socket).await.unwrap();
    let started = Instant::now();
    let request = b"GET / HTTP/1.1\r\n".iter().chain(b"x: y\r\n".iter().cycle());
    let mut tick = tokio::time::interval(Duration::from_millis(20));
    for byte in request {
        tick.tick().await;
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(5), "the server still listens");
    }
}

#[tokio::test]
async fn an_upload_that_falls_silent_is_let_go_and_can_go_on() {
    let settings = store::artifact::Settings::default();
    let silence = Duration::from_millis(200);
    let ward = Ward::open_with(Settings::default(), settings, silence).await;
    let begin = format!("{{\"digest\":\"{}\",\"size\":10}}", reference(b"parameters").digest);
    let answer = ward.ask("POST /uploads", "", &begin).await;
    let location = header(&answer, "location").unwrap();
    let mut stream = TcpStream::connect(ward.socket).await.unwrap();
    let request = format!(
        "PATCH {location} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nupload-offset: 0\r\n\
         wardround-caller: node:north\r\ncontent-length: 10\r\n\r\nparam"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let answer = String::from_utf8(read_to_close(&mut stream).await).unwrap();
    assert_eq!(status(&answer), 408);
    let answer = ward.ask(&format!("PATCH {location}"), "upload-offset: 5\r\n", "eters").await;
    assert_eq!(status(&answer), 200);
}

#[tokio::test]
async fn a_caller_that_takes_no_bytes_is_closed() {
    let ward = ward_with(Settings { connections_per_address: 1, ..short() }).await;
    let reference = ward.keep(&random_bytes(1, 40_000_000));
    let mut stream = TcpStream::connect(ward.socket).await.unwrap();
    let request = format!(
        "GET /artifacts/{} HTTP/1.1\r\nhost: x\r\nwardround-caller: node:north\r\n\r\n",
        reference.digest
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // There is room for one connection only: an answer to another says that this one is closed.
    let deadline = Instant::now() + DEADLINE;
    while ward.raw(b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.is_empty() {
        assert!(Instant::now() < deadline, "the stalled connection is still held");
    }
    let received = read_to_close(&mut stream).await.len();
    assert!(received < 40_000_000, "all {received} bytes came although none was taken for so long");
    assert_alive(&ward).await;
}

#[tokio::test]
async fn connections_beyond_the_bound_are_closed_and_places_come_back() {
    let ward = ward_with(Settings { connections_per_address: 3, ..Settings::default() }).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(ward.socket).await.unwrap();
        stream.write_all(b"GET /x HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut answer = [0; 12];
        within(stream.read_exact(&mut answer)).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 401");
        held.push(stream);
    }
    let mut fourth = TcpStream::connect(ward.socket).await.unwrap();
    assert!(read_to_close(&mut fourth).await.is_empty());
    drop(held);
    let deadline = Instant::now() + DEADLINE;
    while ward.raw(b"GET /x HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.is_empty() {
        assert!(Instant::now() < deadline, "no place came back");
    }
}
