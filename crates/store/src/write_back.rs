//! Letting the disk write a file while it still grows.

use std::fs::File;

/// Follows a file that grows at its end, and asks the system to begin writing it to the disk.
///
/// It makes nothing durable: only a synchronisation does, which then finds little left to write.
#[derive(Debug)]
pub(crate) struct WriteBack {
    begun: u64,
}

impl WriteBack {
    /// Leaves alone what lies before `offset`.
    pub(crate) fn from(offset: u64) -> Self {
        Self { begun: offset }
    }

    /// Is told how long the file is now; asks once for every window that has filled.
    pub(crate) fn follow(&mut self, file: &File, length: u64) {
        let waiting = length.saturating_sub(self.begun);
        if waiting >= WINDOW {
            begin(file, self.begun, waiting);
            self.begun = length;
        }
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe interface begins a write without waiting for it")]
fn begin(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;

    let (Ok(offset), Ok(length)) = (offset.try_into(), length.try_into()) else { return };
    // SAFETY: the descriptor is open as long as the file is borrowed, and the call touches no
    // memory of this process. That it may refuse is of no account: the bytes are then written by
    // the synchronisation.
    let _refused = unsafe {
        libc::sync_file_range(file.as_raw_fd(), offset, length, libc::SYNC_FILE_RANGE_WRITE)
    };
}

#[cfg(not(target_os = "linux"))]
fn begin(_file: &File, _offset: u64, _length: u64) {}

/// Long enough that a disk writes it in one go, short against what a synchronisation should find.
const WINDOW: u64 = 8 << 20;
