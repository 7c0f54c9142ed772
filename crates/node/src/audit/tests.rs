mod rotation;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use identity::Receipt;
use protocol::{Code, Digest, Timestamp};
use store::ManualClock;

use super::chain::{Chain, Scrutiny};
use super::*;

/// A log of so many records, as a node writes it.
struct Written {
    _home: tempfile::TempDir,
    folder: Folder,
    log: Log,
}

impl Written {
    fn of(records: usize) -> Self {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path());
        fs::create_dir_all(folder.audit()).unwrap();
        let log = log(&folder);
        let mut written = Self { _home: home, folder, log };
        let entries: Vec<Entry> = (2..=records as u64).map(entry).collect();
        written.log.append(&entries, Wanted::Synchronised).unwrap();
        written
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.folder.audit_log()).unwrap()
    }

    /// Puts other bytes in the log's place, and looks at them as a new process.
    fn reopened(&mut self, bytes: &[u8]) -> Result<(), Error> {
        fs::write(self.folder.audit_log(), bytes).unwrap();
        self.log = log(&self.folder);
        self.log.append(&[entry(9)], Wanted::Synchronised)
    }
}

fn log(folder: &Folder) -> Log {
    Log {
        file: folder.audit_log(),
        key: folder.audit_key(),
        key_next: folder.audit_key_next(),
        node: "north".parse().unwrap(),
        clock: Arc::new(ManualClock::at(Timestamp::from_milliseconds(1_000))),
        open: None,
        known: None,
    }
}

fn entry(number: u64) -> Entry {
    let researcher = Actor::Researcher("ada".parse().unwrap());
    let at = Timestamp::from_milliseconds(number);
    let digest = Digest::of(&number.to_le_bytes());
    let entry = Entry::new(at, researcher, Action::RoundStart).plan(&digest);
    match number % 3 {
        0 => entry.result(Code::PlanNotApproved),
        1 => entry.split(number, 7),
        _ => entry,
    }
}

fn check(bytes: &[u8]) -> Result<Verified, Fault> {
    verify(bytes, &Expectation::default())
}

/// Where each record begins, and where the last one ends.
fn boundaries(bytes: &[u8]) -> Vec<usize> {
    let mut chain = Chain::open(bytes, Scrutiny::Links).unwrap();
    let mut boundaries = vec![usize::try_from(chain.offset()).unwrap()];
    while chain.next().unwrap().is_some() {
        boundaries.push(usize::try_from(chain.offset()).unwrap());
    }
    boundaries
}

#[test]
fn a_log_is_what_was_written_and_is_only_its_owners() {
    let written = Written::of(1_000);
    let verified = check(&written.bytes()).unwrap();
    assert_eq!((verified.records, verified.node.as_str()), (1_000, "north"));
    let mode = fs::metadata(written.folder.audit_log()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let records: Vec<Record> =
        records(written.bytes().as_slice()).unwrap().map(Result::unwrap).collect();
    assert_eq!(records[0].action, "log.begin");
    assert_eq!(records[0].objects["key"], verified.key);
    assert_eq!(records[2].result, "plan.not_approved");
    assert_eq!(records[3].objects["split_seed"], "split/v1");
    assert_eq!(records[999].hash, verified.head);
}

#[test]
fn each_flipped_byte_of_a_thousand_records_is_found_and_its_record_named() {
    let bytes = Written::of(1_000).bytes();
    let boundaries = boundaries(&bytes);
    for at in 0..boundaries[0] {
        let mut bytes = bytes.clone();
        bytes[at] ^= 1 << (at % 8);
        let fault = check(&bytes).unwrap_err();
        assert!(fault.record <= 1, "byte {at}: {fault}");
    }
    // All before a record is as it was, so reading begins there: each flip costs one signature, not a thousand.
    let threads = 4;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let (mut bytes, boundaries) = (bytes.clone(), &boundaries);
            scope.spawn(move || {
                for record in (thread..1_000).step_by(threads) {
                    let before = bytes.clone();
                    let before = chain_up_to(&before, record);
                    for at in boundaries[record]..boundaries[record + 1] {
                        bytes[at] ^= 1 << (at % 8);
                        let mut chain = before.resume(&bytes[boundaries[record]..]);
                        let fault = chain.next().expect_err("a flipped byte is found");
                        assert_eq!(fault.record, record as u64 + 1, "byte {at}: {fault}");
                        bytes[at] ^= 1 << (at % 8);
                    }
                }
            });
        }
    });
}

