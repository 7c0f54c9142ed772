//! Whether the coordinator is there, is who it should be, and speaks as this node does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use identity::{Credentials, peer};
use protocol::wire::{refusal, v1};
use protocol::{Code, Timestamp};
use store::{Clock, SystemClock};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use transport::address::LoopbackAddress;
use transport::{Address, Identity, Proxy, dial};
use v1::researcher_service_client::ResearcherServiceClient;

use super::{Area, Finding};
use crate::config::Config;
use crate::folder::Folder;
use crate::membership;
use crate::round_log::chain;

/// Finds the coordinator step by step, and says at which it ended.
pub(super) async fn examine(folder: &Folder, config: &Config) -> Vec<Finding> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let identity = match membership::open(folder, config, &clock) {
        Ok(identity) => identity,
        Err(error) => {
            let remedy = "join with `wardround node init --join TOKEN`: the coordinator's operator makes the token";
            return vec![Area::Identity.wrong(chain(&error), remedy)];
        }
    };
    let mut findings = Vec::new();
    if let Identity::Credentials(credentials) = &identity {
        findings.push(certificate(credentials, clock.now()));
    }
    let address = &config.coordinator;
    let reached = match Proxy::from_environment(address.host(), address.port()) {
        Some(proxy) if address.is_encrypted() => tunnel(&proxy, address).await.map(Some),
        _ => directly(address).await.map(|()| None),
    };
    match reached {
        Ok(Some(finding)) => findings.push(finding),
        Ok(None) => {}
        Err(finding) => {
            findings.push(finding);
            return findings;
        }
    }
    findings.push(greet(address, &identity).await);
    findings
}

/// How long the node's own certificate is good.
fn certificate(credentials: &Credentials, now: Timestamp) -> Finding {
    let (words, expires) = (credentials.identity().fingerprint(), credentials.expires_at());
    if now >= expires {
        let fact =
            format!("the certificate has expired at {expires}: the coordinator takes it no more");
        let remedy =
            "join again with `wardround node init --join TOKEN`; nothing of the node is lost by it";
        return Area::Identity.wrong(fact, remedy);
    }
    if now < credentials.certified().valid_from {
        let fact = "the certificate is not good yet: this machine's clock is behind";
        return Area::Identity.wrong(fact, "set the clock");
    }
    if now >= credentials.renewal_due_at().after(RENEWAL_PATIENCE) {
        let fact = format!("the certificate expires at {expires} and should have been renewed");
        let remedy = "let the node run, connected: it renews the certificate by itself";
        return Area::Identity.notice(fact, remedy);
    }
    Area::Identity.good(format!("\"{words}\", with a certificate until {expires}"))
}

async fn tunnel(proxy: &Proxy, address: &Address) -> Result<Finding, Finding> {
    match proxy.tunnel(address.host(), address.port()).await {
        Ok(_) => Ok(Area::Network.good(format!("proxy {proxy} makes a tunnel to {address}"))),
        Err(error) => Err(Area::Network.wrong(chain(&error), error.hint())),
    }
}

async fn directly(address: &Address) -> Result<(), Finding> {
    let addresses = resolve(address).await.map_err(|fact| {
        let remedy = "correct `coordinator` in node.toml, or the machine's name resolution";
        Area::Coordinator.wrong(fact, remedy)
    })?;
    knock(&addresses).await.map_err(|fact| {
        let mut remedy = "start the coordinator, or correct `coordinator` in node.toml".to_owned();
        if address.is_encrypted() && addresses.iter().all(|found| !found.ip().is_loopback()) {
            remedy.push_str("; where only a proxy reaches it, set HTTPS_PROXY");
        }
        Area::Coordinator.wrong(format!("{address}: {fact}"), remedy)
    })
}

