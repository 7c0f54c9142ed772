//! Whether the coordinator is there and speaks as this node does.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::wire::v1;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use transport::address::LoopbackAddress;
use transport::{Caller, dial};
use v1::researcher_service_client::ResearcherServiceClient;

use super::{Area, Finding};
use crate::config::Config;
use crate::round_log::chain;

/// Finds the coordinator step by step, and says at which it ended.
pub(super) async fn examine(config: &Config) -> Vec<Finding> {
    let address = &config.coordinator;
    let addresses = match resolve(address).await {
        Ok(addresses) => addresses,
        Err(fact) => {
            let remedy = "correct `coordinator` in node.toml, or the machine's name resolution";
            return vec![Area::Coordinator.wrong(fact, remedy)];
        }
    };
    if let Err(fact) = knock(&addresses).await {
        let fact = format!("{address}: {fact}");
        return vec![
            Area::Coordinator
                .wrong(fact, "start the coordinator, or correct `coordinator` in node.toml"),
        ];
    }
    vec![greet(config).await]
}

async fn resolve(address: &transport::Address) -> Result<Vec<SocketAddr>, String> {
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
    match found.iter().find(|&&address| LoopbackAddress::try_from(address).is_err()) {
        Some(strange) => Err(format!("the name {host} leads to {strange}, another machine")),
        None => Ok(found),
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
async fn greet(config: &Config) -> Finding {
    let address = &config.coordinator;
    let not_one = |fact: String| {
        let fact = format!("{address} answers, but not as a coordinator: {fact}");
        Area::Coordinator.wrong(fact, "correct `coordinator` in node.toml")
    };
    let asking = async {
        let caller = Caller::Node(config.name.clone());
        let line = dial(address, &caller, dial::Settings::default()).await;
        let line = line.map_err(|error| chain(&error))?;
        let answer = ResearcherServiceClient::new(line).status(v1::StatusRequest {}).await;
        answer.map(tonic::Response::into_inner).map_err(|status| chain(&status))
    };
    match timeout(PATIENCE, asking).await {
        Ok(Ok(status)) => judge(address, status),
        Ok(Err(fact)) => not_one(fact),
        Err(_) => not_one(format!("it says nothing within {} s", PATIENCE.as_secs())),
    }
}

fn judge(address: &transport::Address, status: v1::StatusResponse) -> Finding {
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

#[cfg(test)]
mod tests {
    use protocol::WIRE_VERSION;

    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_coordinator_of_another_protocol_is_named_with_the_older_side() {
        let address = "http://127.0.0.1:7400".parse().unwrap();
        let status = |wire_version| v1::StatusResponse {
            wire_version,
            software: "wardround/9.9.9".to_owned(),
            ..v1::StatusResponse::default()
        };
        assert_eq!(judge(&address, status(WIRE_VERSION)).verdict, Verdict::Good);
        let newer = judge(&address, status(WIRE_VERSION + 1));
        assert_eq!(newer.verdict, Verdict::Wrong);
        assert!(
            newer.fact.contains("wardround/9.9.9: the other side speaks wire version"),
            "{newer:?}"
        );
        assert!(newer.fact.ends_with("this program is the older one"), "{newer:?}");
    }

    #[tokio::test]
    async fn a_port_where_nobody_listens_is_told() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let told = knock(&[address]).await.unwrap_err();
        assert!(told.contains("connection refused"), "{told}");
    }
}
