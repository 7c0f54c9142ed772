//! Whom an answer is about, so that two answers cannot be subtracted to find the few between them.

use protocol::Digest;

/// The patients of one group of an answer, by numbers that do not leave the node.
///
/// `Debug` tells how many there are: who they are must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Cohort {
    data: Digest,
    /// Sorted and distinct: of patients, the first bytes of their identifiers' digests; else the rows' places.
    members: Vec<u64>,
    are_patients: bool,
}

impl Cohort {
    /// The patients of these numbers, in the data of this digest.
    #[must_use]
    pub fn of_patients(data: Digest, members: Vec<u64>) -> Self {
        Self { data, members: distinct(members), are_patients: true }
    }

    /// The rows at these places, where the dataset does not say whose they are.
    #[must_use]
    pub fn of_rows(data: Digest, members: Vec<u64>) -> Self {
        Self { data, members: distinct(members), are_patients: false }
    }

    /// By how many patients two cohorts differ, as far as it is known; none where they are the same of the same data.
    ///
    /// In data that have changed, one patient at least is taken to be another. Rows of changed data cannot be told
    /// apart, so that only how many there are is compared.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<u64> {
        let is_same_data = self.data == other.data;
        let comparable = self.are_patients == other.are_patients;
        if is_same_data && comparable && self.members == other.members {
            return None;
        }
        if comparable && (self.are_patients || is_same_data) {
            return Some(unshared(&self.members, &other.members).max(1));
        }
        let (ours, others) = (self.members.len() as u64, other.members.len() as u64);
        Some(ours.abs_diff(others).max(1))
    }

    /// How many patients or rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// What is kept of the cohort.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD + self.members.len() * 8);
        bytes.push(u8::from(self.are_patients));
        bytes.extend_from_slice(self.data.as_bytes());
        bytes.extend(self.members.iter().flat_map(|member| member.to_le_bytes()));
        bytes
    }

    /// Reads what was kept; nothing where the bytes are no cohort.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, members) = bytes.split_at_checked(HEAD)?;
        let are_patients = match head[0] {
            0 => false,
            1 => true,
            _ => return None,
        };
        let data: [u8; 32] = head[1..].try_into().ok()?;
        let (members, rest) = members.as_chunks::<8>();
        let members: Vec<u64> = members.iter().map(|eight| u64::from_le_bytes(*eight)).collect();
        let ascend = members.windows(2).all(|pair| pair[0] < pair[1]);
        (ascend && rest.is_empty()).then(|| Self {
            data: Digest::from_bytes(data),
            members,
            are_patients,
        })
    }
}

impl std::fmt::Debug for Cohort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cohort({} members)", self.members.len())
    }
}

/// How many are in one of two sorted lists only.
fn unshared(left: &[u64], right: &[u64]) -> u64 {
    let (mut at, mut shared) = (0, 0_u64);
    for member in left {
        while right.get(at).is_some_and(|other| other < member) {
            at += 1;
        }
        shared += u64::from(right.get(at) == Some(member));
    }
    left.len() as u64 + right.len() as u64 - 2 * shared
}

fn distinct(mut members: Vec<u64>) -> Vec<u64> {
    members.sort_unstable();
    members.dedup();
    members
}

/// One byte for what the members are, and the digest.
const HEAD: usize = 33;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cohorts_differ_by_whoever_is_in_one_of_them_only() {
        let data = Digest::of(b"one");
        let one = Cohort::of_patients(data, vec![3, 1, 2, 2]);
        assert_eq!(one.len(), 3);
        assert_eq!(one.difference(&one), None);
        assert_eq!(one.difference(&Cohort::of_patients(data, vec![2, 3, 4, 5])), Some(3));
        let changed = Cohort::of_patients(Digest::of(b"two"), vec![1, 2, 3]);
        assert_eq!(one.difference(&changed), Some(1), "one of them may be described otherwise");
    }

    #[test]
    fn rows_of_changed_data_are_counted_only() {
        let one = Cohort::of_rows(Digest::of(b"one"), (0..50).collect());
        let more = Cohort::of_rows(Digest::of(b"two"), (0..60).collect());
        assert_eq!(one.difference(&more), Some(10));
        assert_eq!(
            one.difference(&Cohort::of_rows(Digest::of(b"one"), (1..51).collect())),
            Some(2)
        );
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else_is() {
        let cohort = Cohort::of_patients(Digest::of(b"one"), vec![7, 9]);
        let bytes = cohort.to_bytes();
        assert_eq!(Cohort::from_bytes(&bytes), Some(cohort));
        assert_eq!(Cohort::from_bytes(&bytes[1..]), None);
        assert_eq!(Cohort::from_bytes(&[&[2], &bytes[1..]].concat()), None);
    }
}
