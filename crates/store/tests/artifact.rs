//! The artifact store: verification, resume, eviction, damage and expiry.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use protocol::{ArtifactReference, Digest, Timestamp};
use store::artifact::{ArtifactStore, Begun, Error, Partial, PartialId, Settings};
use store::{Clock, Durability, ManualClock, SystemClock};

fn open_with(folder: &Path, settings: Settings) -> ArtifactStore {
    ArtifactStore::open(folder, settings, Arc::new(SystemClock)).unwrap()
}

fn open(folder: &Path) -> ArtifactStore {
    open_with(folder, Settings::default())
}

fn reference(bytes: &[u8]) -> ArtifactReference {
    ArtifactReference::new(Digest::of(bytes), bytes.len() as u64)
}

fn begin(store: &ArtifactStore, reference: &ArtifactReference) -> Partial {
    match store.begin("north", reference, Durability::PowerLoss).unwrap() {
        Begun::Partial(partial) => partial,
        Begun::Complete => panic!("the artifact is not there yet"),
    }
}

fn ingest(store: &ArtifactStore, bytes: &[u8], durability: Durability) -> ArtifactReference {
    let reference = reference(bytes);
    store.ingest(&mut &bytes[..], &reference, durability).unwrap();
    reference
}

fn read(store: &ArtifactStore, reference: &ArtifactReference) -> Vec<u8> {
    fs::read(store.open_verified(&reference.digest).unwrap().path).unwrap()
}

fn partials(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder.join("partial")).unwrap().map(|listed| listed.unwrap().path()).collect()
}

#[test]
fn both_durabilities_keep_the_same_bytes_and_one_can_become_the_other() {
    for durability in [Durability::Process, Durability::PowerLoss] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let reference = ingest(&store, b"parameters", durability);
        assert_eq!(read(&store, &reference), b"parameters");
        assert_eq!(store.size(&reference.digest), Some(10));
        assert_eq!(store.total_size(), 10);
        store.make_durable(&reference.digest, Durability::PowerLoss).unwrap();
        assert_eq!(read(&store, &reference), b"parameters");
        let hexadecimal = reference.digest.hexadecimal();
        let path = folder.path().join("sha256").join(&hexadecimal);
        assert_eq!(fs::read(path).unwrap(), b"parameters");
        let again = open(folder.path());
        assert_eq!(read(&again, &reference), b"parameters");
        assert_eq!(again.list(), [reference]);
    }
}

#[test]
fn files_in_folders_of_an_earlier_version_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let durabilities = [Durability::Process, Durability::PowerLoss];
    let store = open(folder.path());
    let bytes: [&[u8]; 2] = [b"first", b"second"];
    let kept = [0, 1].map(|index| ingest(&store, bytes[index], durabilities[index]));
    drop(store);
    let whole = folder.path().join("sha256");
    for listed in fs::read_dir(&whole).unwrap().map(|listed| listed.unwrap()).collect::<Vec<_>>() {
        let name = listed.file_name().into_string().unwrap();
        fs::create_dir_all(whole.join(&name[..2])).unwrap();
        fs::rename(listed.path(), whole.join(&name[..2]).join(&name[2..])).unwrap();
    }
    let again = open(folder.path());
    for index in [0, 1] {
        assert_eq!(read(&again, &kept[index]), bytes[index]);
    }
    assert!(fs::read_dir(&whole).unwrap().all(|listed| listed.unwrap().path().is_file()));
}

#[test]
fn a_file_can_be_opened_at_every_instant_while_it_becomes_durable() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..150_u32 {
        let kept = ingest(&store, &number.to_le_bytes(), Durability::Process);
        let promoting = store.clone();
        let digest = kept.digest;
        let promoters = [(); 2].map(|()| {
            let promoting = promoting.clone();
            std::thread::spawn(move || promoting.make_durable(&digest, Durability::PowerLoss))
        });
        while !promoters.iter().all(std::thread::JoinHandle::is_finished) {
            store.open_verified(&digest).unwrap();
        }
        for promoter in promoters {
            promoter.join().unwrap().unwrap();
        }
        assert!(store.open_verified(&digest).unwrap().path.exists());
    }
    assert!(partials(folder.path()).is_empty());
}

