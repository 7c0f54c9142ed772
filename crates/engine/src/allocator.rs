//! Keeps the memory of a step in the process from one step to the next.

/// Tells the allocator that blocks of up to `bytes` come and go all the time.
///
/// glibc serves a large block by a system call of its own and gives the free end of the heap back at
/// once: every step would take its pages from the kernel again, which was a third of the time of a
/// step on a small network. Freeing one large block moves both thresholds up to that block's size, and
/// to twice of it (`M_MMAP_THRESHOLD` in mallopt(3)). The block is never written, so that it costs no
/// memory; other allocators see an allocation and its end.
///
/// glibc stops following at 32 MiB; beyond that, system calls no longer matter beside the arithmetic.
pub(crate) fn expect_blocks(bytes: u64) {
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX).min(LARGEST);
    drop(std::hint::black_box(Vec::<u8>::with_capacity(bytes)));
}

const LARGEST: usize = 31 << 20;
