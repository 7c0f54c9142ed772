//! Who has a file, who may name it, and how much one caller may bring.

use std::path::Path;

use protocol::wire::{refusal, v1};
use protocol::{ArtifactReference, Code, Digest};
use transport::artifact::client;
use transport::{Address, ArtifactClient, Caller};

use crate::federation::{Federation, fields};
use crate::support::{Researcher, Script, model};

/// A client that does not try again.
fn files(address: &Address, caller: Caller) -> ArtifactClient {
    let settings = client::Settings { attempts: 1, ..Default::default() };
    ArtifactClient::new(address.clone(), caller, settings)
}

fn researcher(name: &str) -> Caller {
    Caller::Researcher(name.parse().unwrap())
}

fn write(folder: &Path, bytes: &[u8]) -> (ArtifactReference, std::path::PathBuf) {
    let reference = ArtifactReference::new(Digest::of(bytes), bytes.len() as u64);
    let path = folder.join(reference.digest.hexadecimal());
    std::fs::write(&path, bytes).unwrap();
    (reference, path)
}

/// The status and the words of a refusal.
fn refused(result: Result<(), client::Error>) -> (u16, String) {
    match result.unwrap_err() {
        client::Error::Refused { status, sentence, .. } => (status.as_u16(), sentence),
        error => panic!("{error:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_alone_neither_tells_of_a_file_nor_makes_it_ones_own() {
    let world = Federation::start(Vec::new()).await;
    let good = world.researcher.prepare(1).await;
    let brought = model().to_bytes(None).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let address = world.server.address();

    // Eve knows the digest and the length, and has other bytes of that length.
    let (reference, right) = write(scratch.path(), &brought);
    let wrong = scratch.path().join("wrong");
    std::fs::write(&wrong, vec![7; brought.len()]).unwrap();
    let absent = ArtifactReference::new(Digest::of(b"nobody has it"), reference.size);
    let eve = files(&address, researcher("eve"));
    let told = refused(eve.upload(&reference, &wrong).await);
    assert_eq!(told, refused(eve.upload(&absent, &wrong).await), "both answers are the same");
    assert_eq!(told.0, 422, "{told:?}");

    let mut eve = Researcher::dial_as("eve", &address, scratch.path()).await;
    let plan = eve.bring(b"{\"format\":\"wardround-plan/1\",\"of\":\"eve\"}").await;
    let request = v1::SubmitExperimentRequest { plan: Some(plan.into()), ..good.clone() };
    let error = eve.calls.submit_experiment(request.clone()).await.unwrap_err();
    assert_eq!(refusal::code(&error), Some(Code::ArtifactUnknown), "{error}");

    // Who brings the bytes has shown that they are there already.
    eve.files.upload(&reference, &right).await.unwrap();
    eve.submit(request).await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_given_a_trained_model_goes_on_from_it_by_bringing_it() {
    let mut world = Federation::usual(|_| {}).await;
    let id = world.submit(1).await;
    world.researcher.watch_until(&id, "completed").await;
    let trained: ArtifactReference =
        world.researcher.show(&id).await.model.unwrap().try_into().unwrap();
    let scratch = tempfile::tempdir().unwrap();
    let given = scratch.path().join("given");
    world.researcher.files.download(&trained, &given).await.unwrap();

    let mut bob = Researcher::dial_as("bob", &world.server.address(), scratch.path()).await;
    let request = bob.prepare(1).await;
    let request =
        v1::SubmitExperimentRequest { parameters: Some(trained.clone().into()), ..request };
    let error = bob.calls.submit_experiment(request.clone()).await.unwrap_err();
    assert_eq!(refusal::code(&error), Some(Code::ArtifactUnknown), "{error}");
    bob.files.upload(&trained, &given).await.unwrap();
    let id = bob.submit(request).await;
    bob.watch_until(&id, "completed").await;
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_callers_uploads_are_bounded_in_number_and_bytes_and_anothers_are_not_touched() {
    let folder = tempfile::tempdir().unwrap();
    let world = Federation::start_with(Vec::new(), |config| {
        config.uploads_per_caller = 2;
        config.waiting_bytes_per_caller = 1000;
    })
    .await;
    let address = world.server.address();
    let eve = files(&address, researcher("eve"));
    let (first, first_path) = write(folder.path(), &[1; 600]);
    eve.upload(&first, &first_path).await.unwrap();
    let (second, second_path) = write(folder.path(), &[2; 600]);
    let (status, words) = refused(eve.upload(&second, &second_path).await);
    assert_eq!((status, words.as_str()), (429, "the caller has reached its limit of uploads"));
    // What was brought may be brought again, and others are not bound by it.
    eve.upload(&first, &first_path).await.unwrap();
    files(&address, researcher("ada")).upload(&second, &second_path).await.unwrap();

    // Uploads that are begun count, whether a byte of them comes or not.
    let cut = folder.path().join("cut");
    for length in [100, 101] {
        let announced = ArtifactReference::new(Digest::of(&[length]), u64::from(length));
        std::fs::write(&cut, vec![9; length.into()]).unwrap();
        begin(&address, "bob", &announced).await;
    }
    let (third, third_path) = write(folder.path(), &[3; 102]);
    let bob = files(&address, researcher("bob"));
    assert_eq!(refused(bob.upload(&third, &third_path).await).0, 429);
    world.server.stop().await;
}

/// Begins an upload and brings nothing.
async fn begin(address: &Address, name: &str, reference: &ArtifactReference) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let mut stream = tokio::net::TcpStream::connect(address.authority()).await.unwrap();
    let body = format!("{{\"digest\":\"{}\",\"size\":{}}}", reference.digest, reference.size);
    let request = format!(
        "POST /uploads HTTP/1.1\r\nhost: x\r\nconnection: close\r\nwardround-caller: researcher:{name}\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_experiment_names_does_not_count_any_more() {
    let mut world = Federation::start_with(Vec::new(), |config| {
        config.waiting_bytes_per_caller = model().to_bytes(None).unwrap().len() as u64 + 100;
    })
    .await;
    for _ in 0..3 {
        // Plan and parameters just fit.
        let request = world.researcher.prepare(1).await;
        world.researcher.submit(request).await;
    }
    let more = world.researcher.try_bring(&[5; 200]).await;
    more.expect("all that was brought before is named");
    world.server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn equal_updates_of_two_nodes_and_two_experiments_are_asked_for_once_each() {
    // Nodes with the same step make the same bytes, in both experiments.
    let scripts = ["east", "north"].map(|name| Script { step: 1.0, ..Script::new(name) });
    let mut world = Federation::start(scripts.into()).await;
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(world.submit(3).await);
    }
    for id in ids {
        let events = world.researcher.watch_until(&id, "completed").await;
        let again: Vec<_> = events
            .iter()
            .filter(|event| event.name == "round-started")
            .map(fields)
            .filter(|fields| fields["attempt"] != 1)
            .collect();
        assert!(again.is_empty(), "{again:?}");
    }
    world.server.stop().await;
}