#[test]
fn the_same_file_from_two_owners_is_kept_once_as_durable_as_either_asked() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let expected = reference(b"parameters");
    let owners = ["north", "south", "east"];
    let uploads = owners.map(|owner| store.begin(owner, &expected, Durability::Process).unwrap());
    let durabilities = [Durability::Process, Durability::PowerLoss, Durability::Process];
    for (upload, durability) in uploads.into_iter().zip(durabilities) {
        let Begun::Partial(mut partial) = upload else { panic!("nobody has finished yet") };
        partial.append(b"parameters").unwrap();
        partial.commit(durability).unwrap();
        assert_eq!(read(&store, &expected), b"parameters");
    }
    assert!(partials(folder.path()).is_empty());
    store.delete(&expected.digest).unwrap();
    assert_eq!(open(folder.path()).list(), []);
}

#[test]
fn an_empty_file_is_an_artifact_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let reference = ingest(&store, b"", Durability::PowerLoss);
    assert_eq!(read(&store, &reference), b"");
}

#[test]
fn bytes_of_another_digest_are_refused_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let expected = reference(b"what was promised");
    let error =
        store.ingest(&mut &b"what is delivered"[..], &expected, Durability::Process).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    assert_eq!(store.size(&expected.digest), None);
    assert!(partials(folder.path()).is_empty());
}

#[test]
fn too_many_and_too_few_bytes_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let expected = reference(b"twelve bytes");
    let long = store.ingest(&mut &b"twelve bytes and more"[..], &expected, Durability::Process);
    assert!(matches!(long, Err(Error::TooLong { size: 12, .. })), "{long:?}");
    let short = store.ingest(&mut &b"twelve"[..], &expected, Durability::Process);
    assert!(matches!(short, Err(Error::Incomplete { offset: 6, size: 12, .. })), "{short:?}");
    assert_eq!(store.size(&expected.digest), None);
}

#[test]
fn a_declared_length_that_contradicts_the_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let kept = ingest(&store, b"parameters", Durability::Process);
    let wrong = ArtifactReference::new(kept.digest, 11);
    let error = store.begin("north", &wrong, Durability::Process).unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { declared: 11, found: 10, .. }), "{error:?}");
}

#[test]
fn an_upload_goes_on_in_the_same_process_and_in_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..=255).cycle().take(700_000).collect();
    let expected = reference(&bytes);
    let store = open(folder.path());
    let mut partial = begin(&store, &expected);
    partial.append(&bytes[..300_000]).unwrap();
    let id = partial.id().clone();
    assert!(id.belongs_to("north") && !id.belongs_to("south"));
    drop(partial);
    let mut partial = store.resume(&id).unwrap();
    assert_eq!(partial.offset(), 300_000);
    partial.append(&bytes[300_000..300_001]).unwrap();
    drop(partial);
    drop(store);
    let store = open(folder.path());
    let id = id.to_string().parse::<PartialId>().unwrap();
    let mut partial = store.resume(&id).unwrap();
    assert_eq!(partial.missing(), 399_999);
    partial.append(&bytes[300_001..]).unwrap();
    partial.commit(Durability::PowerLoss).unwrap();
    assert_eq!(read(&store, &expected), bytes);
    let error = store.resume(&id).unwrap_err();
    assert!(matches!(error, Error::NoPartial { .. }), "{error:?}");
    let begun = store.begin("south", &expected, Durability::PowerLoss).unwrap();
    assert!(matches!(begun, Begun::Complete), "{begun:?}");
}

#[test]
fn a_partial_file_has_one_holder_and_each_owner_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let expected = reference(b"parameters");
    let mut north = begin(&store, &expected);
    let second = store.begin("north", &expected, Durability::Process).unwrap_err();
    assert!(matches!(second, Error::Busy { .. }), "{second:?}");
    let Begun::Partial(mut south) = store.begin("south", &expected, Durability::Process).unwrap()
    else {
        panic!("the artifact is not there yet")
    };
    south.append(b"XXXXXXXXXX").unwrap();
    assert!(matches!(south.commit(Durability::Process), Err(Error::DigestMismatch { .. })));
    north.append(b"parameters").unwrap();
    north.commit(Durability::Process).unwrap();
    assert_eq!(read(&store, &expected), b"parameters");
}

