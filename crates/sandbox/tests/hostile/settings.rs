//! The machines that the sandbox meets: this one, and what containers make of it.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use sandbox::{Launcher, Level, Limits, Outcome, Report};

/// A way to start the launcher, and the level that it must reach for the machine's own interpreter.
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) launcher: Launcher,
    pub(crate) level: Level,
    /// Whether scratch folders are file systems of their own, from which nothing is mapped for execution.
    pub(crate) mounts: bool,
    /// Calls that the container refuses before the sandbox hears of them.
    pub(crate) refused_outside: &'static [&'static str],
    /// Who owns what the tests plant.
    pub(crate) user: Option<u32>,
}

/// Every setting that this machine can make.
///
/// It says what is left out: a machine may forbid namespaces, and whoever is not root cannot be anybody else.
pub(crate) fn all() -> Vec<Setting> {
    static FOUND: OnceLock<Report> = OnceLock::new();
    let found = FOUND.get_or_init(|| sandbox::self_test(&launcher()).expect("the launcher starts"));
    if found.level == Level::D {
        left_out(&format!("every hostile test, this machine cannot confine: {:?}", found.missing));
        return Vec::new();
    }
    let without = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/without.py");
    let bare = |what: &'static str| vec![PYTHON, "-I", "-B", without, what];
    let nobody = vec!["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let mut settings = vec![
        setting("as it is", &[], found.level, None),
        setting("without namespaces", &bare("namespaces"), found.level.min(Level::B), None),
        setting("without Landlock", &bare("landlock"), Level::C, None),
    ];
    if rustix::process::geteuid().is_root() {
        let user = Some(65534);
        let after = |what| [bare(what), nobody.clone()].concat();
        settings.push(setting("as nobody", &nobody, Level::B, user));
        let name = "as nobody without namespaces";
        settings.push(setting(name, &after("namespaces"), Level::B, user));
        let name = "as nobody without Landlock";
        settings.push(setting(name, &after("landlock"), Level::C, user));
    } else {
        left_out("settings that start as root, this user is not");
    }
    let (possible, missing): (Vec<_>, Vec<_>) =
        settings.into_iter().partition(|setting| setting.level > Level::C || setting.mounts);
    for setting in missing {
        left_out(&format!("the setting \"{}\", this machine forbids namespaces", setting.name));
    }
    possible
}

fn setting(name: &'static str, before: &[&str], level: Level, user: Option<u32>) -> Setting {
    let launcher = launcher().started_by(before.iter().copied());
    let refused_outside: &[&str] =
        if name.contains("without namespaces") { &["unshare", "mount", "setns"] } else { &[] };
    let mounts = mounts(&launcher);
    Setting { name, launcher, level, mounts, refused_outside, user }
}

pub(crate) fn launcher() -> Launcher {
    Launcher::new(env!("CARGO_BIN_EXE_wardround-sandbox"))
}

/// Whether a program finds its scratch folder where only namespaces can put it.
fn mounts(launcher: &Launcher) -> bool {
    let mut command = sandbox::Command::new(PYTHON).argument("-c");
    command = command.argument("import os; raise SystemExit(os.getcwd()[:9] != '/dev/shm/')");
    command.minimum = Level::C;
    command.read = sandbox::interpreter_paths(Path::new(PYTHON)).expect("there is an interpreter");
    sandbox::run(launcher, &command).is_ok_and(|end| end.status == Some(0))
}

fn left_out(what: &str) {
    writeln!(std::io::stderr(), "left out: {what}").expect("standard error is open");
}

impl Setting {
    /// How a program must end that makes a call which no honest program makes.
    pub(crate) fn verdict_on(&self, call: &str) -> Outcome {
        if self.refused_outside.contains(&call) {
            // The container's error comes first; the attack fails on it.
            return Outcome::Failed;
        }
        Outcome::Policy { syscall: call.to_owned() }
    }
}

/// Folders with a granted dataset and a secret that is not granted.
pub(crate) struct Planted {
    folder: tempfile::TempDir,
    user: Option<u32>,
}

impl Planted {
    pub(crate) fn new(user: Option<u32>) -> Self {
        let folder = tempfile::tempdir().expect("there is a temporary folder");
        let planted = Self { folder, user };
        std::fs::create_dir(planted.dataset()).expect("it is empty");
        std::fs::write(planted.data(), "granted").expect("there is room");
        std::fs::write(planted.secret(), "a key").expect("there is room");
        // Only the sandbox stands before them: modes would let everybody in.
        for (path, mode) in [
            (planted.folder.path().to_owned(), 0o755),
            (planted.dataset(), 0o755),
            (planted.data(), 0o644),
            (planted.secret(), 0o644),
        ] {
            std::os::unix::fs::chown(&path, user, user).expect("root may give away");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("own");
        }
        planted
    }

    /// Lets nobody else pass the folder around everything.
    pub(crate) fn close(&self) {
        self.mode(self.folder.path(), 0o700);
    }

    /// Lets everybody read again.
    pub(crate) fn open(&self) {
        let own = self.folder.path();
        for path in [own, &self.dataset()] {
            self.mode(path, 0o755);
        }
        self.mode(&self.data(), 0o644);
        std::os::unix::fs::chown(self.dataset(), self.user, self.user).expect("root may");
        std::os::unix::fs::chown(self.data(), self.user, self.user).expect("root may");
    }

    fn mode(&self, path: &Path, mode: u32) {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(path, mode).expect("this test owns it");
    }

    pub(crate) fn dataset(&self) -> PathBuf {
        self.folder.path().join("dataset")
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dataset().join("data.csv")
    }

    pub(crate) fn secret(&self) -> PathBuf {
        self.folder.path().join("secret.key")
    }
}

/// Limits that an attack reaches soon.
pub(crate) fn tight() -> Limits {
    Limits {
        wall: Duration::from_secs(20),
        processor: Some(Duration::from_secs(10)),
        memory: 128 << 20,
        processes: 32,
        disk: 4 << 20,
        files: 200,
        file: 16 << 20,
        output: 1 << 20,
    }
}

/// The machine's own interpreter: every user can read it.
pub(crate) const PYTHON: &str = "/usr/bin/python3";
pub(crate) const ATTACKS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hostile/attacks.py");
