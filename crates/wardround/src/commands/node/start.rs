//! `wardround node start`.

use node::{Config, Node, Notice};
use protocol::Phase;
use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use crate::commands::Folder;
use crate::commands::shutdown;
use crate::failure::Failure;
use crate::home;
use crate::logging::{self, LogFormat};
use crate::printer::Printer;

/// How the node runs; what is given here wins over its configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    folder: Folder,
    /// Let rounds that ask for a GPU have one.
    #[arg(long)]
    gpu: bool,
    /// The number of the GPU; implies --gpu.
    #[arg(long, value_name = "NUMBER")]
    gpu_num: Option<u32>,
    /// Run every round on the GPU; implies --gpu.
    #[arg(long)]
    gpu_only: bool,
    /// How log lines are written.
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Stand still where this phase begins, for tests of what a crash leaves behind.
    #[arg(long, hide = true, value_name = "PHASE")]
    pause_at: Option<Phase>,
}

pub(super) fn run(arguments: Arguments, printer: Printer) -> Result<(), Failure> {
    logging::start(arguments.log_format);
    home::make_private();
    let folder = super::folder(arguments.folder)?;
    let mut config = super::configuration(&folder)?;
    config.devices.gpu |= arguments.gpu;
    config.devices.gpu_num = arguments.gpu_num.or(config.devices.gpu_num);
    config.devices.gpu_only |= arguments.gpu_only;
    config.pause_at = arguments.pause_at;
    shutdown::daemon(async move {
        let (node, handle) = open(&folder, config.clone())?;
        printer.event(
            &json!({"event": "ready", "name": config.name, "coordinator": config.coordinator.to_string(),
                "dir": folder.root()}),
            Some(format!("node {} serves {}", config.name, config.coordinator)),
        );
        let notices = tell(handle.notices(), printer);
        let serving = node.run(shutdown::asked());
        tokio::select! {
            ended = serving => ended.map_err(|error| Failure::from_error(&error)),
            () = notices => Ok(()),
        }
    })
}

fn open(folder: &node::Folder, config: Config) -> Result<(Node, node::Handle), Failure> {
    Node::open(folder, config)
        .map_err(|error| Failure::from_error(&error).hint(shutdown::HELD_HINT))
}

/// Prints what the node tells, for ever.
async fn tell(mut notices: tokio::sync::broadcast::Receiver<Notice>, printer: Printer) {
    loop {
        match notices.recv().await {
            Ok(notice) => printer.event(&notice, line(&notice)),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn line(notice: &Notice) -> Option<String> {
    match notice {
        Notice::Connected => Some("connected".to_owned()),
        Notice::Disconnected => Some("the line is down; dialling again".to_owned()),
        Notice::Refused { code } => Some(format!("refused ({code}): {}", code.sentence())),
        Notice::RoundAccepted { round_id } => Some(format!("round {round_id} accepted")),
        Notice::RoundStarted { round_id, attempt } => {
            Some(format!("round {round_id} started, attempt {attempt}"))
        }
        Notice::RoundEnded { round_id, code } => Some(format!("round {round_id} ended: {code}")),
        Notice::Paused { round_id, phase } => {
            Some(format!("round {round_id} stands still at {phase}"))
        }
    }
}