#[test]
fn bytes_damaged_between_two_processes_are_found_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let expected = reference(b"parameters");
    let store = open(folder.path());
    let mut partial = begin(&store, &expected);
    partial.append(b"param").unwrap();
    drop(partial);
    drop(store);
    fs::write(&partials(folder.path())[0], b"PARAM").unwrap();
    let store = open(folder.path());
    let mut partial = begin(&store, &expected);
    assert_eq!(partial.offset(), 5);
    partial.append(b"eters").unwrap();
    let error = partial.commit(Durability::Process).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    assert_eq!(begin(&store, &expected).offset(), 0);
}

#[test]
fn a_partial_file_longer_than_declared_starts_again() {
    let folder = tempfile::tempdir().unwrap();
    let expected = reference(b"parameters");
    let store = open(folder.path());
    drop(begin(&store, &expected));
    drop(store);
    fs::write(&partials(folder.path())[0], b"parameters and the rest").unwrap();
    assert_eq!(begin(&open(folder.path()), &expected).offset(), 0);
}

#[test]
fn a_file_that_power_loss_may_have_damaged_is_checked_once_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let reference = ingest(&store, b"parameters", Durability::Process);
    let path = store.open_verified(&reference.digest).unwrap().path;
    drop(store);
    fs::write(&path, b"parameterZ").unwrap();
    let store = open(folder.path());
    let error = store.open_verified(&reference.digest).unwrap_err();
    assert!(matches!(error, Error::Damaged { .. }), "{error:?}");
    assert!(!path.exists());
    let error = store.open_verified(&reference.digest).unwrap_err();
    assert!(matches!(error, Error::Absent { .. }), "{error:?}");
    ingest(&store, b"parameters", Durability::Process);
    assert_eq!(read(&store, &reference), b"parameters");
}

#[test]
fn the_least_recently_used_unpinned_files_make_room() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { capacity: Some(30), ..Settings::default() };
    let store = open_with(folder.path(), settings);
    let first = ingest(&store, b"first ten.", Durability::Process);
    let second = ingest(&store, b"second 10.", Durability::Process);
    let third = ingest(&store, b"third ten.", Durability::Process);
    store.open_verified(&first.digest).unwrap();
    let pin = store.pin(&second.digest);
    let fourth = ingest(&store, b"fourth 10.", Durability::Process);
    let mut left = store.list();
    left.sort_by_key(|reference| reference.digest);
    let mut expected = [&first, &second, &fourth].map(Clone::clone);
    expected.sort_by_key(|reference| reference.digest);
    assert_eq!(left, expected);
    assert_eq!(store.size(&third.digest), None);
    let error = store.delete(&second.digest).unwrap_err();
    assert!(matches!(error, Error::Pinned { .. }), "{error:?}");
    let large = reference(&[7; 21]);
    let error = store.begin("north", &large, Durability::Process).unwrap_err();
    assert!(matches!(error, Error::NoRoom { needed: 21, capacity: 30 }), "{error:?}");
    assert_eq!(store.total_size(), 30);
    drop(pin);
    store.ingest(&mut &[7; 21][..], &large, Durability::Process).unwrap();
    assert_eq!(store.list(), [large]);
}

#[test]
fn a_deleted_artifact_is_gone_and_an_open_one_can_still_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let reference = ingest(&store, b"parameters", Durability::Process);
    let mut artifact = store.open_verified(&reference.digest).unwrap();
    store.delete(&reference.digest).unwrap();
    store.delete(&reference.digest).unwrap();
    assert!(!artifact.path.exists());
    let mut text = String::new();
    std::io::Read::read_to_string(&mut artifact.file, &mut text).unwrap();
    assert_eq!(text, "parameters");
}

#[test]
fn a_disk_without_room_but_for_the_reserve_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { reserve: u64::MAX, ..Settings::default() };
    let store = open_with(folder.path(), settings);
    let expected = reference(b"parameters");
    let error = store.begin("north", &expected, Durability::Process).unwrap_err();
    assert!(matches!(error, Error::DiskFull { needed: 10, free: 0 }), "{error:?}");
    assert_eq!(
        open(folder.path()).begin("north", &expected, Durability::Process).unwrap().missing(),
        10
    );
}

trait Missing {
    fn missing(&self) -> u64;
}

impl Missing for Begun {
    fn missing(&self) -> u64 {
        match self {
            Self::Complete => 0,
            Self::Partial(partial) => partial.missing(),
        }
    }
}

