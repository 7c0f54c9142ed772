//! Ways to what is granted, through folders that a user of its own could not pass.
//!
//! A home folder is closed to others, and so is everything below it, whatever its own mode says. In a mount namespace
//! such a folder can be covered by an empty one that lets everybody pass, in which only what is granted appears, read
//! only, under the path that it always had. Nobody outside the namespace sees anything of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};

use crate::grants;
use crate::system::{self, Mount};

/// The folders that are covered, and what appears in them for which jobs.
#[derive(Debug, Default)]
pub(crate) struct Passages {
    covered: Vec<Covered>,
    open: BTreeMap<PathBuf, BTreeSet<u64>>,
}

/// A folder that lies under an empty one.
#[derive(Debug)]
struct Covered {
    folder: PathBuf,
    /// The folder itself, which has no name any more.
    original: OwnedFd,
}

/// Whether a path can be reached by somebody who may read it, once a folder on the way is covered.
pub(crate) fn is_possible(path: &Path) -> bool {
    let Ok(resolved) = path.canonicalize() else { return false };
    grants::is_open_to_others(&resolved)
        && grants::first_barrier(&resolved).is_none_or(|barrier| {
            let mut needed =
                grants::system().into_iter().filter_map(|(path, _)| path.canonicalize().ok());
            needed.all(|path| !path.starts_with(&barrier))
        })
}

impl Passages {
    /// Opens a way to each of the paths that needs one.
    pub(crate) fn open(&mut self, job: u64, paths: &[PathBuf]) -> io::Result<()> {
        let mask = rustix::process::umask(Mode::empty());
        let opened = paths.iter().try_for_each(|path| self.open_one(job, path));
        rustix::process::umask(mask);
        opened
    }

    /// Closes the ways that only this job used.
    pub(crate) fn close(&mut self, job: u64) {
        let mut unused = Vec::new();
        for (path, jobs) in &mut self.open {
            if jobs.remove(&job) && jobs.is_empty() {
                unused.push(path.clone());
            }
        }
        for path in unused {
            self.open.remove(&path);
            let _unmounted_already = system::unmount(&path);
            let _is_file = std::fs::remove_file(&path);
            // Folders on the way go with the last that needs them.
            let mut empty = path.ancestors().take_while(|above| self.is_inside(above));
            while empty.next().is_some_and(|above| std::fs::remove_dir(above).is_ok()) {}
        }
    }

    fn open_one(&mut self, job: u64, path: &Path) -> io::Result<()> {
        if !self.is_inside(path) {
            let resolved = path.canonicalize()?;
            match grants::first_barrier(&resolved) {
                Some(barrier) if is_possible(&resolved) => self.cover(barrier)?,
                _ => return Ok(()),
            }
            return self.show(job, &resolved);
        }
        self.show(job, path)
    }

    fn is_inside(&self, path: &Path) -> bool {
        self.covered
            .iter()
            .any(|covered| path != covered.folder && path.starts_with(&covered.folder))
    }

    fn cover(&mut self, folder: PathBuf) -> io::Result<()> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let original = rustix::fs::openat(CWD, &folder, flags, Mode::empty())?;
        let flags = libc::MS_NOSUID | libc::MS_NODEV;
        let options = "size=64k,nr_inodes=16384,mode=0711";
        Mount { source: Path::new("tmpfs"), kind: "tmpfs", flags, options }.at(&folder)?;
        self.covered.push(Covered { folder, original });
        Ok(())
    }

    /// Lets something appear in the folder that covers it.
    fn show(&mut self, job: u64, path: &Path) -> io::Result<()> {
        // What lies in something that appears already appears with it, as long as anybody needs it.
        let around = self.open.iter_mut().find(|(known, _)| path.starts_with(known));
        if let Some((_, jobs)) = around {
            jobs.insert(job);
            return Ok(());
        }
        let covered = self.covered.iter().find(|covered| path.starts_with(&covered.folder));
        let covered = covered.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let below = path.strip_prefix(&covered.folder).map_err(io::Error::other)?;
        // The original has no path any more, so what lies in it is named from inside.
        rustix::process::fchdir(&covered.original)?;
        let bound = bind(below, path);
        std::env::set_current_dir("/")?;
        bound?;
        self.open.insert(path.to_owned(), [job].into());
        Ok(())
    }
}

fn bind(source: &Path, target: &Path) -> io::Result<()> {
    let mut folders = DirBuilder::new();
    folders.recursive(true).mode(0o711);
    if source.is_dir() {
        folders.create(target)?;
    } else {
        target.parent().map_or(Ok(()), |parent| folders.create(parent))?;
        File::create(target)?;
    }
    let flags = libc::MS_BIND;
    Mount { source, kind: "", flags, options: "" }.at(target)?;
    let flags = flags | libc::MS_REMOUNT | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
    Mount { source: Path::new("none"), kind: "", flags, options: "" }.at(target)
}
