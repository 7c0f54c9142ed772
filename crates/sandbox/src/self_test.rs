//! Attacks from the inside, before anybody else tries.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use crate::command::run_and_tell;
use crate::outcome::{End, Outcome};
use crate::{Bounds, Command, Error, Facts, Launcher, Level, Limit, Limits};

/// What the self-test found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The level that this machine reaches for a program that anybody may read: `D` where a probe was not held.
    pub level: Level,
    /// What holds memory, threads and processor time.
    pub bounds: Bounds,
    /// What keeps the level from being the best.
    pub missing: Vec<String>,
    /// The probes; none where nothing could be confined.
    pub probes: Vec<Probe>,
}

impl Report {
    /// Whether every probe was held, and there were some.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.probes.is_empty() && self.probes.iter().all(|probe| probe.held)
    }
}

/// One attack of the self-test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// What was tried.
    pub name: &'static str,
    /// Whether it ended as it must.
    pub held: bool,
    /// How it ended.
    pub found: String,
}

impl fmt::Display for Probe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.held { "held" } else { "NOT HELD" };
        write!(formatter, "{}: {verdict} ({})", self.name, self.found)
    }
}

/// Runs the probes in sandboxes of their own and tells what they found.
///
/// # Errors
///
/// The launcher does not start, or something else fails that says nothing about the sandbox. A machine that cannot
/// confine is not an error: its report says level D.
pub fn self_test(launcher: &Launcher) -> Result<Report, Error> {
    let secret = secret().map_err(Error::system("make a temporary file"))?;
    let result = attack(launcher, &secret);
    // It holds nothing that is worth keeping or hiding.
    let _gone = std::fs::remove_file(&secret);
    result
}

fn attack(launcher: &Launcher, secret: &std::path::Path) -> Result<Report, Error> {
    let mut probes = Vec::new();
    let mut found = Facts::default();
    for (name, words, expected) in PROBES {
        let mut command = Command::new(&launcher.program);
        let own = launcher.arguments.iter().map(|word| word.to_string_lossy().into_owned());
        command.arguments = own.chain(["--probe".to_owned(), (*words).to_owned()]).collect();
        command.arguments.push(secret.to_string_lossy().into_owned());
        command.limits = limits();
        command.minimum = Level::C;
        match run_and_tell(launcher, &command) {
            Ok((end, facts)) => {
                found = facts;
                probes.push(judged(name, expected, &end));
            }
            Err(Error::Level { reached, facts, .. }) => return Ok(without(reached, &facts)),
            Err(Error::Refused(fact)) => probes.push(Probe { name, held: false, found: fact }),
            Err(other) => return Err(other),
        }
    }
    if !probes.iter().all(|probe| probe.held) {
        let missing = vec!["a probe was not held".to_owned()];
        return Ok(Report { level: Level::D, bounds: found.bounds, missing, probes });
    }
    Ok(Report { level: found.level(), bounds: found.bounds, missing: found.missing(), probes })
}

fn judged(name: &'static str, expected: &Expected, end: &End) -> Probe {
    let held = match (expected, &end.outcome) {
        // A container's own filter may refuse a call before ours hears of it: the probe then says so.
        (Expected::Refused | Expected::Policy(_), Outcome::Ok) => true,
        (Expected::Limit(limit), Outcome::Limit(found)) => limit == found,
        (Expected::Policy(name), Outcome::Policy { syscall }) => name == syscall,
        _ => false,
    };
    let printed = end.output.stderr.text();
    let found = match printed.trim() {
        "" => end.outcome.to_string(),
        text => format!("{}; {}", end.outcome, text.replace('\n', ", ")),
    };
    Probe { name, held, found }
}

fn without(level: Level, facts: &Facts) -> Report {
    Report { level, bounds: facts.bounds, missing: facts.missing(), probes: Vec::new() }
}

fn secret() -> std::io::Result<std::path::PathBuf> {
    let name = format!("wardround-probe-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let mut file = std::fs::File::create(&path)?;
    file.write_all(b"not for a confined program")?;
    // Everybody may read it, so that only the sandbox stands before it.
    let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    file.set_permissions(everybody)?;
    Ok(path)
}

fn limits() -> Limits {
    Limits {
        wall: Duration::from_secs(10),
        processor: Some(Duration::from_secs(5)),
        memory: 96 << 20,
        processes: 16,
        disk: 1 << 20,
        files: 64,
        file: 8 << 20,
        output: 1 << 20,
    }
}

enum Expected {
    /// The probe itself says that the attack was refused.
    Refused,
    /// The warden ends it for a limit.
    Limit(Limit),
    /// The warden ends it for a system call.
    Policy(&'static str),
}

const PROBES: &[(&str, &str, Expected)] = &[
    ("an honest program works", "honest", Expected::Refused),
    ("reading a file that was not granted", "read", Expected::Refused),
    ("writing outside the scratch folder", "write", Expected::Refused),
    ("looking at processes", "processes", Expected::Refused),
    ("reaching a network or a socket", "network", Expected::Refused),
    ("starting a program", "program", Expected::Refused),
    ("making links and special files", "links", Expected::Refused),
    ("signalling others", "signals", Expected::Refused),
    ("raising limits", "limits", Expected::Refused),
    ("making a namespace", "namespaces", Expected::Policy("unshare")),
    ("mounting", "mounts", Expected::Policy("mount")),
    ("filling memory", "memory", Expected::Limit(Limit::Memory)),
    ("filling the disk", "disk", Expected::Limit(Limit::Disk)),
];
