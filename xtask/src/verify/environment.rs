//! The Python that plans are tested with and reference numbers are made by.
//!
//! It holds PyTorch, which is some gigabytes, so it is installed once for all checkouts, in the user's cache folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// What is installed, by exact version.
const REQUIREMENTS: &str = "python/tests/requirements.txt";
/// What must be importable of it.
const MODULES: &str = "import ml_dtypes, nibabel, numpy, pandas, PIL, sklearn, torch";

/// A Python environment with all that the tests import, or why there is none.
pub(super) fn prepare(root: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(root.join(REQUIREMENTS))?;
    let folder = crate::cache("python")?.join(version()?);
    let python = folder.join("bin/python");
    let installed = folder.join("requirements.txt");
    if fs::read_to_string(&installed).is_ok_and(|found| found == wanted) && imports(&python) {
        return Ok(python);
    }
    crate::say("verify: installing Python's packages, some gigabytes, once");
    // A folder that an interrupted installation left is not gone on with.
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    quietly(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "2"];
    let requirements = root.join(REQUIREMENTS);
    quietly(Command::new(&python).args(pip).arg("--requirement").arg(requirements))?;
    ensure!(imports(&python), "what was installed cannot be imported");
    fs::write(installed, wanted)?;
    Ok(python)
}

/// The interpreter's own version: an environment belongs to one.
fn version() -> Result<String> {
    let print = "import sys; print('%d.%d.%d' % sys.version_info[:3])";
    let output = Command::new("python3").args(["-c", print]).output();
    let output = output.context("python3 does not start")?;
    ensure!(output.status.success(), "python3 does not run");
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn imports(python: &Path) -> bool {
    let tried = Command::new(python).args(["-c", MODULES]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Runs a command whose failure is told in its last line only.
fn quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?} does not start"))?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}", told.lines().last().unwrap_or("no word why"));
    Ok(())
}