#[test]
fn a_write_beyond_the_disk_is_disk_full_and_the_offset_stays() {
    // A disk that is always full, where the system has one.
    if !Path::new("/dev/full").exists() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let expected = reference(b"parameters");
    let id = PartialId::new("north", &expected);
    std::os::unix::fs::symlink("/dev/full", folder.path().join("partial").join(id.to_string()))
        .unwrap();
    // Reading the device never ends, so its length must be trusted to be nothing.
    let mut partial = begin(&store, &expected);
    let error = partial.append(b"parameters").unwrap_err();
    assert!(matches!(error, Error::DiskFull { needed: 10, .. }), "{error:?}");
    assert_eq!(partial.offset(), 0);
}

#[test]
fn abandoned_partial_files_expire_and_held_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let now = Timestamp::from_milliseconds(u64::try_from(now.as_millis()).unwrap());
    let clock = Arc::new(ManualClock::at(now));
    let shared = Arc::clone(&clock) as Arc<dyn Clock>;
    let store = ArtifactStore::open(folder.path(), Settings::default(), shared).unwrap();
    let mut left = begin(&store, &reference(b"left"));
    left.append(b"le").unwrap();
    drop(left);
    let held = begin(&store, &reference(b"held"));
    assert_eq!(store.expire_partials().unwrap(), 0);
    clock.advance(Duration::from_secs(24 * 60 * 60 + 60));
    assert_eq!(store.expire_partials().unwrap(), 1);
    assert_eq!(partials(folder.path()).len(), 1);
    assert_eq!(begin(&store, &reference(b"left")).offset(), 0);
    drop(held);
}

#[test]
fn a_file_made_elsewhere_is_adopted_by_a_rename() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("artifacts"));
    let scratch = folder.path().join("aggregate.safetensors");
    for _ in 0..2 {
        fs::write(&scratch, b"aggregate").unwrap();
        let written = reference(b"aggregate");
        store.adopt(&scratch, &written, Durability::PowerLoss).unwrap();
        assert!(!scratch.exists());
        assert_eq!(read(&store, &written), b"aggregate");
    }
}

#[test]
fn a_file_of_another_length_than_was_written_is_not_adopted() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder.path().join("artifacts"));
    let scratch = folder.path().join("update.safetensors");
    fs::write(&scratch, b"cut sho").unwrap();
    let written = reference(b"cut short");
    let error = store.adopt(&scratch, &written, Durability::Process).unwrap_err();
    assert!(matches!(error, Error::SizeMismatch { declared: 9, found: 7, .. }), "{error}");
    assert!(scratch.exists());
    assert_eq!(store.size(&written.digest), None);
}

#[test]
fn a_file_that_the_disk_writes_while_it_arrives_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let bytes: Vec<u8> =
        (0..20_000_003_u32).map(|place| place.to_le_bytes()[place as usize % 3]).collect();
    let expected = reference(&bytes);
    let mut partial = begin(&store, &expected).with_early_write_back();
    partial.append(&bytes[..9_000_000]).unwrap();
    partial.restart().unwrap();
    let (first, rest) = bytes.split_at(12_345_678);
    partial.append(first).unwrap();
    let id = partial.id().clone();
    drop(partial);
    let mut partial = store.resume(&id).unwrap().with_early_write_back();
    rest.chunks(1 << 20).for_each(|chunk| partial.append(chunk).unwrap());
    partial.commit(Durability::PowerLoss).unwrap();
    assert_eq!(read(&store, &expected), bytes);
}

#[test]
fn who_must_bring_every_byte_gets_no_further_without_them() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let kept = reference(b"parameters");
    store.ingest(&mut &b"parameters"[..], &kept, Durability::PowerLoss).unwrap();
    assert!(store.partials_of("south").unwrap().is_empty());

    let mut partial = store.begin_whole("south", &kept).unwrap();
    assert_eq!(partial.offset(), 0);
    partial.append(b"something.").unwrap();
    assert_eq!(store.partials_of("south").unwrap(), [partial.id().clone()]);
    assert!(store.partials_of("north").unwrap().is_empty());
    let error = partial.commit(Durability::PowerLoss).unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error}");
    assert_eq!(read(&store, &kept), b"parameters");

    // Another length than the file has is not told from the right one before the end.
    let longer = ArtifactReference::new(kept.digest, 11);
    drop(store.begin_whole("south", &longer).unwrap());

    let mut partial = store.begin_whole("south", &kept).unwrap();
    partial.append(b"parameters").unwrap();
    partial.commit(Durability::PowerLoss).unwrap();
    assert_eq!(read(&store, &kept), b"parameters");
}

