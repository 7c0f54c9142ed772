//! What a node finds when it attacks its own sandbox, before any plan can.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use sandbox::{Bounds, Launcher, Level};
use serde::{Deserialize, Serialize};

use crate::audit::{Action, Actor, Entry};
use crate::carrier::blocking;
use crate::registry::pythons;
use crate::round_log::chain;
use crate::site::Site;

/// What the self-test found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxStatus {
    /// The level that the machine reaches; `D` where it cannot confine, or an attack was not held.
    pub level: Level,
    /// What holds memory, threads and processor time: control groups, or the warden by itself.
    #[serde(default)]
    pub bounds: Bounds,
    /// What keeps it from the best level.
    pub missing: Vec<String>,
    /// The attacks that were not held.
    pub not_held: Vec<String>,
}

/// The last finding; none where no test was made yet.
#[derive(Debug, Default)]
pub(crate) struct SelfTest {
    found: Mutex<Option<SandboxStatus>>,
}

impl SelfTest {
    /// What was found.
    pub(crate) fn found(&self) -> Option<SandboxStatus> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, found: SandboxStatus) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
    }
}

/// Tests the sandbox where a registered interpreter could need it, once in the life of a process.
pub(crate) async fn run(site: Arc<Site>) {
    let is_needed = match site.database.read(pythons::all).await {
        Ok(interpreters) => !interpreters.is_empty(),
        Err(error) => {
            tracing::warn!(error = chain(&error), "the interpreters cannot be read");
            false
        }
    };
    let Some(program) = site.config.program.clone().filter(|_| is_needed) else { return };
    if site.self_test.found().is_some() {
        return;
    }
    let found = attack(program).await;
    tell(&found, site.config.python.minimum_sandbox_level);
    let entry = Entry::new(site.clock.now(), Actor::Node, Action::SandboxTest);
    let minimum = site.config.python.minimum_sandbox_level;
    site.audit.account(entry.sandbox_level(found.level).sandbox_minimum(minimum)).await;
    site.self_test.keep(found);
}

/// Tests the sandbox.
pub(crate) async fn attack(program: PathBuf) -> SandboxStatus {
    let launcher = Launcher::new(program).argument("sandbox").argument("launch");
    match blocking(move || sandbox::self_test(&launcher)).await {
        Ok(report) => SandboxStatus {
            level: report.level,
            bounds: report.bounds,
            not_held: report.probes.iter().filter(|probe| !probe.held).map(name).collect(),
            missing: report.missing,
        },
        Err(error) => SandboxStatus {
            level: Level::D,
            bounds: Bounds::default(),
            missing: vec![chain(&error)],
            not_held: Vec::new(),
        },
    }
}

fn name(probe: &sandbox::Probe) -> String {
    probe.name.to_owned()
}

fn tell(found: &SandboxStatus, minimum: Level) {
    let SandboxStatus { level, bounds, missing, not_held } = found;
    let missing = missing.join("; ");
    if *level < minimum {
        let not_held = not_held.join("; ");
        tracing::error!(%level, %minimum, missing, not_held, "Python plans are refused: the sandbox is too weak");
    } else {
        tracing::info!(%level, %bounds, missing, "the sandbox holds");
    }
}
