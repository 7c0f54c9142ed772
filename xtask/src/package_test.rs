//! Installs the Debian package in a clean Debian root, boots it, and lets a coordinator and a node meet in it.
//!
//! What is typed there stands in `packaging/test/inside.sh`. The root boots with systemd as its first process, in
//! namespaces of its own and without a network.

mod root;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::dist;

pub(crate) use root::Root;

/// What `cargo xtask package-test --help` prints.
pub(crate) const HELP: &str = "\
cargo xtask package-test [--program PATH]

Packs the program as `cargo xtask dist` does, installs the package in a clean Debian root, boots the
root, and there starts a coordinator and a node, waits until they have met, upgrades, stops and removes.
Without --program the program is built in release mode first.

It needs root, and of Debian mmdebstrap and systemd-nspawn (`apt-get install mmdebstrap
systemd-container`). The root is fetched once, some 60 MB, and kept in ~/.cache/wardround/debian.";

/// What became of the test.
pub(crate) enum Outcome {
    /// Everything holds.
    Holds,
    /// This machine cannot boot another one in namespaces, for this reason: nothing is known about the package.
    LeftOut(anyhow::Error),
}

/// Runs the test.
pub(crate) fn run(root: &Path, program: Option<&Path>) -> Result<()> {
    match run_in(root, &Root::prepare()?, program)? {
        Outcome::Holds => Ok(()),
        Outcome::LeftOut(reason) => Err(reason),
    }
}

/// Runs the test in a root that is there.
pub(crate) fn run_in(root: &Path, debian: &Root, program: Option<&Path>) -> Result<Outcome> {
    let place = crate::target(root).join("package-test");
    let output = place.join("dist");
    let made = dist::run(root, &dist::Arguments { program: program.map(PathBuf::from), output })?;
    let machine = debian.unpack(&place.join("root"))?;
    put(&made.package, &machine, PACKAGE)?;
    put(&root.join("packaging/test/inside.sh"), &machine, SCRIPT)?;
    fs::create_dir(machine.join("example"))?;
    for name in EXAMPLE {
        let file = root.join("examples/breast-cancer").join(name);
        put(&file, &machine, &format!("example/{name}"))?;
    }
    fs::write(machine.join("etc/systemd/system/package-test.service"), UNIT)?;
    let wanted = machine.join("etc/systemd/system/multi-user.target.wants");
    fs::create_dir_all(&wanted)?;
    std::os::unix::fs::symlink("../package-test.service", wanted.join("package-test.service"))?;
    let console = place.join("console");
    let booted = boot(&machine, &console);
    let report = fs::read_to_string(machine.join(REPORT)).unwrap_or_default();
    for line in report.lines() {
        crate::say(&format!("  {line}"));
    }
    let booted = booted.with_context(|| format!("its console is in {}", console.display()));
    match booted {
        Err(reason) if report.is_empty() => return Ok(Outcome::LeftOut(reason)),
        booted => booted?,
    }
    ensure!(
        report.lines().last() == Some("everything holds"),
        "the package does not hold what it should; the machine is in {}, its console in {}",
        machine.display(),
        console.display()
    );
    fs::remove_dir_all(&machine).context("the machine cannot be removed")?;
    Ok(Outcome::Holds)
}

fn put(from: &Path, machine: &Path, to: &str) -> Result<()> {
    let to = machine.join(to);
    fs::copy(from, &to).with_context(|| format!("{} cannot be copied", from.display()))?;
    Ok(())
}

/// Boots the machine and waits until it has switched itself off.
fn boot(machine: &Path, console: &Path) -> Result<()> {
    let output = fs::File::create(console)?;
    let mut command = Command::new("systemd-nspawn");
    command.args(["--quiet", "--boot", "--private-network", "--console=pipe"]);
    command
        .arg("--directory")
        .arg(machine)
        .arg(format!("--machine=wardround-{}", std::process::id()));
    // What a machine of its own has, and an old profile of containers does not: the sandbox asks for it.
    command.arg(
        "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
    );
    if !Path::new("/run/systemd/system").exists() {
        // Nobody here keeps a list of machines.
        command.args(["--register=no", "--keep-unit"]);
    }
    command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
    let mut child = command.spawn().context("systemd-nspawn does not start")?;
    let Some(status) = wait(&mut child, LONGEST)? else {
        end(&mut child)?;
        bail!("the machine did not switch itself off within {LONGEST:?}");
    };
    ensure!(status.success(), "systemd-nspawn ended with {status}");
    Ok(())
}

/// Asks the machine to end, and ends it where it does not.
fn end(child: &mut Child) -> Result<()> {
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let process = process.context("a process has a number")?;
    kill_process(process, Signal::TERM)?;
    if wait(child, GRACE)?.is_none() {
        child.kill()?;
        child.wait()?;
    }
    Ok(())
}

fn wait(child: &mut Child, longest: Duration) -> Result<Option<std::process::ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < longest {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(None)
}

/// What the machine does once it is up; it switches itself off then.
const UNIT: &str = "\
[Unit]
Description=Test of the package
SuccessAction=poweroff-force
FailureAction=poweroff-force

[Service]
Type=oneshot
ExecStart=/bin/bash /package-test.sh
StandardOutput=file:/package-test.report
StandardError=inherit
TimeoutStartSec=280
TimeoutStopSec=5
";
/// A hospital's table, and what a researcher asks of it.
const EXAMPLE: &[&str] = &["north.csv", "experiment.toml", "logistic.toml", "scale.toml"];
const PACKAGE: &str = "package-test.deb";
const SCRIPT: &str = "package-test.sh";
const REPORT: &str = "package-test.report";
/// How long the machine may take from its start to its end.
const LONGEST: Duration = Duration::from_secs(300);
/// How long it has to end when it is told to.
const GRACE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
