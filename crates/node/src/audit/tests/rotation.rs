//! Logs whose key was replaced: what is found of every change, and which key vouches for what.

use super::*;

/// What becomes of the key in the middle of a log.
fn replacement(handover: Handover, countersigned: Option<(u64, Digest)>) -> Replacement {
    let action = match handover {
        Handover::Rotated => Action::LogRotate,
        Handover::Lost => Action::LogBreak,
    };
    let entry = Entry::new(Timestamp::from_milliseconds(7), Actor::user(0), action);
    Replacement { entry, handover, countersigned, pause_at: None }
}

impl Written {
    fn replace(&mut self, handover: Handover) -> Result<Replaced, Error> {
        let replaced = self.log.replace(&replacement(handover, None))?;
        place(&self.folder).unwrap();
        Ok(replaced)
    }

    fn lose_the_key(&mut self) {
        fs::remove_file(self.folder.audit_key()).unwrap();
        self.log = log(&self.folder);
    }

    fn go_on(&mut self, records: std::ops::Range<u64>) {
        let entries: Vec<Entry> = records.map(entry).collect();
        self.log.append(&entries, Wanted::Synchronised).unwrap();
    }
}

/// Five records, a rotation, three records, a loss, two records.
fn rotated_and_lost() -> (Written, Replaced, Replaced) {
    let mut written = Written::of(5);
    let rotated = written.replace(Handover::Rotated).unwrap();
    written.go_on(6..9);
    written.lose_the_key();
    let lost = written.replace(Handover::Lost).unwrap();
    written.go_on(9..11);
    (written, rotated, lost)
}

fn expecting(key: PublicKey) -> Expectation {
    Expectation { key: Some(key), ..Expectation::default() }
}

#[test]
fn a_log_is_whole_over_a_rotation_and_a_lost_key_and_says_which_key_vouches_for_what() {
    let (written, rotated, lost) = rotated_and_lost();
    assert_eq!((rotated.record, lost.record), (6, 10));
    assert_eq!(rotated.key, lost.before);
    let verified = check(&written.bytes()).unwrap();
    assert_eq!((verified.records, &verified.key), (12, &lost.key.to_string()));
    let earlier: Vec<_> = verified
        .earlier_keys
        .iter()
        .map(|earlier| (earlier.key.clone(), earlier.last_record, earlier.end))
        .collect();
    let (first, second) = (rotated.before.to_string(), rotated.key.to_string());
    assert_eq!(earlier, [(first, 6, Handover::Rotated), (second, 9, Handover::Lost)]);
    // A new process goes on where this one ended, with the key that lies there.
    let mut again = log(&written.folder);
    again.append(&[entry(11)], Wanted::Synchronised).unwrap();
    let own = verify_own(&written.folder, Expectation::default()).unwrap();
    assert_eq!((own.records, own.key), (13, lost.key.to_string()));
}

#[test]
fn a_key_vouches_over_rotations_in_both_directions_and_not_over_a_loss() {
    let (written, rotated, lost) = rotated_and_lost();
    let bytes = written.bytes();
    let before_the_loss = &bytes[..boundaries(&bytes)[9]];
    for key in [rotated.before, rotated.key] {
        verify(before_the_loss, &expecting(key)).unwrap();
        let broken = verify(bytes.as_slice(), &expecting(key)).unwrap_err();
        assert!(matches!(broken.flaw, Flaw::Broken { .. }), "{broken}");
        assert_eq!(broken.record, 10);
    }
    verify(bytes.as_slice(), &expecting(lost.key)).unwrap();
    let other = verify(before_the_loss, &expecting(lost.key)).unwrap_err();
    assert!(matches!(other.flaw, Flaw::OtherKey { .. }), "{other}");
}

#[test]
fn each_flipped_byte_of_a_log_with_two_keys_replaced_is_found_and_its_record_named() {
    let (written, ..) = rotated_and_lost();
    let bytes = written.bytes();
    let boundaries = boundaries(&bytes);
    for at in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut changed = bytes.clone();
            changed[at] ^= bit;
            let fault = check(&changed).unwrap_err();
            let record = boundaries.partition_point(|begin| *begin <= at) as u64;
            // What the log begins with shows at its first record, which names its hash.
            assert_eq!(fault.record.max(1), record.max(1), "byte {at}: {fault}");
        }
    }
}

#[test]
fn a_rotation_by_a_key_that_does_not_sign_it_is_no_rotation() {
    let mut written = Written::of(3);
    let other = Written::of(1);
    let before = public_key(&written.folder).unwrap();
    let stolen = public_key(&other.folder).unwrap();
    // The old key signs the record, and nobody has the secret of the key that it names.
    let entry = Entry::new(Timestamp::from_milliseconds(7), Actor::user(0), Action::LogRotate);
    let entry = entry.key(&stolen).key_before(&before).key_signature(&"0".repeat(128));
    written.log.append(&[entry], Wanted::Synchronised).unwrap();
    let fault = check(&written.bytes()).unwrap_err();
    assert!(fault.record == 4 && matches!(fault.flaw, Flaw::Malformed), "{fault}");
}

