//! Downloads and uploads, broken and whole.

use std::fs;
use std::sync::{Arc, Mutex};

use http::StatusCode;
use protocol::ArtifactReference;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use store::artifact::Settings as StoreSettings;
use transport::ArtifactClient;
use transport::artifact::client::{Error, Settings};
use transport::server;

use crate::cutter::{Cut, Cutter, WHOLE};
use crate::ward::{
    DEADLINE, Ward, client_for, exists_nothing_beside, node, quick, random_bytes, reference, within,
};

#[tokio::test]
async fn files_of_every_length_go_up_and_come_down() {
    let ward = Ward::open().await;
    let client = ward.client();
    for length in
        [0, 1, 4095, 256 << 10, (256 << 10) + 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 5_000_000]
    {
        let bytes = random_bytes(length as u64, length);
        let reference = reference(&bytes);
        let source = ward.write("source", &bytes);
        let target = ward.path("target");
        assert_eq!(within(client.size(&reference.digest)).await.unwrap(), None);
        within(client.upload(&reference, &source)).await.unwrap();
        assert_eq!(ward.kept(&reference), bytes);
        assert_eq!(within(client.size(&reference.digest)).await.unwrap(), Some(length as u64));
        within(client.download(&reference, &target)).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
        assert!(exists_nothing_beside(&target));
    }
}

#[tokio::test]
async fn downloads_cut_at_random_offsets_go_on_and_verify() {
    let ward = Ward::open().await;
    let bytes = random_bytes(1, 3_000_000);
    let reference = ward.keep(&bytes);
    for seed in 0..12 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cuts: Vec<Cut> =
            (0..6).map(|_| Cut { up: u64::MAX, down: rng.next_u64() % 700_000 }).collect();
        println!("seed {seed}: {cuts:?}");
        let cutter = Cutter::start(ward.socket, cuts.clone()).await;
        let target = ward.path(&format!("target-{seed}"));
        let client = client_for(cutter.address.clone());
        within(client.download(&reference, &target)).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
        assert_eq!(cutter.connections(), cuts.len() + 1);
        // A second transfer of the whole file would show here.
        let lost_at_most = 64_000 * cuts.len() as u64;
        assert!(cutter.down() < reference.size + lost_at_most, "{} bytes", cutter.down());
    }
}

#[tokio::test]
async fn uploads_cut_at_random_offsets_go_on_and_verify() {
    let ward = Ward::open().await;
    for seed in 0..12 {
        let bytes = random_bytes(100 + seed, 3_000_000);
        let reference = reference(&bytes);
        let source = ward.write("source", &bytes);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cuts: Vec<Cut> = (0..6)
            .map(|_| Cut { up: 100_000 + rng.next_u64() % 300_000, down: u64::MAX })
            .collect();
        println!("seed {seed}: {cuts:?}");
        let cutter = Cutter::start(ward.socket, cuts.clone()).await;
        let client = client_for(cutter.address.clone());
        within(client.upload(&reference, &source)).await.unwrap();
        assert_eq!(ward.kept(&reference), bytes);
        assert!(cutter.connections() > cuts.len(), "{} connections", cutter.connections());
        let sent: u64 = cuts.iter().map(|cut| cut.up).sum();
        // What was cut off may have to be sent again, the whole file may not.
        assert!(cutter.up() < reference.size + sent, "{} bytes", cutter.up());
    }
}

#[tokio::test]
async fn short_files_that_are_cut_get_across_in_other_attempts() {
    let ward = Ward::open().await;
    for seed in 0..24 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let cut = |bytes: u64| match seed % 2 {
            0 => Cut { up: bytes, down: u64::MAX },
            _ => Cut { up: u64::MAX, down: bytes },
        };
        let cuts: Vec<Cut> = (0..3).map(|_| cut(rng.next_u64() % 4_000)).collect();
        println!("seed {seed}: {cuts:?}");
        let cutter = Cutter::start(ward.socket, cuts).await;
        let client = client_for(cutter.address.clone());
        let bytes = random_bytes(300 + seed, 5_000);
        let reference = reference(&bytes);
        let source = ward.write("source", &bytes);
        within(client.upload(&reference, &source)).await.unwrap();
        assert_eq!(ward.kept(&reference), bytes);
        let target = ward.path(&format!("target-{seed}"));
        within(client.download(&reference, &target)).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
    }
}

