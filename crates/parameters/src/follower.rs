//! Showing a file's bytes in their order while several threads write them in any.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Mutex, MutexGuard, PoisonError, TryLockError},
};

/// Shows every byte of a growing file once, from the first to the last.
///
/// Whoever has written a piece and finds nobody showing does so, as far as the file is whole; the
/// others go on writing. A piece whose turn has come is shown from memory, a later one is read back.
pub(crate) struct Follower<'a> {
    /// Pieces that are written and not shown, by their begin: where each ends.
    waiting: Mutex<BTreeMap<u64, u64>>,
    shown: Mutex<Shown<'a>>,
}

struct Shown<'a> {
    show: &'a mut (dyn FnMut(&[u8]) + Send),
    until: u64,
    buffer: Vec<u8>,
}

impl<'a> Follower<'a> {
    pub(crate) fn new(show: &'a mut (dyn FnMut(&[u8]) + Send)) -> Self {
        let shown = Shown { show, until: 0, buffer: Vec::new() };
        Self { waiting: Mutex::default(), shown: Mutex::new(shown) }
    }

    /// Is told of a piece that the file holds now.
    pub(crate) fn wrote(&self, file: &File, position: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let wait = || self.waiting().insert(position, position + bytes.len() as u64);
        let mut shown = match self.shown.try_lock() {
            Ok(shown) => shown,
            // What was shown before a panic was shown whole.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => {
                wait();
                return Ok(());
            }
        };
        if shown.until == position {
            shown.take(bytes);
        } else {
            wait();
        }
        self.catch_up(&mut shown, file)
    }

    /// Shows what still waits and returns how far the bytes go without a gap.
    pub(crate) fn finish(&self, file: &File) -> io::Result<u64> {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        self.catch_up(&mut shown, file)?;
        Ok(shown.until)
    }

    fn catch_up(&self, shown: &mut Shown<'a>, file: &File) -> io::Result<()> {
        loop {
            let Some(end) = self.waiting().remove(&shown.until) else { return Ok(()) };
            while shown.until < end {
                shown.read(file, end)?;
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, u64>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown<'_> {
    fn take(&mut self, bytes: &[u8]) {
        (self.show)(bytes);
        self.until += bytes.len() as u64;
    }

    fn read(&mut self, file: &File, end: u64) -> io::Result<()> {
        let count = usize::try_from(end - self.until).map_or(BUFFER, |left| left.min(BUFFER));
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(buffer.len().max(count), 0);
        let read = file.read_exact_at(&mut buffer[..count], self.until);
        if read.is_ok() {
            self.take(&buffer[..count]);
        }
        self.buffer = buffer;
        read
    }
}

impl fmt::Debug for Follower<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Follower").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

/// As much as stays in a core's second-level cache between the read and the look.
const BUFFER: usize = 128 << 10;
