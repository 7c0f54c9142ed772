//! A clean Debian root: what a hospital's new machine has, and nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

/// An archive of the root.
pub(crate) struct Root {
    archive: PathBuf,
}

impl Root {
    /// Makes the root, or finds the one that was made before; or says what this machine lacks for it.
    pub(crate) fn prepare() -> Result<Self> {
        ensure!(cfg!(target_arch = "x86_64"), "the package is for x86-64");
        ensure!(rustix::process::geteuid().is_root(), "only root can boot a machine in namespaces");
        for (tool, package) in TOOLS {
            let there = Command::new(tool).arg("--version").output();
            let is_there = there.is_ok_and(|output| output.status.success());
            ensure!(is_there, "{tool} is missing: apt-get install {package}");
        }
        let suite = suite()?;
        let folder = crate::cache("debian")?;
        let archive = folder.join(format!("{suite}-{GENERATION}.tar"));
        if archive.exists() {
            return Ok(Self { archive });
        }
        crate::say(&format!("fetching a clean Debian root ({suite}), some 60 MB, once"));
        fs::create_dir_all(&folder)?;
        let unfinished = folder.join(format!("{suite}-{}.unfinished.tar", std::process::id()));
        let made = make(&suite, &unfinished);
        let kept = made.and_then(|()| Ok(fs::rename(&unfinished, &archive)?));
        if kept.is_err() {
            drop(fs::remove_file(&unfinished));
        }
        kept.map(|()| Self { archive })
    }

    /// Unpacks the root into a folder of its own.
    pub(super) fn unpack(&self, folder: &Path) -> Result<PathBuf> {
        if folder.exists() {
            fs::remove_dir_all(folder)
                .with_context(|| format!("{} cannot be removed", folder.display()))?;
        }
        fs::create_dir_all(folder)?;
        let mut command = Command::new("tar");
        command.arg("--extract").arg("--file").arg(&self.archive).arg("--directory").arg(folder);
        crate::succeed(&mut command)?;
        Ok(folder.to_owned())
    }
}

/// The release of this machine's own Debian: what was built here runs there.
fn suite() -> Result<String> {
    let release =
        fs::read_to_string("/etc/os-release").context("this machine has no /etc/os-release")?;
    let value = |key: &str| {
        let line = release.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.map(|value| value.trim_matches('"').to_owned())
    };
    ensure!(value("ID").as_deref() == Some("debian"), "this machine is no Debian");
    value("VERSION_CODENAME").context("this Debian has no name")
}

fn make(suite: &str, archive: &Path) -> Result<()> {
    let mut command = Command::new("mmdebstrap");
    command.args(["--quiet", "--variant=minbase", "--include=systemd,systemd-sysv,sudo"]);
    // It is thrown away: nothing of it needs to survive a loss of power.
    command.arg("--dpkgopt=force-unsafe-io");
    command.args(["--aptopt=Acquire::Languages \"none\"", "--aptopt=Acquire::Retries \"3\""]);
    let output = command.arg(suite).arg(archive).output().context("mmdebstrap does not start")?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("mmdebstrap ended with {}: {}", output.status, told.trim());
    }
    Ok(())
}

const TOOLS: &[(&str, &str)] =
    &[("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container"), ("tar", "tar")];
/// Counts up where the list of packages changes.
const GENERATION: u32 = 1;
