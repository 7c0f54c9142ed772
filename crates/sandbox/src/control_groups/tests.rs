//! Groups of the running kernel, where it lets this process make some.

use std::process::Command;

use super::*;

/// The top of the tree of version 2, if this user may make groups there.
fn top() -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = mounts.lines().find(|line| line.contains(" - cgroup2 "))?;
    let top = PathBuf::from(line.split(' ').nth(4)?);
    let trial = top.join(format!("wardround-test-{}", std::process::id()));
    let made = fs::create_dir(&trial).and_then(|()| fs::remove_dir(&trial));
    if let Err(error) = made {
        io::Write::write_all(&mut io::stderr(), format!("left out: {error}\n").as_bytes()).unwrap();
        return None;
    }
    Some(top)
}

/// A group to work in, so that tests beside each other do not meet.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Option<Self> {
        let place = top()?.join(format!("wardround-test-{}-{name}", std::process::id()));
        fs::create_dir(&place).unwrap();
        Some(Self(place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        fs::remove_dir(&self.0).unwrap();
    }
}

#[test]
fn a_group_holds_a_process_and_ends_it() {
    let Some(place) = Place::new("ends") else { return };
    let groups = Groups::below(&place.0, BTreeSet::new()).unwrap();
    let group = groups.group(3, &Limits::default(), 0, 1).unwrap();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    group.admit(i32::try_from(child.id()).unwrap()).unwrap();
    let members = fs::read_to_string(group.folder.join("cgroup.procs")).unwrap();
    assert_eq!(members.trim(), child.id().to_string());
    assert_eq!(group.exceeded(), None);
    group.end().unwrap();
    let status = child.wait().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(libc::SIGKILL));
    let folder = group.folder.clone();
    drop(group);
    assert!(!folder.exists());
    let folder = groups.folder.clone();
    drop(groups);
    assert!(!folder.exists());
}

#[test]
fn a_group_that_is_dropped_ends_whoever_is_in_it() {
    let Some(place) = Place::new("drops") else { return };
    let groups = Groups::below(&place.0, BTreeSet::new()).unwrap();
    let group = groups.group(1, &Limits::default(), 0, 1).unwrap();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    group.admit(i32::try_from(child.id()).unwrap()).unwrap();
    drop(group);
    assert!(!child.wait().unwrap().success());
}

#[test]
fn what_a_killed_launcher_left_is_cleared_away_and_what_another_holds_is_not() {
    let Some(place) = Place::new("sweeps") else { return };
    let left = place.0.join("wardround-jobs-1-0");
    fs::create_dir_all(left.join("job-1")).unwrap();
    let mut child = Command::new("sleep").arg("600").spawn().unwrap();
    fs::write(left.join("job-1/cgroup.procs"), child.id().to_string()).unwrap();
    let foreign = place.0.join("of-somebody-else");
    fs::create_dir(&foreign).unwrap();
    let one = Groups::below(&place.0, BTreeSet::new()).unwrap();
    let other = Groups::below(&place.0, BTreeSet::new()).unwrap();
    assert!(!left.exists() && foreign.exists());
    assert!(!child.wait().unwrap().success(), "nobody lives on in it");
    assert!(one.folder.exists() && other.folder.exists() && one.folder != other.folder);
    fs::remove_dir(foreign).unwrap();
}

#[test]
fn the_first_group_is_tried() {
    let Some(place) = Place::new("tries") else { return };
    let groups = Groups::below(&place.0, BTreeSet::new()).unwrap();
    assert!(groups.work());
    assert_eq!(
        fs::read_dir(&groups.folder).unwrap().flatten().filter(|one| one.path().is_dir()).count(),
        0
    );
}

#[test]
fn events_name_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let group = Group { folder: folder.path().to_owned() };
    let tell = |file: &str, text: &str| fs::write(folder.path().join(file), text).unwrap();
    assert_eq!(group.exceeded(), None);
    tell("pids.events", "max 0\n");
    tell("memory.events", "low 0\nhigh 0\nmax 12\noom 0\noom_kill 0\noom_group_kill 0\n");
    assert_eq!(group.exceeded(), None, "pages that could be taken back are no end");
    tell("pids.events", "max 3\n");
    assert_eq!(group.exceeded(), Some(Limit::Processes));
    tell("memory.events", "low 0\nhigh 0\nmax 40\noom 1\noom_kill 2\noom_group_kill 1\n");
    assert_eq!(group.exceeded(), Some(Limit::Memory));
    // What was made by hand is no group, and is not removed as one.
    std::mem::forget(group);
}

#[test]
fn limits_are_written_for_the_controllers_that_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let controllers = ["memory", "pids"].map(str::to_owned).into();
    let lock = File::open(folder.path()).unwrap();
    let groups = Groups { folder: folder.path().to_owned(), controllers, _lock: lock };
    let limits = Limits { memory: 1 << 30, processes: 7, ..Limits::default() };
    let group = groups.group(1, &limits, 1 << 20, 2).unwrap();
    let told = |file: &str| fs::read_to_string(group.folder.join(file)).ok();
    assert_eq!(told("memory.max"), Some("1074790400".to_owned()));
    assert_eq!(told("memory.oom.group"), Some("1".to_owned()));
    assert_eq!(told("pids.max"), Some("7".to_owned()));
    assert_eq!((told("cpu.max"), told("memory.swap.max")), (None, None));
    std::mem::forget((group, groups));
}
