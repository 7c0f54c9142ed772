//! How a researcher's command finds its coordinator: `--coordinator`, the environment, or `researcher.toml`.

use std::future::Future;
use std::path::PathBuf;

use identity::credentials;
use protocol::Code;
use researcher::{Caller, Client, membership};
use serde::Deserialize;

use super::researcher::{Identity, refused};
use crate::failure::{Failure, Status, chain};
use crate::home::variable;

/// Which coordinator, and as whom.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Connection {
    /// The coordinator's address; without it, the one that you have joined. http:// is for plain loopback only.
    #[arg(long, value_name = "URL", env = "WARDROUND_COORDINATOR", hide_env_values = true)]
    pub(crate) coordinator: Option<String>,
    /// Your name over plain loopback, where nobody proves it; without it, that of the operating system's user.
    #[arg(long, value_name = "NAME", env = "WARDROUND_RESEARCHER", hide_env_values = true)]
    pub(crate) researcher: Option<String>,
    #[command(flatten)]
    pub(crate) identity: Identity,
}

/// What may stand in `researcher.toml`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    coordinator: Option<String>,
    name: Option<String>,
}

impl Connection {
    /// Connects: over plain loopback where the address asks for it by http://, else with the researcher's keys.
    pub(crate) async fn open(&self) -> Result<Client, Failure> {
        let configuration = Configuration::read()?;
        let url = self.coordinator.clone().or(configuration.coordinator);
        if let Some(url) = &url {
            Client::check_address(url).map_err(|error| failure(&error))?;
        }
        if let Some(url) = url.as_ref().filter(|url| url.starts_with("http://")) {
            let name = self.researcher.clone().or(configuration.name).or_else(|| variable("USER"));
            let name = name.unwrap_or_else(|| "researcher".to_owned());
            let name = name.parse().map_err(|error| {
                Failure::usage(error).hint("give another name with --researcher")
            })?;
            return connected(url, Caller::Researcher(name)).await;
        }
        let credentials = membership::open(&self.identity.folder()?).await;
        let credentials = credentials.map_err(|error| match error {
            membership::Error::Credentials(credentials::Error::Absent { .. }) if url.is_none() => {
                Failure::usage("no coordinator is named, and none was joined").hint(UNNAMED_HINT)
            }
            error => refused(&error),
        })?;
        let url = url.unwrap_or_else(|| credentials.coordinator().to_owned());
        connected(&url, credentials).await
    }
}

async fn connected(
    url: &str,
    identity: impl Into<researcher::Identity>,
) -> Result<Client, Failure> {
    Client::connect(url, identity).await.map_err(|error| failure(&error))
}

impl Configuration {
    fn read() -> Result<Self, Failure> {
        let Some(path) = Self::path() else { return Ok(Self::default()) };
        let Ok(text) = std::fs::read_to_string(&path) else { return Ok(Self::default()) };
        toml::from_str(&text)
            .map_err(|error| Failure::usage(format!("{}: {}", path.display(), error.message())))
    }

    fn path() -> Option<PathBuf> {
        if let Some(home) = variable("WARDROUND_HOME") {
            return Some(PathBuf::from(home).join("researcher.toml"));
        }
        let platform = directories::ProjectDirs::from("org", "Wardround", "wardround")?;
        Some(platform.config_dir().join("researcher.toml"))
    }
}

/// Runs a command that waits for the network; Ctrl-C ends it.
pub(crate) fn wait<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("no asynchronous runtime: {error}")))?;
    let mut work = Box::pin(work);
    let outcome = runtime.block_on(async {
        tokio::select! {
            outcome = &mut work => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::interrupted("interrupted")),
        }
    });
    if outcome.as_ref().is_err_and(|failure| failure.status == Status::Interrupted) {
        // Somebody who presses Ctrl-C does not wait for a thread that reads a file.
        runtime.shutdown_background();
        return outcome;
    }
    // Connections first: what the work holds may be a server, which would wait for them to answer.
    drop(runtime);
    outcome
}

/// What a command says of an error of the researcher's library.
pub(crate) fn failure(error: &researcher::Error) -> Failure {
    if let Some(code) = error.code() {
        let failure = Failure::coded(code, chain(error));
        return match code {
            Code::ExperimentUnknown => failure.hint("list them with `wardround experiment list`"),
            Code::ExperimentState => {
                failure.hint("see its state with `wardround experiment show ID`")
            }
            _ => failure,
        };
    }
    let mut failure = Failure::from_error(error);
    if error.is_unreachable() {
        failure.status = Status::Unreachable;
        return failure.hint("is the coordinator running, and is this its address?");
    }
    if let Some(hint) = error.hint() {
        return failure.hint(hint);
    }
    match error {
        researcher::Error::Definition(definition) => {
            if let Some(hint) = definition.hint() {
                failure = failure.hint(hint);
            }
        }
        researcher::Error::Address(_) => {
            failure.status = Status::Usage;
            failure = failure.hint(ADDRESS_HINT);
        }
        researcher::Error::NoModel { .. } => {
            failure = failure.hint("its first model comes with its submission; try again");
        }
        _ => {}
    }
    failure
}

/// What is said to whoever names no coordinator and has joined none.
const UNNAMED_HINT: &str = "join one with `wardround researcher init --join TOKEN`; for trials within one machine \
                            give --coordinator http://127.0.0.1:PORT or set WARDROUND_COORDINATOR";

/// What is said of an address that cannot be used.
pub(crate) const ADDRESS_HINT: &str =
    "an address is https://host:port; http://127.0.0.1:PORT is for trials within one machine";
