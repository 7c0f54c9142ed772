//! Landlock in hard-requirement mode: every right that the kernel knows is taken, then a few are given back.
//!
//! The three system calls are made directly: the rights must be exactly those of the running
//! kernel's interface, and a step that does not succeed ends the start instead of being skipped.

#![expect(unsafe_code, reason = "the C library has no interface to Landlock's system calls")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The oldest interface that has control over truncation and TCP.
pub(crate) const OLDEST: u32 = 4;

/// What a process may do below a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Read files and list folders.
    Read,
    /// Read and execute.
    Execute,
    /// Read, write and remove plain files and folders; nothing special, nothing executable.
    Scratch,
    /// Read and write what is there.
    Device,
}

/// The version of the kernel's interface; 0 where there is none.
pub(crate) fn version() -> u32 {
    // SAFETY: with this flag the call takes no attributes and touches no memory.
    let answer = unsafe {
        libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0, CREATE_VERSION)
    };
    u32::try_from(answer).unwrap_or(0)
}

/// A set of rules that takes effect with [`Ruleset::restrict`].
#[derive(Debug)]
pub(crate) struct Ruleset {
    descriptor: OwnedFd,
    handled: u64,
}

impl Ruleset {
    /// Refuses everything that the running kernel can refuse.
    ///
    /// # Errors
    ///
    /// The kernel has no Landlock of the oldest version that is accepted, or refuses.
    pub(crate) fn refusing_everything() -> io::Result<Self> {
        let version = version();
        if version < OLDEST {
            return Err(io::Error::new(io::ErrorKind::Unsupported, "Landlock is missing or old"));
        }
        let handled = if version >= 5 { UP_TO_5 } else { UP_TO_3 };
        let attributes = Attributes {
            handled_files: handled,
            handled_network: BIND_TCP | CONNECT_TCP,
            scoped: if version >= 6 { SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL } else { 0 },
        };
        let size = if version >= 6 { 24 } else { 16 };
        // SAFETY: the structure is as large as stated, or larger, and lives through the call.
        let answer = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, &raw const attributes, size, 0)
        };
        let raw = i32::try_from(answer).unwrap_or(-1);
        if raw < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call has just made this descriptor, and nobody else has it.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(raw) }, handled })
    }

    /// Gives rights back at a path and below.
    ///
    /// # Errors
    ///
    /// The path cannot be opened, or the kernel refuses the rule.
    pub(crate) fn allow(&mut self, path: &Path, access: Access) -> io::Result<()> {
        let opened = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path)?;
        self.allow_opened(&opened, access)
    }

    fn allow_opened(&mut self, opened: &File, access: Access) -> io::Result<()> {
        let mut rights = rights_of(access) & self.handled;
        if !opened.metadata()?.is_dir() {
            rights &= ON_FILES;
        }
        let rule = BelowPath { allowed: rights, parent: opened.as_raw_fd() };
        // SAFETY: the structure is what this kind of rule reads, and lives through the call.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_landlock_add_rule,
                self.descriptor.as_raw_fd(),
                RULE_BELOW_PATH,
                &raw const rule,
                0,
            )
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Holds this thread, and what it starts, to the rules, for good.
    ///
    /// # Errors
    ///
    /// The kernel refuses, for instance because new privileges are still allowed.
    pub(crate) fn restrict(&self) -> io::Result<()> {
        // SAFETY: the call takes a descriptor and a number and touches no memory.
        let answer = unsafe {
            libc::syscall(libc::SYS_landlock_restrict_self, self.descriptor.as_raw_fd(), 0)
        };
        if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// The descriptor, for a process that restricts itself.
    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.descriptor
    }
}

const fn rights_of(access: Access) -> u64 {
    match access {
        Access::Read => READ_FILE | READ_FOLDER,
        Access::Execute => READ_FILE | READ_FOLDER | EXECUTE,
        Access::Scratch => {
            READ_FILE
                | READ_FOLDER
                | WRITE_FILE
                | TRUNCATE
                | MAKE_FILE
                | MAKE_FOLDER
                | REMOVE_FILE
                | REMOVE_FOLDER
                | REFER
        }
        Access::Device => READ_FILE | WRITE_FILE,
    }
}

#[repr(C)]
struct Attributes {
    handled_files: u64,
    handled_network: u64,
    scoped: u64,
}

#[repr(C, packed)]
struct BelowPath {
    allowed: u64,
    parent: i32,
}

const CREATE_VERSION: u32 = 1;
const RULE_BELOW_PATH: i32 = 1;
const EXECUTE: u64 = 1;
const WRITE_FILE: u64 = 1 << 1;
const READ_FILE: u64 = 1 << 2;
const READ_FOLDER: u64 = 1 << 3;
const REMOVE_FOLDER: u64 = 1 << 4;
const REMOVE_FILE: u64 = 1 << 5;
const MAKE_FOLDER: u64 = 1 << 7;
const MAKE_FILE: u64 = 1 << 8;
const REFER: u64 = 1 << 13;
const TRUNCATE: u64 = 1 << 14;
const DEVICE_CONTROL: u64 = 1 << 15;
/// Every right of versions 1 to 4.
const UP_TO_3: u64 = (1 << 15) - 1;
/// Every right of versions 5 to 7.
const UP_TO_5: u64 = UP_TO_3 | DEVICE_CONTROL;
/// The rights that make sense on something that is not a folder.
const ON_FILES: u64 = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | DEVICE_CONTROL;
const BIND_TCP: u64 = 1;
const CONNECT_TCP: u64 = 1 << 1;
const SCOPE_ABSTRACT_SOCKET: u64 = 1;
const SCOPE_SIGNAL: u64 = 1 << 1;
