//! What the machine itself takes for the parts of a transfer.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use protocol::Digest;
use store::Durability;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Bytes that neither a disk nor a network can make smaller.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.take(length.div_ceil(8)).flatten().take(length).collect()
}

pub(crate) fn hashing(bytes: &[u8], repeat: usize) -> Vec<Duration> {
    let once = || {
        let started = Instant::now();
        std::hint::black_box(Digest::of(std::hint::black_box(bytes)));
        started.elapsed()
    };
    std::iter::repeat_with(once).take(repeat).collect()
}

pub(crate) async fn loopback(bytes: &[u8], repeat: usize) -> io::Result<Vec<Duration>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut times = Vec::new();
    for _ in 0..repeat {
        let started = Instant::now();
        let mut sender = TcpStream::connect(listener.local_addr()?).await?;
        let (mut receiver, _) = listener.accept().await?;
        let receiving = tokio::spawn(async move {
            let mut buffer = vec![0; 1 << 20];
            while receiver.read(&mut buffer).await? > 0 {}
            io::Result::Ok(())
        });
        sender.write_all(bytes).await?;
        drop(sender);
        receiving.await??;
        times.push(started.elapsed());
    }
    Ok(times)
}

pub(crate) fn writing(
    bytes: &[u8],
    path: &Path,
    repeat: usize,
    durability: Durability,
) -> io::Result<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..repeat {
        let started = Instant::now();
        let mut file = File::create(path)?;
        for chunk in bytes.chunks(1 << 20) {
            file.write_all(chunk)?;
        }
        if durability == Durability::PowerLoss {
            file.sync_all()?;
        }
        times.push(started.elapsed());
        std::fs::remove_file(path)?;
    }
    Ok(times)
}
