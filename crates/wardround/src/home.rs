//! Which folder a role lives in: `--dir`, else `WARDROUND_HOME`, else the platform's data folder.

use std::path::PathBuf;

use crate::failure::Failure;

/// Who keeps a folder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// The coordinator.
    Coordinator,
    /// A node.
    Node,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Node => "node",
        }
    }
}

/// Finds the folder of a role.
pub(crate) fn folder(given: Option<PathBuf>, role: Role) -> Result<PathBuf, Failure> {
    if let Some(folder) = given {
        return Ok(folder);
    }
    if let Some(home) = variable("WARDROUND_HOME") {
        return Ok(PathBuf::from(home).join(role.as_str()));
    }
    let platform = directories::ProjectDirs::from("org", "Wardround", "wardround");
    platform
        .map(|directories| directories.data_dir().join(role.as_str()))
        .ok_or_else(|| Failure::usage("this user has no home folder").hint("name one with --dir"))
}

/// An environment variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
