//! Which folder a role lives in: `--dir`, else `WARDROUND_HOME`, else the user's own, else the installed service's.

use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use crate::failure::Failure;

/// Who keeps a folder.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Role {
    /// The coordinator.
    Coordinator,
    /// A node.
    Node,
    /// A researcher.
    Researcher,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Node => "node",
            Self::Researcher => "researcher",
        }
    }

    /// The folder of the service that the package installs for this role.
    const fn service(self) -> Option<&'static str> {
        match self {
            Self::Coordinator => Some("/var/lib/wardround-coordinator"),
            Self::Node => Some("/var/lib/wardround-node"),
            Self::Researcher => None,
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
    let own = platform.map(|directories| directories.data_dir().join(role.as_str()));
    choose(own, role.service().map(PathBuf::from))
        .ok_or_else(|| Failure::usage("this user has no home folder").hint("name one with --dir"))
}

/// The user's own folder where it has been made, else the service's where the package is installed.
fn choose(own: Option<PathBuf>, service: Option<PathBuf>) -> Option<PathBuf> {
    match (own, service) {
        (Some(own), _) if own.exists() => Some(own),
        (_, Some(service)) if service.exists() => Some(service),
        (own, _) => own,
    }
}

/// Whatever this process makes from here on is its user's alone: databases, logs and configuration of a daemon.
///
/// A folder that a group may enter, to reach the socket in it, shows the group nothing else.
pub(crate) fn make_private() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
}

/// What a command must be given to find a folder that was named: nothing where it was not.
pub(crate) fn argument(given: Option<&Path>) -> String {
    given.map(|folder| format!(" --dir {}", folder.display())).unwrap_or_default()
}

/// Refuses a folder in which another daemon lives: both would hold the same lock.
pub(crate) fn refuse_other_role(folder: &Path, role: Role) -> Result<(), Failure> {
    let other = match role {
        Role::Coordinator => Role::Node,
        Role::Node => Role::Coordinator,
        Role::Researcher => return Ok(()),
    };
    if !folder.join(format!("{}.toml", other.as_str())).exists() {
        return Ok(());
    }
    let message = format!("folder {} belongs to a {} already", folder.display(), other.as_str());
    Err(Failure::failed(message).hint("name another folder with --dir"))
}

/// An environment variable that is set and not empty.
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_ones_own_comes_before_the_services() {
        let place = tempfile::tempdir().unwrap();
        let (own, service) = (place.path().join("own"), place.path().join("service"));
        let chosen = || choose(Some(own.clone()), Some(service.clone()));
        assert_eq!(chosen(), Some(own.clone()), "the package is not installed");
        std::fs::create_dir(&service).unwrap();
        assert_eq!(chosen(), Some(service.clone()), "nothing of one's own is there");
        assert_eq!(choose(None, Some(service.clone())), Some(service.clone()));
        std::fs::create_dir(&own).unwrap();
        assert_eq!(chosen(), Some(own.clone()));
        assert_eq!(choose(None, None), None);
    }
}
