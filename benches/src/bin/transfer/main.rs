//! How fast artifacts travel over loopback, beside the floors of the same machine in the same run.
//!
//! `cargo run --release -p benches --bin transfer [-- MEGABYTES…]`; 100 and 1000 by default.

#![expect(clippy::print_stdout, reason = "a benchmark prints its result")]

mod floor;
mod shelf;
mod usage;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protocol::{ArtifactReference, Digest};
use store::artifact::{ArtifactStore, Settings as StoreSettings};
use store::{Durability, SystemClock};
use tokio::sync::oneshot;
use transport::artifact::client::Settings;
use transport::server::{self, Server, one_port};
use transport::{ArtifactClient, Caller, Security};

use self::shelf::BenchShelf;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut sizes = Vec::new();
    for argument in std::env::args().skip(1) {
        sizes.push(argument.parse::<usize>()?);
    }
    if sizes.is_empty() {
        sizes = vec![100, 1000];
    }
    println!("{:<44} {:>10} {:>10} {:>10}", "what", "median", "GB/s", "CPU each");
    for megabytes in sizes {
        measure(megabytes).await?;
    }
    let (anonymous, peak) = usage::in_megabytes()?;
    println!("memory now {anonymous} MB anonymous, peak {peak} MB, server and client together");
    Ok(())
}

async fn measure(megabytes: usize) -> Result<(), Failure> {
    let folder = tempfile::tempdir()?;
    let bytes = floor::noise(megabytes * 1_000_000);
    let reference = ArtifactReference::new(Digest::of(&bytes), bytes.len() as u64);
    let source = folder.path().join("source");
    std::fs::write(&source, &bytes)?;
    let repeat = if megabytes > 500 { 3 } else { 7 };
    usage::processor_time_since_last();
    let report = |what: &str, times| show(&format!("{megabytes} MB {what}"), bytes.len(), times);
    report("floor: SHA-256, one core", floor::hashing(&bytes, repeat));
    report("floor: loopback TCP, no HTTP, no disk", floor::loopback(&bytes, repeat).await?);
    let target = folder.path().join("floor");
    report("floor: write a file", floor::writing(&bytes, &target, repeat, Durability::Process)?);
    let synchronised = floor::writing(&bytes, &target, repeat, Durability::PowerLoss)?;
    report("floor: write and synchronise a file", synchronised);
    drop(bytes);
    for (what, durability) in
        [("upload", Durability::Process), ("upload, synchronised", Durability::PowerLoss)]
    {
        let ward = Ward::open(folder.path(), durability).await?;
        let mut times = Vec::new();
        usage::processor_time_since_last();
        for _ in 0..repeat {
            let started = Instant::now();
            ward.client.upload(&reference, &source).await?;
            times.push(started.elapsed());
            ward.store.delete(&reference.digest)?;
        }
        show(&format!("{megabytes} MB {what}"), usize::try_from(reference.size)?, times);
        ward.close().await?;
    }
    let ward = Ward::open(folder.path(), Durability::Process).await?;
    ward.client.upload(&reference, &source).await?;
    let mut times = Vec::new();
    usage::processor_time_since_last();
    for _ in 0..repeat {
        let target = folder.path().join("target");
        let started = Instant::now();
        ward.client.download(&reference, &target).await?;
        times.push(started.elapsed());
        std::fs::remove_file(target)?;
    }
    show(&format!("{megabytes} MB download"), usize::try_from(reference.size)?, times);
    ward.close().await
}

/// Prints a median; the processor time since the last line is shared out among the repetitions.
fn show(what: &str, bytes: usize, mut times: Vec<Duration>) {
    times.sort();
    let median = times[times.len() / 2].as_secs_f64();
    let processor = usage::processor_time_since_last().as_millis() / times.len() as u128;
    #[expect(clippy::cast_precision_loss, reason = "a size in bytes is below 2^52")]
    let rate = bytes as f64 / median / 1e9;
    println!("{what:<44} {:>7.0} ms {rate:>10.2} {processor:>7} ms", median * 1e3);
}

/// A server with a store and a client for it, in this process.
struct Ward {
    store: ArtifactStore,
    client: ArtifactClient,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Ward {
    async fn open(folder: &Path, durability: Durability) -> Result<Self, Failure> {
        let path = folder.join("store");
        let store = ArtifactStore::open(&path, StoreSettings::default(), Arc::new(SystemClock))?;
        let shelf = Arc::new(BenchShelf { store: store.clone(), durability });
        let routes = transport::artifact::routes(shelf, Duration::from_secs(30));
        let server = Server::bind(
            "127.0.0.1:0".parse()?,
            Security::InsecureLoopback,
            server::Settings::default(),
        )
        .await?;
        let caller: Caller = "node:bench".parse()?;
        let client = ArtifactClient::new(server.address(), caller, Settings::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let router = one_port(tonic::service::Routes::default(), routes);
        let serving = tokio::spawn(server.serve(router, async {
            drop(stopped.await);
        }));
        Ok(Self { store, client, stop, serving })
    }

    async fn close(self) -> Result<(), Failure> {
        drop(self.stop);
        self.serving.await?;
        let digests = self.store.list().into_iter().map(|reference| reference.digest);
        for digest in digests {
            self.store.delete(&digest)?;
        }
        Ok(())
    }
}
