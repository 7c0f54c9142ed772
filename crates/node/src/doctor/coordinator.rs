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
    findings.extend(greet(address, &identity, clock.as_ref()).await);
    findings
}

/// How long the node's own certificate is good.
fn certificate(credentials: &Credentials, now: Timestamp) -> Finding {
    let (words, expires) = (credentials.identity().fingerprint(), credentials.expires_at());
    if now >= expires {
        let fact =
            format!("the certificate has expired at {expires}: the coordinator takes it no more");
        let remedy = "compare this machine's clock with a good one; if it is right, join again with `wardround node init --join \
             TOKEN`: nothing of the node is lost by it";
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
async fn greet(address: &Address, identity: &Identity, clock: &dyn Clock) -> Vec<Finding> {
    let asking = async {
        let line = dial(address, identity, dial::Settings::default()).await;
        let line = line.map_err(|error| not_dialled(address, &error))?;
        let answer = ResearcherServiceClient::new(line).status(v1::StatusRequest {}).await;
        answer.map(tonic::Response::into_inner).map_err(|status| not_answered(address, &status))
    };
    match timeout(PATIENCE, asking).await {
        Ok(Ok(status)) => {
            let difference = compare(status.now, clock.now());
            std::iter::once(judge(address, status)).chain(difference).collect()
        }
        Ok(Err(finding)) => vec![finding],
        Err(_) => {
            let fact = format!("it says nothing within {} s", PATIENCE.as_secs());
            vec![not_a_coordinator(address, &fact)]
        }
    }
}

fn not_dialled(address: &Address, error: &dial::Error) -> Finding {
    match (error, error.hint()) {
        (
            dial::Error::Certificate { .. }
            | dial::Error::NotTls { .. }
            | dial::Error::OtherTls { .. },
            Some(hint),
        ) => Area::Coordinator.wrong(chain(error), hint),
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

/// Whether this machine's clock and the coordinator's differ by more than clocks do that are kept; nothing where they do
/// not, or the coordinator does not say.
fn compare(theirs: u64, own: Timestamp) -> Option<Finding> {
    let difference = theirs.abs_diff(own.milliseconds());
    if theirs == 0 || difference <= CLOCKS_DIFFER {
        return None;
    }
    let side = if own.milliseconds() > theirs { "ahead of" } else { "behind" };
    let seconds = difference / 1_000;
    let fact = format!("this machine's clock is {seconds} s {side} the coordinator's");
    let remedy = "set the clock that is wrong, and let it be kept: certificates, deadlines and records follow it";
    Some(Area::Clock.wrong(fact, remedy))
}

/// Milliseconds by which clocks that are kept may differ.
const CLOCKS_DIFFER: u64 = 60_000;
/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long after its time a renewal is late.
const RENEWAL_PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_differ_are_told_with_the_side_and_by_how_much() {
        let own = Timestamp::from_milliseconds(1_795_000_000_000);
        let at = |difference: i64| own.milliseconds().saturating_add_signed(difference);
        for kept in [0, 60_000, -60_000] {
            assert!(compare(at(kept), own).is_none(), "{kept}");
        }
        assert!(compare(0, own).is_none(), "an older coordinator says nothing");
        let ahead = compare(at(-86_400_000), own).unwrap();
        assert_eq!(ahead.area, Area::Clock);
        assert_eq!(ahead.fact, "this machine's clock is 86400 s ahead of the coordinator's");
        let behind = compare(at(61_000), own).unwrap();
        assert_eq!(behind.fact, "this machine's clock is 61 s behind the coordinator's");
    }
}
