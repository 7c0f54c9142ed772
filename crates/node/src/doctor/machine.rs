//! What a node needs of its machine: room on the disk, the time of day, a sandbox.

use std::path::PathBuf;

use protocol::Timestamp;
use sandbox::Level;
use store::artifact::Settings;

use super::{Area, Finding, Verdict};
use crate::folder::Folder;
use crate::self_test::{self, SandboxStatus};

/// Whether there is room for journals, and for the files that the node may keep.
pub(crate) fn disk(folder: &Folder, cache: u64) -> Finding {
    let free = match rustix::fs::statvfs(folder.root()) {
        Ok(found) => found.f_bavail.saturating_mul(found.f_frsize),
        Err(error) => {
            let fact = format!("the disk does not say how much room it has: {error}");
            return Area::Disk.wrong(fact, "look at the file system that holds the folder");
        }
    };
    let reserve = Settings::default().reserve;
    if free <= reserve {
        let fact =
            format!("{} are free, and {} are kept for the journal", size(free), size(reserve));
        return Area::Disk.wrong(fact, "make room: no file is fetched and no update is written");
    }
    if free - reserve < cache {
        let fact = format!("{} are free, less than `cache_bytes` ({})", size(free), size(cache));
        let remedy = "set `cache_bytes` to what the disk can hold, or make room";
        return Area::Disk.notice(fact, remedy);
    }
    Area::Disk.good(format!("{} are free", size(free)))
}

/// Whether the time of day can be true at all.
pub(crate) fn clock(now: Timestamp) -> Finding {
    if (EARLIEST..LATEST).contains(&now.milliseconds()) {
        return Area::Clock.good("the time of day is plausible");
    }
    let year = 1970 + now.milliseconds() / YEAR;
    let fact = format!("the clock says that it is the year {year}");
    Area::Clock.wrong(fact, CLOCK_REMEDY)
}

/// Whether the clock has gone back behind what the node has written down; nothing where it has not.
pub(crate) fn clock_against(latest: Option<Timestamp>, now: Timestamp) -> Option<Finding> {
    let latest = latest.filter(|latest| latest.milliseconds() > now.milliseconds() + TOLERANCE)?;
    let seconds = (latest.milliseconds() - now.milliseconds()) / 1_000;
    let fact = format!("the clock is {seconds} s behind what the node has written down");
    Some(Area::Clock.wrong(fact, CLOCK_REMEDY))
}

/// Attacks the sandbox; `needed_by` says what for, where a Python plan can run at all.
pub(crate) async fn sandbox(
    program: Option<PathBuf>,
    minimum: Level,
    interpreters: Option<usize>,
) -> Finding {
    let Some(program) = program else {
        let fact = "the program that confines Python plans is not known";
        return Area::Sandbox.wrong(fact, "start the node with the program `wardround`");
    };
    judge(self_test::attack(program).await, minimum, interpreters)
}

fn judge(found: SandboxStatus, minimum: Level, interpreters: Option<usize>) -> Finding {
    let SandboxStatus { level, bounds, missing, not_held } = found;
    let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
    let fact =
        format!("level {level}, limits by {bounds}, Linux {kernel}; level {minimum} is demanded");
    let mut details: Vec<String> =
        missing.into_iter().map(|what| format!("is missing {what}")).collect();
    let holds = not_held.is_empty();
    details.extend(not_held.into_iter().map(|what| format!("NOT HELD: {what}")));
    let (verdict, remedy) = match interpreters {
        _ if !holds => (Verdict::Wrong, Some("an attack was not held: run no Python plan here")),
        _ if level >= minimum => (Verdict::Good, None),
        Some(0) => (
            Verdict::Notice,
            Some("no interpreter is registered, so nothing needs it; native plans run without it"),
        ),
        Some(_) | None => {
            (Verdict::Wrong, Some("provide what is missing; Python plans are refused"))
        }
    };
    Finding { area: Area::Sandbox, verdict, fact, details, remedy: remedy.map(str::to_owned) }
}

/// Bytes for people.
fn size(bytes: u64) -> String {
    let (unit, name) = if bytes >= 1 << 30 { (30, "GiB") } else { (20, "MiB") };
    format!("{} {name}", bytes >> unit)
}

const CLOCK_REMEDY: &str = "set the clock, and let it be kept: deadlines and records follow it";
/// A year in milliseconds, leap days included.
const YEAR: u64 = 31_556_952_000;
/// The first day of 2025: this program did not exist before.
const EARLIEST: u64 = 1_735_689_600_000;
/// The first day of 2100.
const LATEST: u64 = 4_102_444_800_000;
/// How far a clock that is kept may step back.
const TOLERANCE: u64 = 60_000;

#[cfg(test)]
mod tests {
    use sandbox::Bounds;

    use super::*;

    fn found(level: Level, not_held: &[&str]) -> SandboxStatus {
        let not_held = not_held.iter().map(|&name| name.to_owned()).collect();
        SandboxStatus { level, bounds: Bounds::default(), missing: Vec::new(), not_held }
    }

    #[test]
    fn a_sandbox_is_wrong_where_a_plan_would_be_refused_or_an_attack_was_not_held() {
        let verdict = |level, minimum, count| judge(found(level, &[]), minimum, count).verdict;
        assert_eq!(verdict(Level::B, Level::B, Some(1)), Verdict::Good);
        assert_eq!(verdict(Level::B, Level::A, Some(1)), Verdict::Wrong);
        assert_eq!(verdict(Level::D, Level::B, Some(0)), Verdict::Notice);
        assert_eq!(verdict(Level::D, Level::B, None), Verdict::Wrong);
        let broken = judge(found(Level::A, &["mounting"]), Level::B, Some(0));
        assert_eq!(
            (broken.verdict, &*broken.details),
            (Verdict::Wrong, &["NOT HELD: mounting".to_owned()][..])
        );
    }

    #[test]
    fn a_clock_is_wrong_before_the_program_and_behind_its_own_records() {
        let at = Timestamp::from_milliseconds;
        assert_eq!(clock(at(0)).verdict, Verdict::Wrong);
        assert_eq!(clock(at(LATEST)).verdict, Verdict::Wrong);
        let now = at(EARLIEST + 1_000);
        assert_eq!(clock(now).verdict, Verdict::Good);
        assert!(clock_against(None, now).is_none());
        assert!(clock_against(Some(at(EARLIEST + 1_000 + TOLERANCE)), now).is_none());
        let behind = clock_against(Some(at(EARLIEST + 1_001 + TOLERANCE)), now).unwrap();
        assert_eq!(behind.verdict, Verdict::Wrong);
    }

    #[test]
    fn a_disk_without_room_is_told() {
        let home = tempfile::tempdir().unwrap();
        let folder = Folder::new(home.path());
        assert_eq!(disk(&folder, 0).verdict, Verdict::Good);
        assert_eq!(disk(&folder, u64::MAX).verdict, Verdict::Notice);
        assert_eq!(disk(&Folder::new("/nowhere"), 0).verdict, Verdict::Wrong);
    }
}
