//! A file as a body: read a few chunks ahead of the network, in buffers that are used again.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{CHUNK, CHUNKS_WAITING};

/// Makes a body of `length` bytes of a file from `start` on.
///
/// A file that ends earlier breaks the body off.
pub(super) fn send(file: File, start: u64, length: u64) -> Body {
    let (chunks, ready) = mpsc::channel(CHUNKS_WAITING);
    // It ends with the body: a dropped receiver refuses the next chunk.
    drop(spawn_blocking(move || read(&file, start, length, &chunks)));
    Body::from_stream(stream::unfold(ready, |mut ready: mpsc::Receiver<io::Result<Bytes>>| async {
        ready.recv().await.map(|chunk| (chunk, ready))
    }))
}

fn read(file: &File, start: u64, length: u64, chunks: &mpsc::Sender<io::Result<Bytes>>) {
    let pool = Pool::default();
    let (mut at, end) = (start, start + length);
    while at < end {
        let count = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
        let mut lent = pool.lend(count);
        let read = file.read_exact_at(&mut lent.buffer[..count], at);
        at += count as u64;
        let is_last = read.is_err();
        let chunk = read.map(|()| Bytes::from_owner(lent));
        if chunks.blocking_send(chunk).is_err() || is_last {
            return;
        }
    }
}

/// Buffers that nobody reads any more. Fresh memory costs as much as filling it: a page fault and a
/// page of zeros for every four kilobytes.
#[derive(Clone, Default)]
struct Pool {
    free: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// A buffer on loan, of which the first `count` bytes count.
struct Lent {
    buffer: Vec<u8>,
    count: usize,
    pool: Pool,
}

impl Pool {
    fn lend(&self, count: usize) -> Lent {
        let free = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        // Every chunk but the last has the same length, so that a free buffer is always large enough.
        let buffer = free.unwrap_or_else(|| vec![0; count]);
        Lent { buffer, count, pool: self.clone() }
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.count]
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.pool.free.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
