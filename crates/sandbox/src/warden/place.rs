//! Where jobs live: namespaces, and scratch folders of a fixed size.

use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::limits::Limits;
use crate::system::{self, Mount};

/// Moves this process into namespaces of its own; its next child is the first process of them.
pub(crate) fn enter_namespaces() -> io::Result<()> {
    let flags = libc::CLONE_NEWNS
        | libc::CLONE_NEWPID
        | libc::CLONE_NEWNET
        | libc::CLONE_NEWIPC
        | libc::CLONE_NEWUTS;
    if system::unshare(flags).is_err() {
        let user = rustix::process::geteuid().as_raw();
        let group = rustix::process::getegid().as_raw();
        system::unshare(flags | libc::CLONE_NEWUSER)?;
        std::fs::write("/proc/self/setgroups", "deny")?;
        std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
        std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    }
    let nothing = Path::new("none");
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    Mount { source: nothing, kind: "", flags, options: "" }.at(Path::new("/"))
}

/// Lets this process, and what it starts, see its own control group as the top of all. The warden stays outside:
/// from inside no process could be put into a group beside.
pub(crate) fn hide_groups() -> io::Result<()> {
    system::unshare(libc::CLONE_NEWCGROUP)
}

/// A folder below which every job gets its scratch folder.
#[derive(Debug)]
pub(crate) struct Place {
    base: PathBuf,
    mounted: bool,
}

impl Place {
    /// Prepares the folder. In namespaces it is an empty file system over `/dev/shm`, which nothing of the machine's
    /// shared memory can be seen through; elsewhere a new folder below `folder`.
    pub(crate) fn make(namespaces: bool, folder: &Path) -> io::Result<Self> {
        if namespaces {
            let base = PathBuf::from("/dev/shm");
            let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
            let options = "size=64k,nr_inodes=4096,mode=0755";
            let source = Path::new("tmpfs");
            Mount { source, kind: "tmpfs", flags, options }.at(&base)?;
            // Containers may refuse a view of the new process namespace. The old one stays then, and
            // Landlock hides it.
            let source = Path::new("proc");
            let _stays = Mount { source, kind: "proc", flags, options: "" }.at(Path::new("/proc"));
            return Ok(Self { base, mounted: true });
        }
        sweep(folder);
        let base = folder.join(format!("{PREFIX}{}", std::process::id()));
        std::fs::DirBuilder::new().mode(0o711).create(&base)?;
        // The mask may have taken what others need to pass.
        std::fs::set_permissions(&base, std::fs::Permissions::from_mode(0o711))?;
        Ok(Self { base, mounted: false })
    }

    /// Whether scratch folders are file systems of their own, which there are only in namespaces.
    pub(crate) fn is_mounted(&self) -> bool {
        self.mounted
    }

    /// The folder.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Makes a job's scratch folder.
    pub(crate) fn scratch(
        &self,
        job: u64,
        limits: &Limits,
        owner: Option<u32>,
    ) -> io::Result<Scratch> {
        let path = self.base.join(format!("job-{job}"));
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        let scratch = Scratch {
            path,
            mounted: self.mounted,
            bytes: limits.disk,
            files: limits.files.saturating_add(1),
        };
        if self.mounted {
            scratch.mount(owner)?;
        } else if let Some(owner) = owner {
            std::os::unix::fs::chown(&scratch.path, Some(owner), Some(owner))?;
        }
        Ok(scratch)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.mounted {
            // What is left is a folder that somebody may look into, and nothing that could be told to anybody.
            let _left = remove(&self.base);
        }
    }
}

/// A job's scratch folder. It is wiped when this is dropped.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    mounted: bool,
    bytes: u64,
    files: u64,
}

impl Scratch {
    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether asking how full it is costs little.
    pub(crate) fn is_cheap(&self) -> bool {
        self.mounted
    }

    /// Whether no byte or no file fits in any more.
    pub(crate) fn is_full(&self) -> bool {
        if self.mounted {
            return rustix::fs::statvfs(&self.path)
                .is_ok_and(|found| found.f_bfree == 0 || found.f_ffree == 0);
        }
        let (bytes, files) = usage(&self.path, self.files);
        bytes >= self.bytes || files >= self.files
    }

