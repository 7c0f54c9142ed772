//! Keeps the memory of a transfer's chunks in the process from one chunk to the next.

use super::{CHUNK, CHUNKS_WAITING};

/// Tells the allocator that chunks come and go all the time.
///
/// hyper receives into fresh memory for every chunk. glibc gives the free end of the heap back as soon as a few chunks
/// are free: every chunk would take its pages from the kernel again, a page fault and a page of zeros for every four
/// kilobytes, which cost a transfer as much as its sockets. Freeing one large block raises the bound to twice that
/// block's size (`M_MMAP_THRESHOLD` in mallopt(3)). The block is never written, so that it costs no memory; other
/// allocators see an allocation and its end.
pub(super) fn expect_chunks() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(LARGEST)));
}

/// Twice this holds what two transfers have between network and disk.
const LARGEST: usize = (CHUNKS_WAITING + 4) * CHUNK;
