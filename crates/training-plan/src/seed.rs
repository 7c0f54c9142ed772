//! Seeds: every random choice of an experiment, derived from its one number.
//!
//! A derived seed is the SHA-256 of a list of items. Each item is written as its length in bytes,
//! an unsigned 64-bit little-endian integer, and then its bytes: a label or name as UTF-8, an
//! integer as 8 little-endian bytes, a digest as its 32 bytes. The first item is a label with a
//! version, so two purposes never share a seed and a change of the list is a new label.
//!
//! | label | items after it |
//! |---|---|
//! | `split/v1` | experiment seed, dataset digest, and the round where each round splits anew |
//! | `batches/v1` | experiment seed, round, node name, dataset name, epoch |
//! | `dropout/v1` | experiment seed, round, node name, dataset name, epoch |
//! | `init/v1` | experiment seed, tensor name |
//!
//! No generated id, clock, attempt number, thread count or path is an item: the same experiment on
//! the same data makes the same choices, also after a crash and a retry. A `random_seed` among the
//! training arguments takes the place of the experiment's seed and goes through the same lists.

use std::fmt;

use protocol::{DatasetName, Digest, Digester, NodeId};

/// 32 bytes that seed a generator, made for one purpose.
///
/// # Examples
///
/// ```
/// use protocol::Digest;
/// use training_plan::seed::Seed;
///
/// let dataset = Digest::of(b"the rows");
/// let fixed = Seed::split(42, &dataset);
/// assert_eq!(fixed, Seed::split(42, &dataset));
/// assert_ne!(fixed, Seed::split(43, &dataset));
/// assert_ne!(fixed, Seed::split_of_round(42, &dataset, 1));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Seed([u8; 32]);

/// Where in an experiment an epoch of training happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// The experiment's round, from 1.
    pub round: u64,
    /// The node's name.
    pub node: &'a NodeId,
    /// The dataset's name at the node.
    pub dataset: &'a DatasetName,
    /// The epoch within the round, from 0.
    pub epoch: u64,
}

impl Seed {
    /// Seeds the split into training and validation rows, the same in every round.
    #[must_use]
    pub fn split(experiment: u64, dataset: &Digest) -> Self {
        derive(SPLIT, &[Item::Integer(experiment), Item::Bytes(dataset.as_bytes())])
    }

    /// Seeds the split of one round, where each round splits anew.
    #[must_use]
    pub fn split_of_round(experiment: u64, dataset: &Digest, round: u64) -> Self {
        let dataset = Item::Bytes(dataset.as_bytes());
        derive(SPLIT, &[Item::Integer(experiment), dataset, Item::Integer(round)])
    }

    /// Seeds the order of the training rows in one epoch.
    #[must_use]
    pub fn batches(experiment: u64, place: Place<'_>) -> Self {
        derive(BATCHES, &place.items(experiment))
    }

    /// Seeds the dropout masks of one epoch.
    #[must_use]
    pub fn dropout(experiment: u64, place: Place<'_>) -> Self {
        derive(DROPOUT, &place.items(experiment))
    }

    /// Seeds the initial values of one tensor.
    #[must_use]
    pub fn initialisation(experiment: u64, tensor: &str) -> Self {
        derive(INITIALISATION, &[Item::Integer(experiment), Item::Bytes(tensor.as_bytes())])
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The 32 bytes, taken out.
    #[must_use]
    pub const fn into_bytes(self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Seed({})", Digest::from_bytes(self.0).short())
    }
}

impl<'a> Place<'a> {
    fn items(&self, experiment: u64) -> [Item<'a>; 5] {
        [
            Item::Integer(experiment),
            Item::Integer(self.round),
            Item::Bytes(self.node.as_str().as_bytes()),
            Item::Bytes(self.dataset.as_str().as_bytes()),
            Item::Integer(self.epoch),
        ]
    }
}

/// One item of the list under a seed.
#[derive(Clone, Copy)]
enum Item<'a> {
    Integer(u64),
    Bytes(&'a [u8]),
}

fn derive(label: &str, items: &[Item<'_>]) -> Seed {
    let mut digester = Digester::new();
    append(&mut digester, label.as_bytes());
    for item in items {
        match item {
            Item::Integer(integer) => append(&mut digester, &integer.to_le_bytes()),
            Item::Bytes(bytes) => append(&mut digester, bytes),
        }
    }
    Seed(*digester.finish().as_bytes())
}

fn append(digester: &mut Digester, item: &[u8]) {
    let length = u64::try_from(item.len()).expect("no item has 2^64 bytes");
    digester.update(&length.to_le_bytes());
    digester.update(item);
}

/// The label of the split's seed, as it stands in audit records.
pub const SPLIT: &str = "split/v1";
const BATCHES: &str = "batches/v1";
const DROPOUT: &str = "dropout/v1";
const INITIALISATION: &str = "init/v1";

#[cfg(test)]
mod tests {
    use super::*;

    fn hexadecimal(seed: Seed) -> String {
        Digest::from_bytes(seed.into_bytes()).hexadecimal()
    }

    // Made by python3: sha256(b"".join(len(x).to_bytes(8, "little") + x for x in items)).
    #[test]
    fn seeds_are_the_golden_ones() {
        let dataset = Digest::from_bytes([0xab; 32]);
        let node: NodeId = "north".parse().expect("is a name");
        let table: DatasetName = "breast-cancer".parse().expect("is a name");
        let place = Place { round: 3, node: &node, dataset: &table, epoch: 1 };
        let golden = [
            (
                Seed::split(42, &dataset),
                "1ccc31883e0227cd0aa5c78548c6c971277fc25ad66015b22f9f479d4c70a6ff",
            ),
            (
                Seed::split_of_round(42, &dataset, 7),
                "eff5a1df1bd7d2d8094ad236a801f3e49f88f650df2eb39eab260a53c5a0d3cd",
            ),
            (
                Seed::batches(42, place),
                "daf0719bc5b34509256225ae28170761ffdb66359ab81bd69cbfbe6b5e210160",
            ),
            (
                Seed::dropout(42, place),
                "d86545a3986518c99e0dc6e116e62eafddf0db36311bf753b058663a0c4fc450",
            ),
            (
                Seed::initialisation(u64::MAX, "layers.0.weight"),
                "5bcbfc7edf22b2ca7d0a70bd7681da92f20376abaf64d1c714fd58c0b0e58ec7",
            ),
        ];
        for (seed, expected) in golden {
            assert_eq!(hexadecimal(seed), expected);
        }
    }

    #[test]
    fn moving_a_character_between_names_changes_the_seed() {
        let (short, long): (NodeId, NodeId) =
            ("a".parse().expect("is a name"), "ab".parse().expect("is a name"));
        let (rest, whole): (DatasetName, DatasetName) =
            ("bc".parse().expect("is a name"), "c".parse().expect("is a name"));
        let left = Place { round: 1, node: &short, dataset: &rest, epoch: 0 };
        let right = Place { round: 1, node: &long, dataset: &whole, epoch: 0 };
        assert_ne!(Seed::batches(1, left), Seed::batches(1, right));
    }
}