async fn resolve(address: &Address) -> Result<Vec<SocketAddr>, String> {
    let host = address.host();
    let found = timeout(PATIENCE, lookup_host((host, address.port()))).await;
    let found: Vec<SocketAddr> = match found {
        Ok(Ok(found)) => found.collect(),
        Ok(Err(error)) => return Err(format!("the name {host} is not resolved: {error}")),
        Err(_) => return Err(format!("the name {host} is not resolved in time")),
    };
    if found.is_empty() {
        return Err(format!("the name {host} has no address"));
    }
    let is_strange = |&&address: &&SocketAddr| LoopbackAddress::try_from(address).is_err();
    match found.iter().find(is_strange) {
        Some(strange) if !address.is_encrypted() => {
            Err(format!("the name {host} leads to {strange}, another machine"))
        }
        Some(_) | None => Ok(found),
    }
}

/// Whether anybody listens at one of the addresses.
async fn knock(addresses: &[SocketAddr]) -> Result<(), String> {
    let mut last = String::new();
    for address in addresses {
        last = match timeout(PATIENCE, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(()),
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                "nobody listens at this port (connection refused)".to_owned()
            }
            Ok(Err(error)) => format!("it cannot be dialled: {error}"),
            Err(_) => format!("nobody answers within {} s", PATIENCE.as_secs()),
        };
    }
    Err(last)
}

/// Asks for the version, under the node's own name and without taking its line.
async fn greet(address: &Address, identity: &Identity) -> Finding {
    let asking = async {
        let line = dial(address, identity, dial::Settings::default()).await;
        let line = line.map_err(|error| not_dialled(address, &error))?;
        let answer = ResearcherServiceClient::new(line).status(v1::StatusRequest {}).await;
        answer.map(tonic::Response::into_inner).map_err(|status| not_answered(address, &status))
    };
    match timeout(PATIENCE, asking).await {
        Ok(Ok(status)) => judge(address, status),
        Ok(Err(finding)) => finding,
        Err(_) => {
            not_a_coordinator(address, &format!("it says nothing within {} s", PATIENCE.as_secs()))
        }
    }
}

fn not_dialled(address: &Address, error: &dial::Error) -> Finding {
    match (error, error.hint()) {
        (dial::Error::Certificate { .. } | dial::Error::NotTls { .. }, Some(hint)) => {
            Area::Coordinator.wrong(chain(error), hint)
        }
        _ => not_a_coordinator(address, &chain(error)),
    }
}

fn not_answered(address: &Address, status: &tonic::Status) -> Finding {
    let is_refused = refusal::code(status) == Some(Code::IdentityRefused);
    match peer::alert_within(status) {
        Some(alert) => {
            let fact = format!("{address} does not take this node's certificate ({alert})");
            let remedy = "compare this machine's clock with a good one; else ask the coordinator's operator for a token \
                          and join again with `wardround node init --join TOKEN`";
            Area::Identity.wrong(fact, remedy)
        }
        None if is_refused => {
            let fact = format!(
                "{address} does not take this node as a member: it was put out, or has joined anew elsewhere"
            );
            let remedy = "ask the coordinator's operator; with a new token, join again with `wardround node init --join TOKEN`";
            Area::Identity.wrong(fact, remedy)
        }
        None => not_a_coordinator(address, &chain(status)),
    }
}

fn not_a_coordinator(address: &Address, fact: &str) -> Finding {
    let fact = format!("{address} answers, but not as a coordinator: {fact}");
    Area::Coordinator.wrong(fact, "correct `coordinator` in node.toml")
}

fn judge(address: &Address, status: v1::StatusResponse) -> Finding {
    let software = status.software;
    match transport::wire_version::check(status.wire_version) {
        Ok(()) => Area::Coordinator.good(format!("{address} is {software}, of the same protocol")),
        Err(mismatch) => {
            let fact = format!("{address} is {software}: {mismatch}");
            Area::Coordinator.wrong(fact, "use the same version on both sides")
        }
    }
}

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after its time a renewal is late.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);
