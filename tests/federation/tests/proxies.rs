//! A hospital whose network lets nothing out but a web proxy, with real processes: the node joins and runs its rounds
//! through the proxy, which sees a name, a port and encrypted bytes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use federation::{ExperimentFile, Federation, Hospital, share};
use serde_json::Value;

/// A name that no resolver knows, as inside a hospital's network: only the proxy knows where it leads.
const NAME: &str = "coordinator.consortium.invalid";

/// A web proxy that makes tunnels to one machine, and keeps what it was asked and what it saw first in each tunnel.
struct WebProxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<(String, u8)>>>,
}

impl WebProxy {
    /// Listens on a port of the system's choice; every name leads to `target`.
    fn start(target: Arc<Mutex<Option<SocketAddr>>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let seen = Arc::default();
        let kept = Arc::clone(&seen);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (seen, target) = (Arc::clone(&kept), Arc::clone(&target));
                std::thread::spawn(move || tunnel(client, &target, &seen));
            }
        });
        Self { address, seen }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn tunnels(&self) -> Vec<(String, u8)> {
        self.seen.lock().expect("no tunnel panics").clone()
    }
}

/// Answers one CONNECT and carries bytes both ways until both sides have ended.
fn tunnel(
    mut client: TcpStream,
    target: &Mutex<Option<SocketAddr>>,
    seen: &Mutex<Vec<(String, u8)>>,
) {
    let Some(head) = head(&mut client) else { return };
    let asked = head.lines().next().unwrap_or_default().to_owned();
    let target = target.lock().expect("nobody panics with it").expect("the coordinator listens");
    let Ok(server) = TcpStream::connect(target) else { return };
    if client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").is_err() {
        return;
    }
    let mut first = [0];
    if client.read_exact(&mut first).is_err() {
        return;
    }
    seen.lock().expect("no tunnel panics").push((asked, first[0]));
    let back = (server.try_clone(), client.try_clone());
    let (Ok(mut from_server), Ok(mut to_client)) = back else { return };
    let answering = std::thread::spawn(move || {
        drop(std::io::copy(&mut from_server, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    let mut to_server = server;
    if to_server.write_all(&first).is_ok() {
        drop(std::io::copy(&mut client, &mut to_server));
    }
    drop(to_server.shutdown(Shutdown::Both));
    drop(answering.join());
}

/// A request up to its empty line.
fn head(client: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && head.len() < 8 << 10 {
        client.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

#[test]
fn a_node_joins_and_runs_its_rounds_through_the_networks_proxy() {
    let target = Arc::default();
    let proxy = WebProxy::start(Arc::clone(&target));
    let variables = [
        ("HTTPS_PROXY", proxy.url()),
        ("NO_PROXY", String::new()),
        ("no_proxy", String::new()),
        ("WARDROUND_COORDINATOR_NAMES", format!("[\"{NAME}\"]")),
    ];
    let variables: Vec<(&str, &str)> =
        variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut federation = Federation::encrypted_with(&variables);
    let listening = federation.coordinator.url();
    let listening = listening.trim_start_matches("https://").parse().expect("it is an address");
    *target.lock().expect("nobody panics with it") = Some(listening);

    // The token names the coordinator as the hospital's network knows it.
    let token = federation.coordinator.token("node", "north", &[]);
    let mut token: identity::Token = token.parse().expect("the program prints a token");
    token.address = format!("https://{NAME}:443");
    let (folder, program) = (federation.folder().to_owned(), federation.program().clone());
    let mut north = Hospital::join(&program, &folder, "north", &token.to_string());
    north.add_table(&share("north"), &[]);
    north.start();
    federation.hospitals.push(north);
    let file = ExperimentFile { min_nodes: 1, rounds: 2, ..ExperimentFile::default() };
    federation.submit_approved(&file).await_model();

    let tunnels = proxy.tunnels();
    assert!(tunnels.len() >= 2, "one to join, one for the line: {tunnels:?}");
    for (asked, first) in &tunnels {
        assert_eq!(*asked, format!("CONNECT {NAME}:443 HTTP/1.1"));
        assert_eq!(*first, HANDSHAKE, "what goes through is TLS");
    }
    let north = federation.hospital("north");
    let findings = north.run(&["node", "doctor"]).document();
    let facts = findings["findings"].as_array().expect("are a list");
    let says = |words: &str| {
        let fits =
            |finding: &Value| finding["fact"].as_str().is_some_and(|fact| fact.contains(words));
        facts.iter().any(fits)
    };
    assert!(says(&format!("proxy {} makes a tunnel to", proxy.url())), "{findings}");
    assert!(says("of the same protocol"), "{findings}");
}

/// The first byte of a record of TLS in which a handshake begins (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