/// A chain that has read so many records.
fn chain_up_to(bytes: &[u8], records: usize) -> Chain<&[u8]> {
    // Links only, on the way: the signatures are verified elsewhere.
    let mut chain = Chain::open(bytes, Scrutiny::Links).unwrap();
    for _ in 0..records {
        chain.next().unwrap().unwrap();
    }
    chain
}

#[test]
fn the_whole_verification_names_the_record_too() {
    let bytes = Written::of(300).bytes();
    let boundaries = boundaries(&bytes);
    for record in (0..300).step_by(37) {
        for at in [boundaries[record], boundaries[record] + 60, boundaries[record + 1] - 1] {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x80;
            let fault = check(&bytes).unwrap_err();
            assert_eq!(fault.record, record as u64 + 1, "{fault}");
            assert_eq!(fault.offset, boundaries[record] as u64);
        }
    }
}

#[test]
fn each_removed_record_is_found() {
    let bytes = Written::of(1_000).bytes();
    let boundaries = boundaries(&bytes);
    for record in 0..999 {
        let removed = [&bytes[..boundaries[record]], &bytes[boundaries[record + 1]..]].concat();
        let fault = walk(&removed).unwrap_err();
        assert_eq!(fault.record, record as u64 + 1);
        assert!(matches!(fault.flaw, Flaw::OutOfOrder { .. }), "{fault}");
    }
}

#[test]
fn swapped_repeated_and_foreign_records_are_found() {
    let bytes = Written::of(50).bytes();
    let b = boundaries(&bytes);
    let piece = |record: usize| &bytes[b[record]..b[record + 1]];
    for record in 0..48 {
        let swapped =
            [&bytes[..b[record]], piece(record + 1), piece(record), &bytes[b[record + 2]..]];
        assert_eq!(check(&swapped.concat()).unwrap_err().record, record as u64 + 1);
        let repeated = [&bytes[..b[record + 1]], piece(record), &bytes[b[record + 1]..]];
        assert_eq!(check(&repeated.concat()).unwrap_err().record, record as u64 + 2);
    }
    // The same records of another node: another key, so other signatures.
    let other = Written::of(50).bytes();
    let mixed = [&bytes[..b[49]], &other[boundaries(&other)[49]..]].concat();
    let fault = check(&mixed).unwrap_err();
    assert!(fault.record == 50 && matches!(fault.flaw, Flaw::Unsigned), "{fault}");
}

#[test]
fn a_cut_end_is_found_by_whoever_knows_the_head() {
    let bytes = Written::of(1_000).bytes();
    let boundaries = boundaries(&bytes);
    let head = check(&bytes).unwrap().head;
    for (record, end) in boundaries.iter().enumerate().take(1_000) {
        assert_eq!(walk(&bytes[..*end]).unwrap(), record as u64, "nothing else shows it");
        if record % 100 == 99 {
            let expected = Expectation { key: None, head: Some(head), ..Expectation::default() };
            let fault = verify(&bytes[..*end], &expected).unwrap_err();
            assert!(matches!(fault.flaw, Flaw::Headless { .. }), "{fault}");
            assert_eq!(fault.record, record as u64 + 1);
        }
    }
    // An earlier head is in a log that has grown.
    let earlier = check(&bytes[..boundaries[10]]).unwrap().head;
    verify(bytes.as_slice(), &Expectation { head: Some(earlier), ..Expectation::default() })
        .unwrap();
}