#[tokio::test]
async fn short_files_one_after_the_other_share_a_connection() {
    let ward = Ward::open().await;
    let cutter = Cutter::start(ward.socket, vec![WHOLE]).await;
    let client = client_for(cutter.address.clone());
    let target = ward.path("target");
    for number in 0..5_u8 {
        let bytes = [number; 1_000];
        let reference = reference(&bytes);
        let source = ward.write("source", &bytes);
        within(client.upload(&reference, &source)).await.unwrap();
        within(client.download(&reference, &target)).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
    }
    assert_eq!(cutter.connections(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_has_ended_is_replaced_without_an_attempt() {
    let ward = Ward::open().await;
    let bytes = [7; 1_000];
    let reference = ward.keep(&bytes);
    // The first answer gets through whole, and nothing after it.
    let cutter = Cutter::start(ward.socket, vec![Cut { up: u64::MAX, down: 1_400 }]).await;
    let impatient = Settings { attempts: 1, ..quick() };
    let client = ArtifactClient::new(cutter.address.clone(), node("north"), impatient);
    let target = ward.path("target");
    for _ in 0..3 {
        within(client.download(&reference, &target)).await.unwrap();
        assert_eq!(fs::read(&target).unwrap(), bytes);
    }
    assert_eq!(cutter.connections(), 2);
}

#[tokio::test]
async fn what_one_client_left_another_continues() {
    let ward = Ward::open().await;
    let bytes = random_bytes(2, 2_000_000);
    let reference = ward.keep(&bytes);
    let target = ward.path("target");
    let cut = Cut { up: u64::MAX, down: 1_500_000 };
    let cutter = Cutter::start(ward.socket, vec![cut; 1]).await;
    let impatient = Settings { attempts: 1, ..quick() };
    let client = ArtifactClient::new(cutter.address.clone(), node("north"), impatient);
    let error = within(client.download(&reference, &target)).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert!(!target.exists());
    let before = cutter.down();
    within(client_for(cutter.address.clone()).download(&reference, &target)).await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), bytes);
    assert!(cutter.down() - before < 700_000, "{} bytes more", cutter.down() - before);
}

#[tokio::test]
async fn an_earlier_part_that_was_damaged_is_fetched_again() {
    let ward = Ward::open().await;
    let bytes = random_bytes(3, 500_000);
    let reference = ward.keep(&bytes);
    let target = ward.path("target");
    ward.write("target.partial", &[0; 100_000]);
    within(ward.client().download(&reference, &target)).await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), bytes);
}

#[tokio::test]
async fn an_earlier_part_that_is_whole_needs_no_coordinator() {
    let ward = Ward::open().await;
    let bytes = random_bytes(4, 100_000);
    ward.write("target.partial", &bytes);
    let target = ward.path("target");
    let client = client_for("127.0.0.1:9".parse().unwrap());
    within(client.download(&reference(&bytes), &target)).await.unwrap();
    assert_eq!(fs::read(&target).unwrap(), bytes);
}

#[tokio::test]
async fn a_file_damaged_on_the_coordinators_disk_is_never_accepted() {
    let ward = Ward::open().await;
    let bytes = random_bytes(5, 300_000);
    let reference = ward.keep(&bytes);
    let path = ward.shelf.store.open_verified(&reference.digest).unwrap().path;
    fs::write(path, random_bytes(6, 300_000)).unwrap();
    let target = ward.path("target");
    let error = within(ward.client().download(&reference, &target)).await.unwrap_err();
    assert!(matches!(error, Error::DigestMismatch { .. }), "{error:?}");
    assert!(!target.exists());
}

#[tokio::test]
async fn a_file_longer_or_shorter_than_its_reference_is_refused() {
    let ward = Ward::open().await;
    let kept = ward.keep(&random_bytes(7, 1_000));
    for declared in [999, 1_001] {
        let wrong = ArtifactReference::new(kept.digest, declared);
        let target = ward.path("target");
        let error = within(ward.client().download(&wrong, &target)).await.unwrap_err();
        assert!(matches!(error, Error::SizeMismatch { found: 1_000, .. }), "{error:?}");
        assert!(!target.exists());
    }
}

#[tokio::test]
async fn an_upload_of_other_bytes_is_refused_and_leaves_nothing() {
    let ward = Ward::open().await;
    let promised = reference(&random_bytes(8, 200_000));
    let source = ward.write("source", &random_bytes(9, 200_000));
    let error = within(ward.client().upload(&promised, &source)).await.unwrap_err();
    let Error::Refused { status, .. } = error else { panic!("{error:?}") };
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(ward.shelf.store.size(&promised.digest), None);
    assert_eq!(fs::read_dir(ward.path("artifacts/partial")).unwrap().count(), 0);
}

#[tokio::test]
async fn a_file_of_another_length_than_its_reference_is_not_sent() {
    let ward = Ward::open().await;
    let promised = reference(&random_bytes(8, 200_000));
    for length in [150_000, 200_001] {
        let source = ward.write("source", &random_bytes(8, length));
        let error = within(ward.client().upload(&promised, &source)).await.unwrap_err();
        assert!(matches!(error, Error::Local { .. }), "{error:?}");
    }
    assert_eq!(ward.shelf.store.size(&promised.digest), None);
}

