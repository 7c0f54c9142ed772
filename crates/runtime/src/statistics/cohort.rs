//! Whom an answer is about, so that two answers cannot be subtracted to find the few between them.

use protocol::Digest;

/// The patients of one group of an answer and their rows, by numbers that do not leave the node.
///
/// `Debug` tells how many there are: who they are must not reach a log.
#[derive(Clone, PartialEq, Eq)]
pub struct Cohort {
    data: Digest,
    members: Members,
}

/// A row of a patient.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PatientRow {
    /// The patient: the same number in every version of the data.
    pub patient: u64,
    /// Which of the patient's rows it is.
    pub row: u64,
}

/// Sorted and distinct.
#[derive(Clone, PartialEq, Eq)]
enum Members {
    /// Places, where the dataset does not say whose the rows are.
    Rows(Vec<u64>),
    Patients(Vec<Patient>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Patient {
    number: u64,
    /// The first bytes of a digest of the patient's rows in the group.
    rows: u64,
}

impl Cohort {
    /// These rows of patients, in the data of this digest.
    #[must_use]
    pub fn of_patients(data: Digest, mut rows: Vec<PatientRow>) -> Self {
        rows.sort_unstable();
        rows.dedup();
        let patients = rows.chunk_by(|one, next| one.patient == next.patient).map(|rows| {
            let bytes: Vec<u8> = rows.iter().flat_map(|row| row.row.to_le_bytes()).collect();
            Patient { number: rows[0].patient, rows: first_number(Digest::of(&bytes)) }
        });
        Self { data, members: Members::Patients(patients.collect()) }
    }

    /// The rows at these places, where the dataset does not say whose they are.
    #[must_use]
    pub fn of_rows(data: Digest, mut places: Vec<u64>) -> Self {
        places.sort_unstable();
        places.dedup();
        Self { data, members: Members::Rows(places) }
    }

    /// The same with other numbers for the patients, which tell nothing to whoever does not know the rule.
    #[must_use]
    pub fn renumbered(self, number: impl Fn(u64) -> u64) -> Self {
        let members = match self.members {
            Members::Rows(places) => Members::Rows(places),
            Members::Patients(mut patients) => {
                patients.iter_mut().for_each(|patient| patient.number = number(patient.number));
                patients.sort_unstable();
                patients.dedup_by_key(|patient| patient.number);
                Members::Patients(patients)
            }
        };
        Self { members, ..self }
    }

    /// By how many patients two cohorts differ, as far as it is known; none where they are the same of the same data.
    ///
    /// A patient of whom they hold other rows is one by whom they differ. In data that have changed, one patient at
    /// least is taken to be another, and nothing is known of the rows; rows without patients cannot be told apart
    /// there, so that only how many there are is compared.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Option<u64> {
        if self == other {
            return None;
        }
        let is_same_data = self.data == other.data;
        let differing = match (&self.members, &other.members) {
            (Members::Patients(ours), Members::Patients(others)) if is_same_data => {
                // One who is in both with other rows is met twice.
                let unshared = unshared(ours.iter(), others.iter());
                let twice = shared(ours.iter().map(number), others.iter().map(number))
                    - shared(ours.iter(), others.iter());
                unshared - twice
            }
            (Members::Patients(ours), Members::Patients(others)) => {
                unshared(ours.iter().map(number), others.iter().map(number))
            }
            (Members::Rows(ours), Members::Rows(others)) if is_same_data => {
                unshared(ours.iter(), others.iter())
            }
            _ => (self.len() as u64).abs_diff(other.len() as u64),
        };
        Some(differing.max(1))
    }

    /// How many patients or rows there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.members {
            Members::Rows(places) => places.len(),
            Members::Patients(patients) => patients.len(),
        }
    }

    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What is kept of the cohort.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let (kind, numbers): (u8, Vec<u64>) = match &self.members {
            Members::Rows(places) => (OF_ROWS, places.clone()),
            Members::Patients(patients) => {
                let numbers = patients.iter().flat_map(|patient| [patient.number, patient.rows]);
                (OF_PATIENTS, numbers.collect())
            }
        };
        let mut bytes = Vec::with_capacity(HEAD + numbers.len() * 8);
        bytes.push(kind);
        bytes.extend_from_slice(self.data.as_bytes());
        bytes.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    /// Reads what was kept; nothing where the bytes are no cohort.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (head, numbers) = bytes.split_at_checked(HEAD)?;
        let data: [u8; 32] = head[1..].try_into().ok()?;
        let (numbers, rest) = numbers.as_chunks::<8>();
        let numbers: Vec<u64> = numbers.iter().map(|eight| u64::from_le_bytes(*eight)).collect();
        let members = match head[0] {
            OF_ROWS => {
                numbers.is_sorted_by(|one, next| one < next).then_some(Members::Rows(numbers))
            }
            OF_PATIENTS => {
                let (pairs, rest) = numbers.as_chunks::<2>();
                let patients: Vec<Patient> = pairs
                    .iter()
                    .map(|[number, rows]| Patient { number: *number, rows: *rows })
                    .collect();
                let ascend = patients.is_sorted_by(|one, next| one.number < next.number);
                (ascend && rest.is_empty()).then_some(Members::Patients(patients))
            }
            _ => None,
        };
        let members = members.filter(|_| rest.is_empty())?;
        Some(Self { data: Digest::from_bytes(data), members })
    }
}

