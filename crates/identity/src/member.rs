//! Who takes part: a node or a researcher, by name.

use std::fmt;
use std::str::FromStr;

use protocol::{NodeId, ResearcherId};

/// A node or a researcher, by its name.
///
/// # Examples
///
/// ```
/// use identity::Member;
///
/// let member: Member = "node:north".parse()?;
/// assert_eq!(member.to_string(), "node:north");
/// assert_eq!(member.name(), "north");
/// # Ok::<(), identity::member::NotMember>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Member {
    /// A hospital's node, written `node:<name>`.
    Node(NodeId),
    /// A researcher, written `researcher:<name>`.
    Researcher(ResearcherId),
}

/// What a member is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// A hospital's node.
    Node,
    /// A researcher.
    Researcher,
}

/// The text of a member does not name one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a member is \"node:\" or \"researcher:\" and a name")]
pub struct NotMember;

/// The text is no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a role is \"node\" or \"researcher\"")]
pub struct NotRole;

impl Member {
    /// Joins a role and a name.
    ///
    /// # Errors
    ///
    /// Says the rule of names where `name` breaks it.
    pub fn new(role: Role, name: &str) -> Result<Self, protocol::id::Error> {
        match role {
            Role::Node => name.parse().map(Self::Node),
            Role::Researcher => name.parse().map(Self::Researcher),
        }
    }

    /// What the member is.
    pub fn role(&self) -> Role {
        match self {
            Self::Node(_) => Role::Node,
            Self::Researcher(_) => Role::Researcher,
        }
    }

    /// The member's name, which is its own within its role.
    pub fn name(&self) -> &str {
        match self {
            Self::Node(name) => name.as_str(),
            Self::Researcher(name) => name.as_str(),
        }
    }
}

impl fmt::Display for Member {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.role(), self.name())
    }
}

impl FromStr for Member {
    type Err = NotMember;

    fn from_str(text: &str) -> Result<Self, NotMember> {
        let (role, name) = text.split_once(':').ok_or(NotMember)?;
        let role = role.parse().map_err(|_| NotMember)?;
        Self::new(role, name).map_err(|_| NotMember)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Node => "node",
            Self::Researcher => "researcher",
        })
    }
}

impl FromStr for Role {
    type Err = NotRole;

    fn from_str(text: &str) -> Result<Self, NotRole> {
        match text {
            "node" => Ok(Self::Node),
            "researcher" => Ok(Self::Researcher),
            _ => Err(NotRole),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_written_and_read_back() {
        for text in ["node:north", "researcher:ada"] {
            assert_eq!(text.parse::<Member>().unwrap().to_string(), text);
        }
        for text in ["", "north", "node:", "admin:root", "node:a b", "node:a:b", "Node:a"] {
            assert_eq!(text.parse::<Member>(), Err(NotMember), "{text}");
        }
    }
}
