//! Identifiers and names. An identifier that exists is well formed: parsing is the only way in.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text is not the identifier or name it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// An identifier is not a UUID.
    #[error("{0} is a UUID in its hyphenated form")]
    NotUuid(&'static str),
    /// A name breaks the rule for names.
    #[error(
        "{0} has 1 to 64 characters, letters, digits, '.', '_' and '-', and starts with a letter or digit"
    )]
    NotName(&'static str),
}

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Takes a UUID made elsewhere.
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID itself.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                if text.len() != 36 {
                    return Err(Error::NotUuid($what));
                }
                Uuid::try_parse(text).map(Self).map_err(|_| Error::NotUuid($what))
            }
        }

        text_serde!($name);
    };
}

macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(Error::NotName($what)) }
            }
        }

        text_serde!($name);
    };
}

macro_rules! text_serde {
    ($name:ident) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

uuid_id!(
    /// Identifies an experiment at its coordinator; made by whoever submits it.
    ///
    /// Fed-BioMed called the nearest thing `job_id`.
    ExperimentId,
    "an experiment's id"
);
uuid_id!(
    /// Identifies one execution: an experiment's round and attempt on one dataset of one node.
    ///
    /// It is the key under which everything about the execution is idempotent.
    RoundId,
    "a round's id"
);
uuid_id!(
    /// Identifies a dataset that a node has registered.
    DatasetId,
    "a dataset's id"
);
uuid_id!(
    /// Joins what a researcher is told with what the node's own log says.
    CorrelationId,
    "a correlation id"
);
name_id!(
    /// A node's name: unique at its coordinator, and never changed.
    NodeId,
    "a node's name"
);
name_id!(
    /// A dataset's name: unique at its node.
    DatasetName,
    "a dataset's name"
);
name_id!(
    /// A researcher's name: unique at the coordinator.
    ResearcherId,
    "a researcher's name"
);

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=64).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_plain_and_starts_with_a_letter_or_digit() {
        for name in ["a", "north", "St.-Mary_2", &"n".repeat(64)] {
            assert_eq!(name.parse::<NodeId>().expect("is a name").as_str(), name);
        }
        for name in ["", ".", "-a", "a b", "a/b", "é", "a\n", &"n".repeat(65)] {
            assert_eq!(name.parse::<NodeId>(), Err(Error::NotName("a node's name")));
        }
    }

    #[test]
    fn an_id_has_one_spelling() {
        let text = "0197f3a0-0000-7000-8000-000000000001";
        assert_eq!(text.parse::<RoundId>().expect("is an id").to_string(), text);
        assert!("0197f3a0000070008000000000000001".parse::<RoundId>().is_err());
        assert!("{0197f3a0-0000-7000-8000-000000000001}".parse::<RoundId>().is_err());
    }
}