#[tokio::test]
async fn an_upload_that_stays_in_use_is_refused_and_not_unreachable() {
    let ward = Ward::open().await;
    let bytes = random_bytes(16, 1_000);
    let reference = reference(&bytes);
    let source = ward.write("source", &bytes);
    let held = ward.shelf.store.begin("node:north", &reference, store::Durability::Process);
    let held = held.unwrap();
    let error = within(ward.client().upload(&reference, &source)).await.unwrap_err();
    let Error::Refused { status, .. } = error else { panic!("{error:?}") };
    assert_eq!(status, StatusCode::CONFLICT);
    drop(held);
    within(ward.client().upload(&reference, &source)).await.unwrap();
}

#[tokio::test]
async fn what_is_not_allowed_or_not_there_is_refused_by_its_status() {
    let ward = Ward::open().await;
    let bytes = random_bytes(10, 100);
    let secret = ward.keep(&bytes);
    ward.shelf.forbidden.lock().unwrap().insert(secret.digest);
    let source = ward.write("source", &bytes);
    let absent = reference(b"absent");
    let target = ward.path("target");
    let client = ward.client();
    for (result, expected) in [
        (within(client.download(&secret, &target)).await, StatusCode::FORBIDDEN),
        (within(client.upload(&secret, &source)).await, StatusCode::FORBIDDEN),
        (within(client.download(&absent, &target)).await, StatusCode::NOT_FOUND),
    ] {
        let Err(Error::Refused { status, .. }) = result else { panic!("{result:?}") };
        assert_eq!(status, expected);
    }
}

#[tokio::test]
async fn a_full_disk_refuses_an_upload_before_it_is_sent() {
    let full = StoreSettings { reserve: u64::MAX, ..StoreSettings::default() };
    let ward = Ward::open_with(server::Settings::default(), full, DEADLINE).await;
    let bytes = random_bytes(11, 1_000_000);
    let source = ward.write("source", &bytes);
    let cutter = Cutter::start(ward.socket, vec![]).await;
    let client = client_for(cutter.address.clone());
    let error = within(client.upload(&reference(&bytes), &source)).await.unwrap_err();
    let Error::Refused { status, .. } = error else { panic!("{error:?}") };
    assert_eq!(status, StatusCode::INSUFFICIENT_STORAGE);
    assert!(cutter.up() < 10_000);
}

#[tokio::test]
async fn two_uploads_of_the_same_file_at_once_both_end_well() {
    let ward = Ward::open().await;
    let bytes = random_bytes(12, 4_000_000);
    let reference = reference(&bytes);
    let source = ward.write("source", &bytes);
    let patient = Settings { attempts: 100, ..quick() };
    let client = ArtifactClient::new(ward.address.clone(), node("north"), patient);
    let other = ArtifactClient::new(ward.address.clone(), node("south"), quick());
    let (first, second, third) = within(async {
        tokio::join!(
            client.upload(&reference, &source),
            client.upload(&reference, &source),
            other.upload(&reference, &source),
        )
    })
    .await;
    first.unwrap();
    second.unwrap();
    third.unwrap();
    assert_eq!(ward.kept(&reference), bytes);
}

#[tokio::test]
async fn nobody_there_is_unreachable_after_so_many_attempts() {
    let ward = Ward::open().await;
    let bytes = random_bytes(13, 1_000);
    let reference = reference(&bytes);
    let source = ward.write("source", &bytes);
    let nothing = vec![Cut { up: 0, down: 0 }; 64];
    let cutter = Cutter::start(ward.socket, nothing).await;
    let client = client_for(cutter.address.clone());
    let error = within(client.upload(&reference, &source)).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert_eq!(cutter.connections(), 4);
    let error = within(client.download(&reference, &ward.path("target"))).await.unwrap_err();
    assert!(error.is_unreachable(), "{error:?}");
    assert_eq!(cutter.connections(), 8);
}

#[tokio::test]
async fn progress_grows_to_the_size_in_both_directions() {
    let ward = Ward::open().await;
    let bytes = random_bytes(14, 3_000_000);
    let reference = reference(&bytes);
    let source = ward.write("source", &bytes);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let seeing = Arc::clone(&seen);
    let client = ward.client().with_progress(move |progress| {
        assert_eq!(progress.size, 3_000_000);
        seeing.lock().unwrap().push(progress.done);
    });
    within(client.upload(&reference, &source)).await.unwrap();
    let up = std::mem::take(&mut *seen.lock().unwrap());
    within(client.download(&reference, &ward.path("target"))).await.unwrap();
    let down = std::mem::take(&mut *seen.lock().unwrap());
    for seen in [up, down] {
        assert!(seen.len() > 1 && seen.is_sorted(), "{seen:?}");
        assert_eq!(seen.last(), Some(&3_000_000));
    }
}

#[tokio::test]
async fn a_line_that_is_not_cut_needs_one_connection() {
    let ward = Ward::open().await;
    let bytes = random_bytes(15, 2_000_000);
    let reference = reference(&bytes);
    let source = ward.write("source", &bytes);
    let cutter = Cutter::start(ward.socket, vec![WHOLE]).await;
    within(client_for(cutter.address.clone()).upload(&reference, &source)).await.unwrap();
    assert_eq!(cutter.connections(), 1);
}