#[test]
fn an_upload_that_finds_no_room_leaves_no_name() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let huge = ArtifactReference::new(Digest::of(b"huge"), 8 << 50);
    let error = store.begin_whole("south", &huge).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert!(store.partials_of("south").unwrap().is_empty());
}

#[test]
fn only_the_one_spelling_of_a_partial_files_name_parses() {
    let id = PartialId::new("north", &reference(b"parameters")).to_string();
    assert_eq!(id.parse::<PartialId>().unwrap().to_string(), id);
    let digits = Digest::of(b"parameters").hexadecimal();
    let owner = &id[..16];
    for text in [
        String::new(),
        "../../etc/passwd".to_owned(),
        id.to_uppercase(),
        format!("{owner}-+10-{digits}"),
        format!("{owner}-010-{digits}"),
        format!("{owner}--10-{digits}"),
        format!("../{owner}-10-{digits}"),
        format!("{}/-10-{digits}", &owner[..15]),
        format!("{id}/.."),
    ] {
        assert!(text.parse::<PartialId>().is_err(), "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bytes_in_any_pieces_with_any_breaks_become_the_same_file(
        bytes in prop::collection::vec(any::<u8>(), 0..5_000),
        cuts in prop::collection::vec((0..2_000_usize, 0..3_u8), 0..20),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut store = open(folder.path());
        let expected = reference(&bytes);
        let mut partial = begin(&store, &expected);
        for (length, what) in cuts {
            let start = usize::try_from(partial.offset()).unwrap();
            let end = bytes.len().min(start + length);
            partial.append(&bytes[start..end]).unwrap();
            if what == 0 {
                continue;
            }
            let id = partial.id().clone();
            drop(partial);
            if what == 2 {
                drop(store);
                store = open(folder.path());
            }
            partial = store.resume(&id).unwrap();
            prop_assert_eq!(partial.offset(), end as u64);
        }
        let start = usize::try_from(partial.offset()).unwrap();
        partial.append(&bytes[start..]).unwrap();
        partial.commit(Durability::Process).unwrap();
        prop_assert_eq!(read(&store, &expected), bytes);
    }
}

#[test]
fn a_small_file_is_put_whole_or_not_at_all() {
    for durability in [Durability::Process, Durability::PowerLoss] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let kept = reference(b"update");
        assert!(store.open_known(&kept.digest).unwrap().is_none());
        let other = store.put(b"another", &kept.digest, durability).unwrap_err();
        assert!(matches!(other, Error::DigestMismatch { .. }), "{other}");
        assert_eq!((store.list(), partials(folder.path())), (Vec::new(), Vec::new()));

        store.put(b"update", &kept.digest, durability).unwrap();
        store.put(b"update", &kept.digest, durability).unwrap();
        assert_eq!(read(&store, &kept), b"update");
        assert_eq!(store.open_known(&kept.digest).unwrap().unwrap().size, 6);
        assert_eq!((store.list(), partials(folder.path())), (vec![kept.clone()], Vec::new()));
        assert_eq!(read(&open(folder.path()), &kept), b"update");
    }
}

#[test]
fn many_who_put_the_same_bytes_at_once_all_succeed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for number in 0..40_u32 {
        let bytes = number.to_le_bytes();
        let kept = reference(&bytes);
        std::thread::scope(|scope| {
            let putting = [(); 4]
                .map(|()| scope.spawn(|| store.put(&bytes, &kept.digest, Durability::PowerLoss)));
            for put in putting {
                put.join().unwrap().unwrap();
            }
        });
        assert_eq!(read(&store, &kept), bytes);
    }
    assert_eq!((store.total_size(), partials(folder.path())), (160, Vec::new()));
}

#[test]
fn a_small_file_must_fit_under_the_bound_and_on_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { capacity: Some(5), ..Settings::default() };
    let store = open_with(folder.path(), settings);
    let kept = reference(b"update");
    let error = store.put(b"update", &kept.digest, Durability::Process).unwrap_err();
    assert!(matches!(error, Error::NoRoom { .. }), "{error}");
    let settings = Settings { reserve: u64::MAX, ..Settings::default() };
    let full = open_with(folder.path(), settings);
    let error = full.put(b"update", &kept.digest, Durability::Process).unwrap_err();
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    assert_eq!((full.list(), partials(folder.path())), (Vec::new(), Vec::new()));
}