/// An authority whose signature stands in for a coordinator's.
fn authority(folder: &std::path::Path) -> identity::Authority {
    let time = identity::Time::new(|| Timestamp::from_milliseconds(1_795_000_000_000));
    identity::Authority::create(folder, time.now()).unwrap();
    identity::Authority::open(folder, vec!["localhost".to_owned()], time).unwrap()
}

#[test]
fn what_a_coordinator_has_signed_must_be_there() {
    let home = tempfile::tempdir().unwrap();
    let authority = authority(&home.path().join("authority"));
    let mut written = Written::of(20);
    let bytes = written.bytes();
    let found = check(&bytes).unwrap();
    let sign = |node: &str, records, head| {
        let (node, log_key) = (node.parse().unwrap(), found.key.parse().unwrap());
        authority.countersign(identity::receipt::Head { node, log_key, records, head })
    };
    let with = |receipts: Vec<Receipt>| Expectation { receipts, ..Expectation::default() };
    let boundaries = boundaries(&bytes);
    let earlier = check(&bytes[..boundaries[10]]).unwrap().head;
    let receipts = vec![sign("north", 10, earlier), sign("north", 20, found.head)];
    let signed = verify(bytes.as_slice(), &with(receipts.clone())).unwrap().countersigned.unwrap();
    assert_eq!((signed.records, signed.at.milliseconds()), (20, 1_795_000_000_000));

    let cut = verify(&bytes[..boundaries[19]], &with(receipts.clone())).unwrap_err();
    assert!(matches!(cut.flaw, Flaw::Headless { .. }), "{cut}");
    assert_eq!(cut.record, 20);
    let anew = verify(bytes.as_slice(), &with(vec![sign("north", 10, found.head)])).unwrap_err();
    assert!(matches!(anew.flaw, Flaw::Replaced { .. }), "{anew}");
    assert_eq!(anew.record, 10);
    let other = verify(bytes.as_slice(), &with(vec![sign("south", 10, earlier)])).unwrap_err();
    assert!(matches!(other.flaw, Flaw::OtherLog { .. }), "{other}");

    // The node itself goes on with nothing that is less than what was signed.
    let text: String = receipts.iter().map(|receipt| format!("{receipt}\n")).collect();
    assert_eq!(parse_receipts(&text).unwrap(), receipts);
    fs::write(written.folder.audit_receipt(), receipts[1].to_string()).unwrap();
    assert_eq!(receipt(&written.folder).unwrap(), receipts[1]);
    written.log = log(&written.folder);
    written.log.known = receipt(&written.folder).map(|it| (it.head.records, it.head.head));
    fs::write(written.folder.audit_log(), &bytes[..boundaries[19]]).unwrap();
    let error = written.log.append(&[entry(21)], Wanted::Synchronised).unwrap_err();
    let is_headless = matches!(error, Error::Damaged(Fault { flaw: Flaw::Headless { .. }, .. }));
    assert!(is_headless, "{error:?}");
}

#[test]
fn a_log_of_another_key_is_refused() {
    let (one, other) = (Written::of(3), Written::of(3));
    let key = Some(public_key(&other.folder).unwrap());
    let fault =
        verify(one.bytes().as_slice(), &Expectation { key, ..Expectation::default() }).unwrap_err();
    assert!(matches!(fault.flaw, Flaw::OtherKey { .. }), "{fault}");
}

#[test]
fn a_torn_last_record_is_cut_and_noted_wherever_it_was_torn() {
    let mut written = Written::of(5);
    let bytes = written.bytes();
    let boundaries = boundaries(&bytes);
    for end in boundaries[4] + 1..boundaries[5] {
        assert!(matches!(check(&bytes[..end]).unwrap_err().flaw, Flaw::Torn));
        written.reopened(&bytes[..end]).unwrap();
        let now: Vec<Record> =
            records(written.bytes().as_slice()).unwrap().map(Result::unwrap).collect();
        assert_eq!(now.len(), 6, "four stay, the cut is noted, one is new");
        assert_eq!(now[4].action, "log.cut");
        assert_eq!(now[4].objects["bytes"], (end - boundaries[4]).to_string());
    }
}

