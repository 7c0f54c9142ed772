//! The system calls that no safe library offers in the shape that a launcher needs.
//!
//! Everything here runs in the launcher's own process, which has one thread.

#![expect(
    unsafe_code,
    reason = "fork, mounts, namespaces and resource usage have no safe interface without further dependencies"
)]

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Which side of a fork this is.
pub(crate) enum Forked {
    /// The new process.
    Child,
    /// The old one, with the identifier of the new.
    Parent(i32),
}

/// Forks this process, which must have one thread only.
pub(crate) fn fork() -> io::Result<Forked> {
    // SAFETY: the launcher has one thread, so no lock can be left held by a thread that the child
    // does not have, and the child may go on to run any code.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent(child)),
    }
}

/// Ends this process at once, without the handlers of its parent.
pub(crate) fn exit_now(status: i32) -> ! {
    // SAFETY: the call does not return and touches no memory.
    unsafe { libc::_exit(status) }
}

/// Moves this process into new namespaces.
pub(crate) fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: the call takes a number and touches no memory.
    checked(unsafe { libc::unshare(flags) }).map(drop)
}

/// What a mount is made of.
pub(crate) struct Mount<'a> {
    /// The device or the path that is bound.
    pub(crate) source: &'a Path,
    /// The kind of file system; empty for a change or a bind.
    pub(crate) kind: &'a str,
    /// `MS_*` flags.
    pub(crate) flags: u64,
    /// The file system's own options.
    pub(crate) options: &'a str,
}

impl Mount<'_> {
    /// Mounts at a path.
    pub(crate) fn at(&self, target: &Path) -> io::Result<()> {
        let source = text(self.source.as_os_str().as_bytes())?;
        let target = text(target.as_os_str().as_bytes())?;
        let kind = text(self.kind.as_bytes())?;
        let options = text(self.options.as_bytes())?;
        // SAFETY: the four texts end with a zero byte and live until the call has returned.
        checked(unsafe {
            libc::mount(
                source.as_ptr(),
                target.as_ptr(),
                kind.as_ptr(),
                self.flags,
                options.as_ptr().cast(),
            )
        })
        .map(drop)
    }
}

/// Takes a mount away, at once for names and as soon as nobody uses it for the rest.
pub(crate) fn unmount(target: &Path) -> io::Result<()> {
    let target = text(target.as_os_str().as_bytes())?;
    // SAFETY: the text ends with a zero byte and lives until the call has returned.
    checked(unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH) }).map(drop)
}

/// Puts `old_root` below the current folder, which becomes the root.
pub(crate) fn pivot_root_here() -> io::Result<()> {
    let here = c".";
    // SAFETY: both texts end with a zero byte and live for ever.
    let answer = unsafe { libc::syscall(libc::SYS_pivot_root, here.as_ptr(), here.as_ptr()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Which of the descriptors can be read, or have ended; waits at most so long.
pub(crate) fn readable(
    descriptors: &[BorrowedFd<'_>],
    timeout: Option<Duration>,
) -> io::Result<Vec<bool>> {
    let mut asked: Vec<libc::pollfd> = descriptors
        .iter()
        .map(|one| libc::pollfd { fd: one.as_raw_fd(), events: libc::POLLIN, revents: 0 })
        .collect();
    let milliseconds =
        timeout.map_or(-1, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
    let count = libc::nfds_t::try_from(asked.len()).unwrap_or(libc::nfds_t::MAX);
    // SAFETY: the array has `count` entries and is borrowed by nobody else during the call.
    match checked(unsafe { libc::poll(asked.as_mut_ptr(), count, milliseconds) }) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    Ok(asked.iter().map(|one| one.revents != 0).collect())
}

/// How a child ended, and what it used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaped {
    /// The status as the system words it.
    pub(crate) status: i32,
    /// Processor time, the system's part included.
    pub(crate) processor: Duration,
}

/// Reaps a child that has ended or will do so now.
pub(crate) fn reap(child: i32) -> io::Result<Reaped> {
    let mut status = 0;
    // SAFETY: `rusage` is a structure of numbers, for which all zeroes are a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: both pointers are to local values that outlive the call.
        match checked(unsafe { libc::wait4(child, &raw mut status, 0, &raw mut usage) }) {
            Ok(_) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Reaped { status, processor: duration(usage.ru_utime) + duration(usage.ru_stime) })
}

/// Marks every descriptor from `first` on as closed at the next `exec`.
pub(crate) fn close_from_at_exec(first: u32) -> io::Result<()> {
    let flag = libc::CLOSE_RANGE_CLOEXEC;
    // SAFETY: the call changes flags of descriptors and touches no memory.
    let answer = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, flag) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Makes `target` the same open file as `source`, kept over `exec`.
pub(crate) fn duplicate_to(source: BorrowedFd<'_>, target: i32) -> io::Result<()> {
    // SAFETY: the process replaces itself next; nothing it still uses owns `target`.
    checked(unsafe { libc::dup2(source.as_raw_fd(), target) }).map(drop)
}

/// Makes sure that nothing this process starts can ever gain a privilege; needs privileges itself.
pub(crate) fn empty_bounding_set() {
    for capability in 0..=63 {
        // SAFETY: the call takes numbers and touches no memory. It refuses numbers beyond the
        // last capability, and everything to a process that has nothing to lose.
        let _refused = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
    }
}

/// Takes every privilege from this process.
pub(crate) fn drop_capabilities() -> io::Result<()> {
    // SAFETY: the call takes numbers; systems without ambient capabilities refuse, and have none.
    let _refused =
        unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    let header = [CAPABILITY_VERSION, 0];
    let nothing = [0_u32; 6];
    // SAFETY: version 3 reads a header of two words and two triples of words, which these are.
    let answer = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), nothing.as_ptr()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The number of a limit, in whose type C libraries differ.
#[cfg(target_env = "gnu")]
pub(crate) type LimitNumber = libc::__rlimit_resource_t;
/// The number of a limit, in whose type C libraries differ.
#[cfg(not(target_env = "gnu"))]
pub(crate) type LimitNumber = libc::c_int;

/// Sets a limit, named by the system's number for it.
pub(crate) fn set_limit(resource: LimitNumber, soft: u64, hard: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: soft, rlim_max: hard };
    // SAFETY: the structure lives through the call.
    let answer = unsafe { libc::setrlimit(resource, &raw const limit) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn checked(answer: i32) -> io::Result<i32> {
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(answer) }
}

fn text(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(io::Error::from)
}

fn duration(time: libc::timeval) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(seconds) + Duration::from_micros(micros)
}

/// `_LINUX_CAPABILITY_VERSION_3`.
const CAPABILITY_VERSION: u32 = 0x2008_0522;
