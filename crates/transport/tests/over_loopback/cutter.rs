//! A relay between client and server that cuts connections after so many bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;
use transport::Address;

/// Bytes after which a connection is cut, by direction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

/// Never cuts.
pub(crate) const WHOLE: Cut = Cut { up: u64::MAX, down: u64::MAX };

pub(crate) struct Cutter {
    pub(crate) address: Address,
    counted: Arc<Counted>,
    _relaying: AbortOnDropHandle<()>,
}

#[derive(Default)]
struct Counted {
    connections: AtomicUsize,
    up: AtomicU64,
    down: AtomicU64,
}

impl Cutter {
    /// Relays to `target`; the first connection is cut by the first cut and so on, then none is.
    pub(crate) async fn start(target: SocketAddr, cuts: Vec<Cut>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string().parse().unwrap();
        let counted = Arc::new(Counted::default());
        let counting = Arc::clone(&counted);
        let relaying = AbortOnDropHandle::new(tokio::spawn(async move {
            let mut relays = tokio::task::JoinSet::new();
            loop {
                let (near, _) = listener.accept().await.unwrap();
                let number = counting.connections.fetch_add(1, Ordering::Relaxed);
                let cut = cuts.get(number).copied().unwrap_or(WHOLE);
                relays.spawn(relay(near, target, cut, Arc::clone(&counting)));
            }
        }));
        Self { address, counted, _relaying: relaying }
    }

    pub(crate) fn connections(&self) -> usize {
        self.counted.connections.load(Ordering::Relaxed)
    }

    /// Bytes that went to the server.
    pub(crate) fn up(&self) -> u64 {
        self.counted.up.load(Ordering::Relaxed)
    }

    /// Bytes that went to the client.
    pub(crate) fn down(&self) -> u64 {
        self.counted.down.load(Ordering::Relaxed)
    }
}

async fn relay(near: TcpStream, target: SocketAddr, cut: Cut, counted: Arc<Counted>) {
    let Ok(far) = TcpStream::connect(target).await else { return };
    let (near_read, near_write) = near.into_split();
    let (far_read, far_write) = far.into_split();
    // Whichever direction ends first takes the connection with it.
    tokio::select! {
        () = forward(near_read, far_write, cut.up, &counted.up) => {}
        () = forward(far_read, near_write, cut.down, &counted.down) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, most: u64, counter: &AtomicU64) {
    let mut left = most;
    let mut buffer = vec![0; 16 << 10];
    while left > 0 {
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let Ok(count) = from.read(&mut buffer[..room]).await else { return };
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            return;
        }
        left -= count as u64;
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