impl std::fmt::Debug for Cohort {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Cohort({} members)", self.len())
    }
}

fn number(patient: &Patient) -> u64 {
    patient.number
}

fn first_number(digest: Digest) -> u64 {
    let (first, _) = digest.as_bytes().split_first_chunk().expect("a digest has 32 bytes");
    u64::from_le_bytes(*first)
}

/// How many are in one of two ascending lists only.
fn unshared<T: Ord>(
    left: impl ExactSizeIterator<Item = T> + Clone,
    right: impl ExactSizeIterator<Item = T> + Clone,
) -> u64 {
    (left.len() + right.len()) as u64 - 2 * shared(left, right)
}

/// How many are in both of two ascending lists.
fn shared<T: Ord>(left: impl Iterator<Item = T>, right: impl Iterator<Item = T>) -> u64 {
    let mut right = right.peekable();
    left.map(|one| {
        while right.next_if(|other| *other < one).is_some() {}
        u64::from(right.next_if(|other| *other == one).is_some())
    })
    .sum()
}

/// One byte for what the members are, and the digest.
const HEAD: usize = 33;

const OF_ROWS: u8 = 0;
/// 1 was that of patients alone, by digests of their identifiers.
const OF_PATIENTS: u8 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    /// A row of each of these patients.
    fn single(data: Digest, patients: impl IntoIterator<Item = u64>) -> Cohort {
        let row = |patient| PatientRow { patient, row: 1 };
        Cohort::of_patients(data, patients.into_iter().map(row).collect())
    }

    #[test]
    fn cohorts_differ_by_whoever_is_in_one_of_them_only() {
        let data = Digest::of(b"one");
        let one = single(data, [3, 1, 2, 2]);
        assert_eq!(one.len(), 3);
        assert_eq!(one.difference(&one), None);
        assert_eq!(one.difference(&single(data, [2, 3, 4, 5])), Some(3));
        let changed = single(Digest::of(b"two"), [1, 2, 3]);
        assert_eq!(one.difference(&changed), Some(1), "one of them may be described otherwise");
    }

    #[test]
    fn cohorts_of_the_same_patients_differ_by_those_of_whom_they_hold_other_rows() {
        let data = Digest::of(b"one");
        let row = |patient, row| PatientRow { patient, row };
        let one = Cohort::of_patients(data, vec![row(1, 1), row(1, 2), row(2, 1), row(3, 1)]);
        let other = Cohort::of_patients(data, vec![row(1, 1), row(2, 1), row(3, 2)]);
        assert_eq!(one.difference(&other), Some(2));
        assert_eq!(other.difference(&one), Some(2));
        let more = Cohort::of_patients(data, vec![row(1, 1), row(2, 1), row(4, 1)]);
        assert_eq!(one.difference(&more), Some(3), "1 with another row, 3 and 4");
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
    fn other_numbers_for_the_patients_change_no_difference() {
        let data = Digest::of(b"one");
        let (one, other) = (single(data, 0..50), single(data, 7..50));
        let turn = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (one, other) = (one.renumbered(turn), other.renumbered(turn));
        assert_eq!(one.difference(&other), Some(7));
        assert_eq!(Cohort::from_bytes(&one.to_bytes()), Some(one), "they are sorted again");
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else_is() {
        for cohort in
            [single(Digest::of(b"one"), [7, 9]), Cohort::of_rows(Digest::of(b"one"), vec![7, 9])]
        {
            let bytes = cohort.to_bytes();
            assert_eq!(Cohort::from_bytes(&bytes), Some(cohort));
            assert_eq!(Cohort::from_bytes(&bytes[1..]), None);
            assert_eq!(Cohort::from_bytes(&bytes[..bytes.len() - 4]), None);
            assert_eq!(Cohort::from_bytes(&[&[1], &bytes[1..]].concat()), None);
        }
    }
}
