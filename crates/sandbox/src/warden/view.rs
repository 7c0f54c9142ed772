//! A root folder that holds only what is granted, for machines without Landlock.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;

use crate::landlock::Access;
use crate::system::{self, Mount};

/// What shall be seen.
#[derive(Clone, Debug)]
pub(crate) struct View {
    /// An empty folder that becomes the root.
    pub(crate) root: PathBuf,
    /// What is seen, besides the scratch folder.
    pub(crate) grants: Vec<(PathBuf, Access)>,
    /// The scratch folder.
    pub(crate) scratch: PathBuf,
}

impl View {
    /// Makes the view and moves this process into it; the process needs its own mount namespace's privileges.
    pub(crate) fn enter(&self) -> io::Result<()> {
        // A user of its own must be able to pass the folders that lead to what is granted.
        let mask = rustix::process::umask(Mode::from_raw_mode(0o022));
        self.build()?;
        rustix::process::umask(mask);
        std::env::set_current_dir(&self.root)?;
        system::pivot_root_here()?;
        // The old root lies over the new one now; taking it away leaves only the view.
        system::unmount(Path::new("."))?;
        std::env::set_current_dir("/")
    }

    fn build(&self) -> io::Result<()> {
        system::unshare(libc::CLONE_NEWNS)?;
        let none = Path::new("none");
        let flags = libc::MS_REC | libc::MS_PRIVATE;
        Mount { source: none, kind: "", flags, options: "" }.at(Path::new("/"))?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        let options = "size=256k,nr_inodes=8192,mode=0755";
        Mount { source: Path::new("tmpfs"), kind: "tmpfs", flags, options }.at(&self.root)?;
        let mut shown = Vec::new();
        for (path, access) in &self.grants {
            shown.extend([(path.clone(), *access), (path.canonicalize()?, *access)]);
        }
        // A folder before what lies in it, which then is there already, links as links.
        shown.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (path, access) in &shown {
            self.show(path, *access)?;
        }
        self.show(&self.scratch, Access::Scratch)?;
        self.copy_links()?;
        self.change(&self.root, libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV)
    }

    fn show(&self, path: &Path, access: Access) -> io::Result<()> {
        let target = self.inside(path);
        if target.symlink_metadata().is_ok() {
            return Ok(());
        }
        place(path, &target)?;
        let none = "";
        let flags = libc::MS_BIND | libc::MS_REC;
        Mount { source: path, kind: none, flags, options: none }.at(&target)?;
        // A device that is granted would not open otherwise; no other mount has one.
        let is_device = path.metadata()?.file_type().is_char_device();
        let flags = flags_of(access);
        self.change(&target, if is_device { flags & !libc::MS_NODEV } else { flags })
    }

    /// The system's short names for its folders, such as `/lib64`, where they are links.
    fn copy_links(&self) -> io::Result<()> {
        for entry in std::fs::read_dir("/")? {
            let path = entry?.path();
            let target = self.inside(&path);
            if let Ok(link) = std::fs::read_link(&path)
                && target.symlink_metadata().is_err()
            {
                std::os::unix::fs::symlink(link, target)?;
            }
        }
        Ok(())
    }

    fn change(&self, target: &Path, flags: u64) -> io::Result<()> {
        // What the machine has forbidden on a mount stays forbidden; saying otherwise is refused.
        let found = rustix::fs::statvfs(target)?.f_flag.bits();
        let mut flags = flags | libc::MS_BIND | libc::MS_REMOUNT | (found & 0xf);
        for (shown, asked) in [(1024, libc::MS_NOATIME), (2048, libc::MS_NODIRATIME)] {
            flags |= if found & shown == 0 { 0 } else { asked };
        }
        if found & 4096 != 0 {
            flags |= libc::MS_RELATIME;
        }
        Mount { source: Path::new("none"), kind: "", flags, options: "" }.at(target)
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

fn flags_of(access: Access) -> u64 {
    match access {
        // Libraries are mapped for execution, so only starting programs from there is refused, by the filter.
        Access::Read | Access::Execute => libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV,
        Access::Scratch => libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
        Access::Device => libc::MS_NOSUID,
    }
}

fn place(source: &Path, target: &Path) -> io::Result<()> {
    let mut folders = std::fs::DirBuilder::new();
    folders.recursive(true).mode(0o755);
    if source.is_dir() {
        return folders.create(target);
    }
    if let Some(parent) = target.parent() {
        folders.create(parent)?;
    }
    std::fs::File::create_new(target).map(drop)
}
