//! `wardround coordinator start`.

use std::net::SocketAddr;
use std::path::Path;

use coordinator::{Config, Coordinator};
use serde_json::json;

use crate::commands::{Folder, shutdown};
use crate::failure::Failure;
use crate::home::{self, Role};
use crate::logging::{self, LogFormat};
use crate::printer::Printer;

/// How the coordinator runs; what is given here wins over its configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// The address to listen on; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Serve plain loopback, where callers say who they are and are believed: for tests and benchmarks.
    #[arg(long)]
    insecure_loopback: bool,
    /// How log lines are written.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Stand still when an experiment enters this state, for tests of what a crash leaves behind.
    #[arg(long, hide = true, value_name = "STATE")]
    pause_at: Option<String>,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    logging::start(arguments.log_format);
    home::make_private();
    let folder = home::folder(arguments.folder.dir, Role::Coordinator)?;
    let mut config = configuration(&folder)?;
    config.listen = arguments.listen.unwrap_or(config.listen);
    config.insecure_loopback = arguments.insecure_loopback;
    if config.insecure_loopback && !config.listen.ip().is_loopback() {
        let message = format!(
            "address \"{}\" is not loopback: without encryption only this machine is served",
            config.listen
        );
        return Err(
            Failure::usage(message).hint("listen on 127.0.0.1:PORT; port 0 takes a free one")
        );
    }
    if let Some(state) = arguments.pause_at {
        let state = state.parse().map_err(|_| Failure::usage(format!("no state \"{state}\"")))?;
        config.pause_at = Some(state);
    }
    shutdown::daemon(async move {
        let coordinator = Coordinator::open(config).await.map_err(|error| refused(&error))?;
        let mut handle = coordinator.handle();
        let address = handle.address();
        printer.event(
            &json!({"event": "listening", "address": address.to_string(), "dir": folder}),
            Some(format!("listening on {address}")),
        );
        let paused = async {
            handle.paused().await;
            printer.event(&json!({"event": "paused"}), Some("stands still".to_owned()));
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = coordinator.run(shutdown::asked()) => {
                ended.map_err(|error| Failure::from_error(&error))
            }
            () = paused => Ok(()),
        }
    })
}

/// A folder's configuration with the environment's variables over it.
fn configuration(folder: &Path) -> Result<Config, Failure> {
    super::belongs_to_a_coordinator(folder)?;
    Config::load(folder, std::env::vars()).map_err(|error| Failure::from_error(&error))
}

fn refused(error: &coordinator::service::Error) -> Failure {
    let failure = Failure::from_error(error);
    match error {
        coordinator::service::Error::Folder(_) => failure.hint(shutdown::HELD_HINT),
        coordinator::service::Error::Listen(_) => {
            failure.hint("name another address with --listen; port 0 takes a free one")
        }
        _ => failure,
    }
}
