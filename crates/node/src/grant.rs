//! A grant: the owner's word that a plan may run, with its bounds, signed with the node's key.
//!
//! A plan runs only under a grant that admits the request. Grants are looked at in the order in which they were given;
//! where none admits, the one that comes closest says why.

mod claim;
mod seal;

use std::collections::BTreeMap;
use std::fmt;

pub use protocol::ApprovalStatus as Status;
use protocol::{DatasetName, Digest, Timestamp};
use serde::{Deserialize, Serialize};
use training_plan::plan::Family;

pub(crate) use claim::{Claim, Kept, Verdict, covers, decide, status, use_of};
pub use seal::Error;
pub(crate) use seal::Seal;

use crate::audit::Actor;
use crate::policy::Bound;

/// What the owner grants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    /// The node's own number for it, from 1.
    pub number: u64,
    /// The plan that it was given for; of a family, the one that the family is made from.
    pub plan: Digest,
    /// The plan without its comments and its layout, so that the same plan written otherwise is recognised by what was
    /// signed; absent where that is not known of the plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normal: Option<Digest>,
    /// The plans that it is for, where they are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<Family>,
    /// Who may ask, beside the groups; everybody where neither is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub researchers: Vec<String>,
    /// Groups of the policy file whose members may ask.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// The datasets; all where none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub datasets: Vec<DatasetName>,
    /// What training arguments must be.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, Bound>,
    /// The most rounds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<u64>,
    /// The fewest rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_samples: Option<u64>,
    /// The measured values that may leave; those that the policy lets leave where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Vec<String>>,
    /// When it ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// What it is for, in the owner's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub purpose: String,
    /// When it was given.
    pub granted_at: Timestamp,
    /// Who gave it; absent for a decision that was made before there were grants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<Person>,
    /// Whether somebody else has to sign, or has.
    #[serde(default, skip_serializing_if = "Second::is_not_wanted")]
    pub second: Second,
    /// Who withdrew it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Signature>,
}

/// A user of the operating system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// The user's number.
    pub user: u32,
    /// The user's name, where the machine's own list has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// That somebody said something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Who.
    pub by: Person,
    /// When.
    pub at: Timestamp,
}

/// The second person's word.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Second {
    /// The policy did not ask for one.
    #[default]
    NotWanted,
    /// The grant counts once it is there.
    Awaited,
    /// It is there.
    Given(Signature),
}

impl Grant {
    /// A yes to everything that is asked of a plan.
    pub(crate) fn without_bounds(plan: Digest, granted_at: Timestamp) -> Self {
        Self {
            number: 0,
            plan,
            normal: None,
            family: None,
            researchers: Vec::new(),
            groups: Vec::new(),
            datasets: Vec::new(),
            arguments: BTreeMap::new(),
            rounds: None,
            minimum_samples: None,
            metrics: None,
            expires_at: None,
            purpose: String::new(),
            granted_at,
            granted_by: None,
            second: Second::NotWanted,
            revoked: None,
        }
    }

    /// What it comes to after so many rounds.
    pub fn status(&self, used: u64, now: Timestamp) -> Status {
        if self.revoked.is_some() {
            Status::Revoked
        } else if self.second == Second::Awaited {
            Status::Pending
        } else if self.expires_at.is_some_and(|end| now >= end) {
            Status::Expired
        } else if self.rounds.is_some_and(|rounds| used >= rounds) {
            Status::UsedUp
        } else {
            Status::Approved
        }
    }

    /// The text of it that the node signs.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("a grant is plain data with names for keys")
    }

    /// What names it with all its bounds: the digest of the text that is signed.
    pub fn digest(&self) -> Digest {
        Digest::of(self.text().as_bytes())
    }

    /// Since when it counts, or has counted; never where the second person has not signed.
    pub(crate) fn counted_from(&self) -> Option<Timestamp> {
        match &self.second {
            Second::NotWanted => Some(self.granted_at),
            Second::Awaited => None,
            Second::Given(signature) => Some(signature.at),
        }
    }

    /// Whether it bounds nobody and no dataset, so that one answer is everybody's.
    pub(crate) fn is_for_all(&self) -> bool {
        self.researchers.is_empty() && self.groups.is_empty() && self.datasets.is_empty()
    }
}

impl Second {
    fn is_not_wanted(&self) -> bool {
        *self == Self::NotWanted
    }
}

impl Person {
    /// Whoever commands the node; nobody where it is not a person.
    pub(crate) fn of(actor: &Actor) -> Option<Self> {
        match actor {
            Actor::Owner { user, name } => Some(Self { user: *user, name: name.clone() }),
            Actor::Researcher(_) | Actor::Node => None,
        }
    }
}

impl fmt::Display for Person {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(formatter, "{name} ({})", self.user),
            None => write!(formatter, "user {}", self.user),
        }
    }
}
