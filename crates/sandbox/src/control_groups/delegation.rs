//! Finds the control group that is ours to divide.
//!
//! A group is ours where its manager says so. systemd marks what it delegates (`Delegate=yes`) with an extended
//! attribute, and nothing else below it may be touched, not even by root. Where no systemd runs, as in most
//! containers, a group is ours where it can be written to.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A delegated group, whose children have these controllers from now on.
pub(super) fn find() -> Option<(PathBuf, BTreeSet<String>)> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let own = own_group(&groups, &mounts)?;
    let is_leaf = own.file_name().is_some_and(|name| name == LEAF);
    let is_managed = Path::new("/run/systemd/system").exists();
    // The daemon may have been moved into a leaf of the delegated group, by us or by its manager.
    let above = own.parent().filter(|above| is_group(above)).map(Path::to_owned);
    let candidates = [(Some(own), !is_leaf), (above, is_leaf)];
    candidates.into_iter().find_map(|(group, is_root)| {
        let group = group?;
        let is_ours = is_marked(&group) || (is_root && !is_managed);
        let controllers = wanted(&group)?;
        (is_ours && prepare(&group, &controllers).is_ok()).then_some((group, controllers))
    })
}

/// Gives the children of a group these controllers.
pub(super) fn enable(group: &Path, controllers: &BTreeSet<String>) -> io::Result<()> {
    if controllers.is_subset(&words(&group.join(CHILDREN))) {
        return Ok(());
    }
    let text: Vec<String> = controllers.iter().map(|name| format!("+{name}")).collect();
    fs::write(group.join(CHILDREN), text.join(" "))
}

/// Makes a group one whose children can have controllers. It may hold no process itself then, so whoever is in it
/// goes into a leaf; two that do so at the same time do not disturb each other.
fn prepare(group: &Path, controllers: &BTreeSet<String>) -> io::Result<()> {
    for _ in 0..ATTEMPTS {
        match enable(group, controllers) {
            Err(error) if error.raw_os_error() == Some(libc::EBUSY) => move_into_leaf(group)?,
            other => return other,
        }
    }
    Err(io::Error::from(io::ErrorKind::ResourceBusy))
}

fn move_into_leaf(group: &Path) -> io::Result<()> {
    let leaf = group.join(LEAF);
    match fs::create_dir(&leaf) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    for process in words(&group.join(MEMBERS)) {
        match fs::write(leaf.join(MEMBERS), &process) {
            // It has ended meanwhile.
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => {}
            other => other?,
        }
    }
    Ok(())
}

/// The controllers that a job's group shall have; none where one is missing that it must have.
fn wanted(group: &Path) -> Option<BTreeSet<String>> {
    let offered = words(&group.join("cgroup.controllers"));
    let is_enough = NEEDED.iter().all(|name| offered.contains(*name));
    let all = NEEDED.iter().chain(WELCOME).filter(|name| offered.contains(**name));
    is_enough.then(|| all.map(|name| (*name).to_owned()).collect())
}

/// The folder of the group that this process is in.
fn own_group(groups: &str, mounts: &str) -> Option<PathBuf> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mut found = mounts.lines().filter_map(|line| {
        let (place, kind) = line.split_once(" - ")?;
        let mut words = place.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        let below = Path::new(own).strip_prefix(root).ok()?;
        let is_plain = !own.split('/').any(|part| part == "..") && !point.contains('\\');
        (kind.starts_with("cgroup2 ") && is_plain).then(|| match below.as_os_str().is_empty() {
            true => PathBuf::from(point),
            false => Path::new(point).join(below),
        })
    });
    found.find(|folder| is_group(folder))
}

fn is_group(folder: &Path) -> bool {
    folder.join(MEMBERS).exists()
}

fn is_marked(group: &Path) -> bool {
    ["user.delegate", "trusted.delegate"].iter().any(|name| {
        let mut value = [0; 8];
        let length = rustix::fs::getxattr(group, *name, &mut value);
        length.is_ok_and(|length| &value[..length] == b"1")
    })
}

fn words(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Where the daemon and its launchers are, once the group above is divided.
const LEAF: &str = "wardround-node";
/// What no job's group can be without.
const NEEDED: &[&str] = &["memory", "pids"];
/// What a job's group has where it can.
const WELCOME: &[&str] = &["cpu"];
const MEMBERS: &str = "cgroup.procs";
const CHILDREN: &str = "cgroup.subtree_control";
/// How often others may put a process into the group while it is emptied.
const ATTEMPTS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_found_below_the_part_of_the_tree_that_is_mounted() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("service/leaf");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(own.join(MEMBERS), "").unwrap();
        let mounts = format!(
            "22 1 0:20 / /proc rw - proc proc rw\n31 22 0:26 /machine {} rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
            folder.path().display()
        );
        let found = |groups| own_group(groups, &mounts);
        assert_eq!(found("1:memory:/x\n0::/machine/service/leaf\n"), Some(own.clone()));
        assert_eq!(found("0::/other/service/leaf\n"), None, "it is not mounted here");
        assert_eq!(found("0::/machine/../machine/service/leaf\n"), None);
        assert_eq!(found("0::/machine/service\n"), None, "it is no group");
        assert_eq!(found("4:memory:/machine/service/leaf\n"), None, "that is version 1");
    }

    #[test]
    fn memory_and_pids_are_needed_and_the_processor_is_welcome() {
        let folder = tempfile::tempdir().unwrap();
        let offered = |text| {
            std::fs::write(folder.path().join("cgroup.controllers"), text).unwrap();
            wanted(folder.path()).map(|found| found.into_iter().collect::<Vec<_>>().join(" "))
        };
        assert_eq!(offered("cpuset cpu io memory hugetlb pids\n"), Some("cpu memory pids".into()));
        assert_eq!(offered("memory pids\n"), Some("memory pids".into()));
        assert_eq!(offered("hugetlb\n"), None);
        assert_eq!(offered("memory cpu\n"), None);
    }
}
