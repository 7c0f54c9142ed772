//! How well a machine confines.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::landlock;

/// How well a process is confined. `A` is the best and the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// A filter of system calls at most: nothing that comes from outside may run.
    D,
    /// Namespaces and a filter, without Landlock: only where the owner allows it.
    C,
    /// Landlock and a filter, but either no namespaces, or the same user as whoever started it.
    B,
    /// Landlock, a filter, namespaces, and a user of its own.
    A,
}

impl Level {
    /// The letter.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
            Self::D => "D",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.letter())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = [Self::A, Self::B, Self::C, Self::D];
        let found = all.into_iter().find(|level| level.letter().eq_ignore_ascii_case(text));
        found.ok_or_else(|| format!("\"{text}\" is not a level; levels are A, B, C and D"))
    }
}

/// What a launcher found when it tried each layer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// The version of Landlock's interface; 0 where there is none.
    pub landlock: u32,
    /// Whether a filter of system calls could be installed that asks the warden.
    pub filter: bool,
    /// Whether mount, process, network and other namespaces could be made.
    pub namespaces: bool,
    /// Whether the confined process has a user of its own, who owns nothing.
    pub own_user: bool,
    /// What holds memory, threads and processor time to their limits.
    pub bounds: Bounds,
}

/// What holds memory, threads and processor time to their limits. It does not change the level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bounds {
    /// A control group for each job, which the system enforces at once; the warden looks beside it.
    Cgroup,
    /// The warden, which looks every few milliseconds, and the limits of single processes.
    #[default]
    Watcher,
}

impl fmt::Display for Bounds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Cgroup => "cgroup",
            Self::Watcher => "watcher",
        })
    }
}

impl Facts {
    /// The level that these facts make.
    #[must_use]
    pub const fn level(&self) -> Level {
        let landlock = self.landlock >= landlock::OLDEST;
        match (self.filter, landlock, self.namespaces, self.own_user) {
            (true, true, true, true) => Level::A,
            (true, true, _, _) => Level::B,
            (true, false, true, _) => Level::C,
            (_, _, _, _) => Level::D,
        }
    }

    /// What keeps the level from being the best, in words for an operator.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if !self.filter {
            missing
                .push("a filter of system calls that asks (seccomp user notification)".to_owned());
        }
        if self.landlock < landlock::OLDEST {
            missing.push(format!(
                "Landlock of version {} or later (version {} found; Linux 6.7, with \"landlock\" among the \
                 security modules, and a container profile that allows it)",
                landlock::OLDEST,
                self.landlock
            ));
        }
        if !self.namespaces {
            missing.push("namespaces (root, or unprivileged user namespaces)".to_owned());
        }
        if !self.own_user {
            missing.push(
                "a user of its own (a node that runs as root, and paths that other users can read)"
                    .to_owned(),
            );
        }
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(landlock: u32, filter: bool, namespaces: bool, own_user: bool) -> Facts {
        Facts { landlock, filter, namespaces, own_user, bounds: Bounds::Watcher }
    }

    #[test]
    fn the_level_is_that_of_the_weakest_layer() {
        assert_eq!(facts(7, true, true, true).level(), Level::A);
        assert_eq!(facts(4, true, true, false).level(), Level::B);
        assert_eq!(facts(4, true, false, true).level(), Level::B);
        assert_eq!(facts(3, true, true, true).level(), Level::C);
        assert_eq!(facts(0, true, false, true).level(), Level::D);
        assert_eq!(facts(7, false, true, true).level(), Level::D);
    }

    #[test]
    fn levels_are_ordered_and_read_back() {
        assert!(Level::A > Level::B && Level::B > Level::C && Level::C > Level::D);
        assert_eq!("b".parse(), Ok(Level::B));
        assert!("E".parse::<Level>().is_err());
    }

    #[test]
    fn whatever_is_missing_is_named() {
        assert!(facts(7, true, true, true).missing().is_empty());
        assert_eq!(facts(0, false, false, false).missing().len(), 4);
    }
}
