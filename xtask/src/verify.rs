//! Everything that must hold before a change lands, each step with its time.

mod environment;
mod references;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::package_test::Outcome;
use crate::{package_test, succeed};

/// The version of cargo-deny that the rules in `deny.toml` are written for.
const CARGO_DENY: &str = "0.20.2";

/// Runs the steps in order and stops at the first that fails.
pub(crate) fn run(root: &Path) -> Result<()> {
    let mut verify = Verify { root: root.to_owned(), preparing: None, python: None, debian: None };
    let mut times: Vec<(&str, Duration)> = Vec::new();
    for (name, step) in STEPS {
        crate::say(&format!("verify: {name}"));
        let start = Instant::now();
        step(&mut verify).with_context(|| format!("step \"{name}\""))?;
        let time = start.elapsed();
        // At once, too: a run that is stopped has told what it took so far.
        crate::say(&format!("verify: {name} took {:.1} s", time.as_secs_f64()));
        times.push((name, time));
    }
    crate::say("verify: every step holds");
    for (name, time) in &times {
        crate::say(&format!("  {name:<12} {:>7.1} s", time.as_secs_f64()));
    }
    let total: Duration = times.iter().map(|(_, time)| *time).sum();
    crate::say(&format!("  {:<12} {:>7.1} s", "total", total.as_secs_f64()));
    Ok(())
}

type Step = fn(&mut Verify) -> Result<()>;

const STEPS: &[(&str, Step)] = &[
    ("format", |verify| verify.cargo(&["fmt", "--all", "--check"])),
    ("tidy", |verify| crate::tidy::run(&verify.root)),
    ("fixtures", |verify| verify.fixtures()),
    ("build", Verify::build),
    ("python", Verify::python),
    ("references", |verify| references::check(&verify.root, verify.python.as_deref())),
    ("package", Verify::package),
    ("tests", |verify| verify.tests()),
    ("doctests", |verify| verify.cargo(&["test", "--locked", "--workspace", "--doc", "--quiet"])),
    ("clippy", |verify| verify.clippy()),
    ("docs", |verify| verify.docs()),
    ("deny", |verify| verify.deny()),
];

struct Verify {
    root: PathBuf,
    /// What Python needs, on its way: mostly a download, which the build does not wait for.
    preparing: Option<JoinHandle<Result<PathBuf>>>,
    /// A Python that has what plans and reference scripts import, where there is one.
    python: Option<PathBuf>,
    /// A clean Debian root for the package, on its way.
    debian: Option<JoinHandle<Result<package_test::Root>>>,
}

impl Verify {
    /// Every committed file that a script made is what the script makes.
    fn fixtures(&self) -> Result<()> {
        let scripts = [
            "examples/breast-cancer/make_shares.py",
            "crates/dataset/tests/fixtures/make_golden.py",
        ];
        for script in scripts {
            let mut command = Command::new("python3");
            succeed(command.args([script, "--check"]).current_dir(&self.root))?;
        }
        Ok(())
    }

    /// Builds everything, while Python's packages and Debian's are brought.
    fn build(&mut self) -> Result<()> {
        let root = self.root.clone();
        self.preparing = Some(std::thread::spawn(move || environment::prepare(&root)));
        self.debian = Some(std::thread::spawn(package_test::Root::prepare));
        self.cargo(&["build", "--locked", "--workspace", "--all-targets"])
    }

    /// Waits for Python and runs the tests of the package. Without it the rest goes on, but in continuous integration
    /// nothing may be left out.
    fn python(&mut self) -> Result<()> {
        let preparing = self.preparing.take().context("Python is prepared beside the build")?;
        match preparing.join().map_err(|_| anyhow::anyhow!("Python's preparation panicked"))? {
            Ok(python) => self.python = Some(python),
            Err(error) if std::env::var_os("CI").is_some() => return Err(error),
            Err(error) => {
                crate::say(&format!("left out: plans in Python, there is none ({error:#})"))
            }
        }
        let Some(python) = &self.python else { return Ok(()) };
        let mut command = Command::new(python);
        command.args(["-B", "-m", "unittest", "discover", "--start-directory", "python/tests"]);
        succeed(command.env("PYTHONPATH", "python").current_dir(&self.root))
    }

    /// Installs the package of what was just built in a clean Debian root and runs it there.
    fn package(&mut self) -> Result<()> {
        let preparing = self.debian.take().context("the root is prepared beside the build")?;
        let prepared = preparing.join();
        let prepared = prepared.map_err(|_| anyhow::anyhow!("the root's preparation panicked"))?;
        let program = crate::target(&self.root).join("debug/wardround");
        let outcome = match prepared {
            Ok(debian) => package_test::run_in(&self.root, &debian, Some(&program))?,
            Err(reason) => Outcome::LeftOut(reason),
        };
        if let Outcome::LeftOut(reason) = outcome {
            crate::say(&format!("left out: installing the package ({reason:#})"));
        }
        Ok(())
    }

    fn tests(&self) -> Result<()> {
        let nextest = Command::new("cargo").args(["nextest", "--version"]).output();
        if nextest.is_ok_and(|output| output.status.success()) {
            self.cargo(&["nextest", "run", "--locked", "--workspace", "--no-fail-fast"])
        } else {
            self.cargo(&["test", "--locked", "--workspace", "--lib", "--bins", "--tests"])
        }
    }

    fn clippy(&self) -> Result<()> {
        self.cargo(&[
            "clippy",
            "--locked",
            "--workspace",
            "--all-targets",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ])
    }

    fn docs(&self) -> Result<()> {
        let arguments = ["doc", "--locked", "--workspace", "--no-deps", "--quiet"];
        let mut command = self.command(&arguments);
        command.env("RUSTDOCFLAGS", "-D warnings");
        succeed(&mut command)
    }

    fn deny(&self) -> Result<()> {
        let tools = self.root.join("target/tools");
        let program = tools.join("bin/cargo-deny");
        let version = Command::new(&program).arg("--version").output();
        let wanted = format!("cargo-deny {CARGO_DENY}");
        let there =
            version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == wanted);
        if !there {
            let folder = tools.to_string_lossy();
            let install =
                ["install", "cargo-deny", "--version", CARGO_DENY, "--locked", "--root", &folder];
            self.cargo(&[&install[..], &["--profile", "dev", "--quiet"]].concat())?;
        }
        let mut command = Command::new(&program);
        command.current_dir(&self.root).args(["check", "bans", "licenses", "sources"]);
        succeed(&mut command)
    }

    fn cargo(&self, arguments: &[&str]) -> Result<()> {
        succeed(&mut self.command(arguments))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(arguments).current_dir(&self.root);
        if std::env::var_os("CI").is_some() {
            // A checkout that is built once has no use for what would make the next build of it shorter.
            command.env("CARGO_INCREMENTAL", "0");
        }
        if let Some(python) = &self.python {
            command.env("WARDROUND_TEST_PYTHON", python);
        }
        command
    }
}
