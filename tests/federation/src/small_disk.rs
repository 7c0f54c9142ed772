//! A disk of a few megabytes that can be filled and freed.

use std::fs::File;
use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A file system in memory with a fixed size; dropping it takes it away, whoever still uses it.
#[derive(Debug)]
pub struct SmallDisk {
    folder: TempDir,
}

impl SmallDisk {
    /// Mounts a disk of so many bytes; none, with the reason printed, where this user may not.
    ///
    /// # Panics
    ///
    /// Panics where no temporary folder can be made.
    pub fn mount(bytes: u64) -> Option<Self> {
        let folder = TempDir::with_prefix("wardround-disk-").expect("a folder can be made");
        let size = format!("size={bytes},mode=0700");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "wardround-test"]).arg(folder.path());
        match mount.stdin(Stdio::null()).output() {
            Ok(output) if output.status.success() => Some(Self { folder }),
            Ok(output) => leave_out(String::from_utf8_lossy(&output.stderr).trim()),
            Err(error) => leave_out(&error.to_string()),
        }
    }

    /// Makes a path lead to this disk.
    ///
    /// # Panics
    ///
    /// Panics where something is there already.
    pub fn link(&self, path: &Path) {
        let parent = path.parent().expect("the path has a folder");
        std::fs::create_dir_all(parent).expect("the folder can be made");
        std::os::unix::fs::symlink(self.folder.path(), path).expect("nothing is there");
    }

    /// Takes all that is free, but so many bytes.
    ///
    /// # Panics
    ///
    /// Panics where the disk fails in another way than by being full.
    pub fn fill_leaving(&self, left: u64) {
        let mut filler = File::create(self.filler()).expect("the disk takes a file");
        let page = [0x5a; 4096];
        let mut written = 0_u64;
        loop {
            match filler.write(&page) {
                Ok(count) => written += count as u64,
                Err(error) if error.kind() == ErrorKind::StorageFull => break,
                Err(error) => panic!("the disk cannot be filled: {error}"),
            }
        }
        filler.set_len(written.saturating_sub(left)).expect("a file can be cut");
    }

    /// Takes all that is free.
    pub fn fill(&self) {
        self.fill_leaving(0);
    }

    /// Gives back what [`fill`](Self::fill) took.
    ///
    /// # Panics
    ///
    /// Panics where the disk was not filled.
    pub fn free(&self) {
        std::fs::remove_file(self.filler()).expect("the disk was filled");
    }

    fn filler(&self) -> PathBuf {
        self.folder.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A process that still has a file open loses its name and nothing else.
        let _ = Command::new("umount").arg("--lazy").arg(self.folder.path()).status();
    }
}

#[expect(clippy::print_stderr, reason = "a test that cannot be made says so")]
fn leave_out(reason: &str) -> Option<SmallDisk> {
    eprintln!("left out: no disk can be mounted here: {reason}");
    None
}
