//! What is wrong with a node, in words, and what to do about it.
//!
//! It looks whether a daemon runs or not. While one runs, the daemon itself looks at what its rounds need: its view of
//! the disk and of the sandbox counts, not that of whoever asks.

mod audit;
mod coordinator;
mod folder;
pub(crate) mod machine;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use store::{Clock, FolderLock, SystemClock, folder_lock};

use crate::administration::{self, Administration};
use crate::config::Config;
use crate::folder::Folder;
use crate::round_log::chain;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at.
    pub area: Area,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub fact: String,
    /// More about it, one line each.
    #[serde(default)]
    pub details: Vec<String>,
    /// What to do about it.
    #[serde(default)]
    pub remedy: Option<String>,
}

/// What can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Area {
    /// The node's folder and who may enter it.
    Folder,
    /// The process that runs the node.
    Process,
    /// `node.toml` and the variables over it.
    Configuration,
    /// The database.
    Database,
    /// Rounds that can neither end nor go on.
    Rounds,
    /// Room on the disk.
    Disk,
    /// The time of day.
    Clock,
    /// The audit log.
    Audit,
    /// The sandbox of Python plans.
    Sandbox,
    /// An interpreter of Python plans.
    Interpreter,
    /// A dataset.
    Dataset,
    /// Who the node is to its coordinator.
    Identity,
    /// The way to the coordinator.
    Network,
    /// The line to the coordinator.
    Coordinator,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Worth knowing; rounds can run.
    Notice,
    /// Something does not work, or will not.
    Wrong,
}

impl Area {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Folder => "folder",
            Self::Process => "process",
            Self::Configuration => "configuration",
            Self::Database => "database",
            Self::Rounds => "rounds",
            Self::Disk => "disk",
            Self::Clock => "clock",
            Self::Audit => "audit log",
            Self::Sandbox => "sandbox",
            Self::Interpreter => "interpreter",
            Self::Dataset => "dataset",
            Self::Identity => "identity",
            Self::Network => "network",
            Self::Coordinator => "coordinator",
        }
    }

    pub(crate) fn good(self, fact: impl Into<String>) -> Finding {
        self.found(Verdict::Good, fact.into(), None)
    }

    pub(crate) fn notice(self, fact: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.found(Verdict::Notice, fact.into(), Some(remedy.into()))
    }

    pub(crate) fn wrong(self, fact: impl Into<String>, remedy: impl Into<String>) -> Finding {
        self.found(Verdict::Wrong, fact.into(), Some(remedy.into()))
    }

    const fn found(self, verdict: Verdict, fact: String, remedy: Option<String>) -> Finding {
        Finding { area: self, verdict, fact, details: Vec::new(), remedy }
    }
}

/// Looks at everything that a node needs.
///
/// `variables` are those of the environment, and `program` is what confines Python plans.
///
/// Where no daemon runs, the folder is held while it is looked at, and an older database is brought to this version,
/// as every command of the owner does.
pub async fn examine(
    folder: &Folder,
    variables: impl IntoIterator<Item = (String, String)>,
    program: Option<PathBuf>,
) -> Vec<Finding> {
    let (mut findings, may_open) = folder::examine(folder);
    if !may_open {
        return findings;
    }
    let config = match Config::load(folder, variables) {
        Ok(config) => Config { program, ..config },
        Err(error) => {
            let fact = format!("{}; nothing else was looked at", chain(&error));
            findings.push(Area::Configuration.wrong(fact, "correct it, and ask again"));
            return findings;
        }
    };
    findings.push(Area::Configuration.good(format!("node.toml names the node {}", config.name)));
    findings.push(process(folder));
    findings.push(machine::clock(SystemClock.now()));
    findings.push(audit::examine(folder).await);
    findings.extend(folder_contents(folder, &config).await);
    findings.extend(coordinator::examine(folder, &config).await);
    findings
}

/// Whether a daemon has the folder.
fn process(folder: &Folder) -> Finding {
    match FolderLock::holder(folder.root()) {
        Ok(None) => Area::Process
            .notice("no node runs with this folder", "start it with `wardround node start`"),
        Ok(Some(folder_lock::Holder { process: Some(process) })) => {
            Area::Process.good(format!("process {process} has the folder"))
        }
        Ok(Some(folder_lock::Holder { process: None })) => {
            Area::Process.good("another process has the folder")
        }
        Err(error) => Area::Process.wrong(
            chain(&error),
            "let the user who runs the node write to the folder, on a disk that is not read-only",
        ),
    }
}

/// What the daemon finds, or this process in its place.
async fn folder_contents(folder: &Folder, config: &Config) -> Vec<Finding> {
    let asked = match Administration::open(folder, config.clone()).await {
        Ok(administration) => {
            let status = administration.status().await;
            administration.examine().await.map(|findings| (findings, status))
        }
        Err(error) => Err(error),
    };
    match asked {
        Ok((mut findings, status)) => {
            if status.is_ok_and(|status| status.is_running && !status.is_connected) {
                let fact = "the node runs and is not connected";
                let remedy = "what follows may say why; so does the node's log";
                findings.push(Area::Coordinator.notice(fact, remedy));
            }
            findings
        }
        Err(error) => {
            let mut findings = vec![unopened(&error)];
            findings.push(machine::disk(folder, config.cache_bytes));
            let level = config.python.minimum_sandbox_level;
            findings.push(machine::sandbox(config.program.clone(), level, None).await);
            findings
        }
    }
}

fn unopened(error: &administration::Error) -> Finding {
    match error {
        administration::Error::Unreachable(_) => Area::Process.wrong(
            format!("the process that has the folder does not answer: {}", chain(error)),
            "look into its log; end it and start the node again if it stays silent",
        ),
        administration::Error::Refused { .. } | administration::Error::Unreadable(_) => {
            Area::Process.wrong(
                format!("the node that runs cannot be asked: {}", chain(error)),
                "it may be of another version: restart it with this one",
            )
        }
        administration::Error::Folder(_) => Area::Database.wrong(
            chain(error),
            "restore the folder from its backup, or use the version of the program that wrote it",
        ),
    }
}