#[test]
fn zeros_that_a_loss_of_power_leaves_are_cut() {
    let mut written = Written::of(5);
    let bytes = written.bytes();
    let boundaries = boundaries(&bytes);
    for kept in [0, 1, 4, 30, 100] {
        let mut torn = bytes.clone();
        torn[boundaries[4] + kept..].fill(0);
        written.reopened(&torn).unwrap();
        assert_eq!(check(&written.bytes()).unwrap().records, 6);
    }
}

#[test]
fn anything_else_is_not_cut_but_refused_with_the_record() {
    let mut written = Written::of(5);
    let bytes = written.bytes();
    let boundaries = boundaries(&bytes);
    for record in 0..5 {
        for at in boundaries[record]..boundaries[record + 1] {
            let mut changed = bytes.clone();
            changed[at] ^= 0x10;
            match written.reopened(&changed) {
                Err(Error::Damaged(fault)) => assert!(fault.record > record as u64),
                other => panic!("byte {at}: {other:?}"),
            }
            assert_eq!(written.bytes(), changed, "what is damaged stays as it is");
        }
    }
}

#[test]
fn a_log_without_its_key_is_refused_and_so_is_one_that_shrinks_while_it_is_written() {
    let mut written = Written::of(5);
    let bytes = written.bytes();
    let boundaries = boundaries(&bytes);
    fs::write(written.folder.audit_log(), &bytes[..boundaries[3]]).unwrap();
    let error = written.log.append(&[entry(6)], Wanted::Synchronised).unwrap_err();
    assert!(
        matches!(error, Error::Damaged(Fault { flaw: Flaw::Headless { .. }, .. })),
        "{error:?}"
    );
    fs::remove_file(written.folder.audit_log()).unwrap();
    let error = written.log.append(&[entry(6)], Wanted::Synchronised).unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error:?}");
    fs::write(written.folder.audit_log(), &bytes).unwrap();
    written.log.append(&[entry(6)], Wanted::Synchronised).unwrap();
    fs::remove_file(written.folder.audit_key()).unwrap();
    written.log = log(&written.folder);
    let error = written.log.append(&[entry(7)], Wanted::Synchronised).unwrap_err();
    assert!(matches!(error, Error::KeyMissing { .. }), "{error:?}");
}

#[tokio::test]
async fn what_happens_while_nothing_can_be_recorded_is_recorded_afterwards() {
    let written = Written::of(2);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_milliseconds(5)));
    let audit = Audit::new(&written.folder, &"north".parse().unwrap(), &clock).unwrap();
    let file = fs::File::open(written.folder.audit_log()).unwrap();
    file.lock().unwrap();
    audit.account(entry(3)).await;
    let refused = audit.permit(entry(4)).await.unwrap_err();
    assert!(matches!(*refused, Error::Locked), "{refused:?}");
    assert!(audit.trouble().unwrap().contains("locked"));
    file.unlock().unwrap();
    audit.note(entry(5)).await;
    audit.permit(entry(6)).await.unwrap();
    assert_eq!(audit.trouble(), None);
    let bytes = written.bytes();
    let read = records(bytes.as_slice()).unwrap().map(Result::unwrap);
    let instants: Vec<u64> = read.skip(2).map(|record| record.at.milliseconds()).collect();
    assert_eq!(instants, [3, 5, 6], "the refusal is there, what was not permitted is not");
}

/// Reads to the end without signatures; gives how many records there are.
fn walk(bytes: &[u8]) -> Result<u64, Fault> {
    let mut chain = Chain::open(bytes, Scrutiny::Links)?;
    while chain.next()?.is_some() {}
    Ok(chain.sequence())
}
