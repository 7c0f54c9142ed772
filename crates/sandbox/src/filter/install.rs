//! Installs the filter, and answers what it asks.

#![expect(unsafe_code, reason = "the C library has no interface to filters of system calls")]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::Filter;

/// Installs the filter in this thread, for good, and gives the descriptor on which it asks.
///
/// # Errors
///
/// The kernel refuses: new privileges are still allowed, or somebody else is asked already.
pub(crate) fn install(filter: &Filter) -> io::Result<OwnedFd> {
    let instructions = &filter.assembled.instructions;
    let program = Program {
        length: u16::try_from(instructions.len()).map_err(io::Error::other)?,
        instructions: instructions.as_ptr().cast(),
    };
    // SAFETY: the program names an array of `length` instructions which lives through the call.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_SET_MODE_FILTER,
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER,
            &raw const program,
        )
    };
    let raw = i32::try_from(answer).unwrap_or(-1);
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has just made this descriptor, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw) })
}

/// A call that waits for an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Notification {
    id: u64,
    /// The architecture that the call was made for.
    pub(crate) architecture: u32,
    /// The call's number.
    pub(crate) number: i32,
}

/// What becomes of a call that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It happens.
    Continue,
    /// It gives `EPERM`.
    Refuse,
}

/// Takes the next call that waits; none where the caller has died meanwhile.
pub(crate) fn receive(listener: BorrowedFd<'_>) -> io::Result<Option<Notification>> {
    // SAFETY: the structure is made of numbers, and the kernel demands that they are zero.
    let mut notification: libc::seccomp_notif = unsafe { std::mem::zeroed() };
    let request = libc::SECCOMP_IOCTL_NOTIF_RECV;
    // SAFETY: the kernel writes one such structure, which lives through the call.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut notification) };
    if answer < 0 {
        let error = io::Error::last_os_error();
        return match error.raw_os_error() {
            Some(libc::ENOENT | libc::EINTR) => Ok(None),
            _ => Err(error),
        };
    }
    Ok(Some(Notification {
        id: notification.id,
        architecture: notification.data.arch,
        number: notification.data.nr,
    }))
}

/// Answers a call that waits.
pub(crate) fn answer(
    listener: BorrowedFd<'_>,
    notification: &Notification,
    decision: Decision,
) -> io::Result<()> {
    // SAFETY: the structure is made of numbers.
    let mut response: libc::seccomp_notif_resp = unsafe { std::mem::zeroed() };
    response.id = notification.id;
    match decision {
        Decision::Continue => response.flags = CONTINUE,
        Decision::Refuse => response.error = -libc::EPERM,
    }
    let request = libc::SECCOMP_IOCTL_NOTIF_SEND;
    // SAFETY: the kernel reads one such structure, which lives through the call.
    let answer = unsafe { libc::ioctl(listener.as_raw_fd(), request, &raw mut response) };
    if answer < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[repr(C)]
struct Program {
    length: u16,
    instructions: *const libc::c_void,
}

/// `SECCOMP_USER_NOTIF_FLAG_CONTINUE`.
const CONTINUE: u32 = 1;