    fn mount(&self, owner: Option<u32>) -> io::Result<()> {
        let owner = owner.map_or_else(String::new, |owner| format!(",uid={owner},gid={owner}"));
        let options = format!("size={},nr_inodes={},mode=0700{owner}", self.bytes, self.files);
        let flags = libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC;
        let source = Path::new("tmpfs");
        Mount { source, kind: "tmpfs", flags, options: &options }.at(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.mounted {
            let _unmounted_already = system::unmount(&self.path);
            let _removed_already = std::fs::remove_dir(&self.path);
        } else {
            // What is left goes with the folder around it, or with the next warden.
            let _left = remove(&self.path);
        }
    }
}

/// Removes a folder that somebody hostile may have filled: folders in folders, more of them than can be open at
/// once, under longer paths than the system takes.
fn remove(folder: &Path) -> io::Result<()> {
    let mut left = vec![folder.to_owned()];
    let mut moved = 0_u32;
    while let Some(next) = left.pop() {
        if std::fs::remove_dir_all(&next).is_ok() {
            continue;
        }
        // What lies deep is moved beside the folder, where its path is short again.
        let deep = below(&next, SHALLOW)?;
        if deep.is_empty() {
            return std::fs::remove_dir_all(&next);
        }
        left.push(next);
        for path in deep {
            moved += 1;
            let beside = folder.with_extension(format!("deep-{moved}"));
            std::fs::rename(&path, &beside)?;
            left.push(beside);
        }
    }
    Ok(())
}

/// The folders that lie exactly so deep below a folder.
fn below(folder: &Path, depth: usize) -> io::Result<Vec<PathBuf>> {
    let mut level = vec![folder.to_owned()];
    for _ in 0..depth {
        let mut next = Vec::new();
        for folder in &level {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    next.push(entry.path());
                }
            }
        }
        level = next;
    }
    Ok(level)
}

/// Removes what wardens left that were ended before they could wipe, for instance with the power.
fn sweep(folder: &Path) {
    let own = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let warden = name.to_str().and_then(|name| name.strip_prefix(PREFIX)?.parse::<u32>().ok());
        let (Some(warden), Ok(found)) = (warden, entry.metadata()) else { continue };
        let lives = Path::new("/proc").join(warden.to_string()).exists();
        if !lives && found.is_dir() && std::os::unix::fs::MetadataExt::uid(&found) == own {
            // What cannot be removed now is tried again by the next.
            let _left = remove(&entry.path());
        }
    }
}

/// Bytes and files below a folder; stops counting at `most` files.
fn usage(folder: &Path, most: u64) -> (u64, u64) {
    let (mut bytes, mut files) = (0_u64, 1_u64);
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            files += 1;
            let path = entry.path();
            // What lies so deep that its path becomes too long could not be measured.
            if files >= most || path.as_os_str().len() > LONGEST {
                return (bytes, most);
            }
            let Ok(found) = entry.metadata() else { continue };
            bytes = bytes
                .saturating_add(std::os::unix::fs::MetadataExt::blocks(&found).saturating_mul(512));
            if found.is_dir() {
                open.push(path);
            }
        }
    }
    (bytes, files)
}

/// How folders are named that hold scratch folders, before the number of the warden's process.
const PREFIX: &str = "wardround-sandbox-";
/// The longest path that is measured; the system takes 4096 bytes.
const LONGEST: usize = 3000;
/// So many names of 255 bytes are no longer than a path may be.
const SHALLOW: usize = 12;

#[cfg(test)]
mod tests {
    use rustix::fs::{CWD, Mode, OFlags};

    use super::*;

    #[test]
    fn folders_deeper_than_a_path_is_long_are_removed() {
        let around = tempfile::tempdir().unwrap();
        let folder = around.path().join("job-1");
        std::fs::create_dir(&folder).unwrap();
        let mut at = rustix::fs::openat(CWD, &folder, OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3000 {
            rustix::fs::mkdirat(&at, "inner", Mode::RWXU).unwrap();
            at = rustix::fs::openat(&at, "inner", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(at);
        assert_eq!(usage(&folder, 10_000).1, 10_000, "what cannot be measured is too much");
        remove(&folder).unwrap();
        assert_eq!(std::fs::read_dir(around.path()).unwrap().count(), 0);
    }

    #[test]
    fn bytes_and_files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("inner")).unwrap();
        std::fs::write(folder.path().join("inner/file"), vec![1; 100_000]).unwrap();
        let (bytes, files) = usage(folder.path(), 100);
        assert!(bytes >= 100_000 && files == 3, "{bytes} {files}");
    }
}