#[test]
fn a_rotation_that_was_torn_anywhere_leaves_the_old_key_in_force() {
    let mut written = Written::of(3);
    let replaced = written.log.replace(&replacement(Handover::Rotated, None)).unwrap();
    let bytes = written.bytes();
    let boundaries = boundaries(&bytes);
    for end in boundaries[3]..boundaries[4] {
        written.reopened(&bytes[..end]).unwrap();
        assert_eq!(pending(&written.folder).unwrap(), Pending::Leftover);
        let verified = verify_own(&written.folder, Expectation::default()).unwrap();
        assert_eq!(verified.key, replaced.before.to_string());
    }
    written.reopened(&bytes).unwrap();
    let before = replaced.before;
    assert_eq!(pending(&written.folder).unwrap(), Pending::Unfinished { before });
    let verified = verify_own(&written.folder, Expectation::default()).unwrap();
    assert_eq!((verified.key, verified.records), (replaced.key.to_string(), 5));
    place(&written.folder).unwrap();
    assert_eq!(pending(&written.folder).unwrap(), Pending::Nothing);
    written.reopened(&written.bytes()).unwrap();
}

#[test]
fn a_key_that_is_there_is_not_lost_and_one_that_is_damaged_is() {
    let mut written = Written::of(3);
    let in_memory = written.replace(Handover::Lost).unwrap_err();
    assert!(matches!(in_memory, Error::KeyInMemory), "{in_memory:?}");
    written.log = log(&written.folder);
    let there = written.replace(Handover::Lost).unwrap_err();
    assert!(matches!(there, Error::KeyThere { .. }), "{there:?}");
    let key = written.folder.audit_key();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let exposed = written.replace(Handover::Lost).unwrap_err();
    assert!(matches!(exposed, Error::Key(_)), "{exposed:?}");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(check(&written.bytes()).unwrap().records, 3, "nothing was recorded");

    // One byte makes it another key, and one byte less makes it none.
    let secret = fs::read(&key).unwrap();
    let mut other = secret.clone();
    other[7] ^= 1;
    for damaged in [&other[..], &secret[..31]] {
        fs::write(&key, damaged).unwrap();
        written.log = log(&written.folder);
        let rotation = written.replace(Handover::Rotated).unwrap_err();
        assert!(matches!(rotation, Error::KeyOther { .. } | Error::Key(_)), "{rotation:?}");
        written.log = log(&written.folder);
        written.replace(Handover::Lost).unwrap();
        written.go_on(4..6);
    }
    assert_eq!(check(&written.bytes()).unwrap().earlier_keys.len(), 2);
}

#[test]
fn a_break_names_what_the_coordinator_had_signed_and_that_must_be_there() {
    let mut written = Written::of(5);
    let bytes = written.bytes();
    let hash = check(&bytes[..boundaries(&bytes)[3]]).unwrap().head;
    for (tie, is_there) in [((3, hash), true), ((2, hash), false), ((9, hash), false)] {
        fs::write(written.folder.audit_log(), &bytes).unwrap();
        written.lose_the_key();
        written.log.replace(&replacement(Handover::Lost, Some(tie))).unwrap();
        place(&written.folder).unwrap();
        match check(&written.bytes()) {
            Ok(verified) => {
                assert!(is_there);
                assert_eq!(verified.earlier_keys[0].countersigned, Some(3));
            }
            Err(fault) => {
                assert!(!is_there && matches!(fault.flaw, Flaw::Untied { .. }), "{fault}");
                assert_eq!(fault.record, 6);
            }
        }
    }
}

#[test]
fn receipts_from_before_and_after_a_rotation_are_of_one_log() {
    let home = tempfile::tempdir().unwrap();
    let authority = authority(&home.path().join("authority"));
    let (written, rotated, lost) = rotated_and_lost();
    let bytes = written.bytes();
    let boundaries = boundaries(&bytes);
    let sign = |records: usize, key: PublicKey| {
        let head = check(&bytes[..boundaries[records]]).unwrap().head;
        let log_key = key.to_string().parse().unwrap();
        let (node, records) = ("north".parse().unwrap(), records as u64);
        authority.countersign(identity::receipt::Head { node, log_key, records, head })
    };
    let with = |receipts: Vec<Receipt>| Expectation { receipts, ..Expectation::default() };
    let receipts = vec![
        sign(5, rotated.before),
        sign(6, rotated.key),
        sign(9, rotated.key),
        sign(12, lost.key),
    ];
    assert_eq!(
        verify(bytes.as_slice(), &with(receipts)).unwrap().countersigned.unwrap().records,
        12
    );
    for receipt in [sign(5, rotated.key), sign(6, rotated.before), sign(12, rotated.key)] {
        let other = verify(bytes.as_slice(), &with(vec![receipt])).unwrap_err();
        assert!(matches!(other.flaw, Flaw::OtherLog { .. }), "{other}");
    }
}
