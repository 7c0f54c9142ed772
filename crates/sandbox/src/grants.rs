//! What every confined process may read, and what an interpreter needs.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::landlock::Access;

/// What every confined process may use, where it is there.
pub(crate) fn system() -> Vec<(PathBuf, Access)> {
    let mut grants = Vec::new();
    let own_libraries = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let libraries =
        if Path::new(&own_libraries).is_dir() { own_libraries.as_str() } else { "/usr/lib" };
    for path in [libraries, "/lib64", "/usr/lib64"].into_iter().chain(READABLE.iter().copied()) {
        grants.push((PathBuf::from(path), Access::Read));
    }
    for path in LOADERS {
        grants.push((PathBuf::from(path), Access::Execute));
    }
    grants.push((PathBuf::from("/dev/null"), Access::Device));
    grants.retain(|(path, _)| path.exists());
    grants
}

/// Asks a Python interpreter what must be readable for it: itself, its standard library, its packages.
///
/// The interpreter runs outside any sandbox for that, isolated from variables and the current folder.
///
/// # Errors
///
/// It is not there, is not a Python interpreter, or does not answer.
pub fn interpreter_paths(interpreter: &Path) -> Result<Vec<PathBuf>, Error> {
    let fault = |reason: String| Error::Interpreter { path: interpreter.to_owned(), reason };
    let output = Command::new(interpreter)
        .args(["-I", "-B", "-c", QUESTION])
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| fault(error.to_string()))?;
    if !output.status.success() {
        return Err(fault(format!("it ended with {}", output.status)));
    }
    let answer: Answer = serde_json::from_slice(&output.stdout)
        .map_err(|_| fault("its answer is not what was asked for".to_owned()))?;
    Ok(paths_of(interpreter, answer))
}

fn paths_of(interpreter: &Path, answer: Answer) -> Vec<PathBuf> {
    let mut paths: BTreeSet<PathBuf> = answer.path.into_iter().map(PathBuf::from).collect();
    // A virtual environment's own folder, and an installation outside the system's, hold more than
    // the folders of modules: libraries, data, the environment's description.
    let system = ["/", "/usr", "/usr/local"].map(Path::new);
    for prefix in answer.prefixes.iter().map(Path::new) {
        if !system.contains(&prefix) {
            paths.insert(prefix.to_owned());
        }
    }
    paths.insert(interpreter.to_owned());
    let resolved: Vec<PathBuf> = paths.iter().filter_map(|path| path.canonicalize().ok()).collect();
    paths.extend(resolved);
    paths.retain(|path| path.is_absolute() && path.exists());
    let all = paths.clone();
    paths.retain(|path| !path.ancestors().skip(1).any(|above| all.contains(above)));
    paths.into_iter().collect()
}

/// The first thing on the way to a path that users without any rights of their own could not pass.
///
/// Access lists are not looked at: where they widen what the mode says, the answer is stricter than need be.
pub(crate) fn barred_to_others(path: &Path) -> Option<PathBuf> {
    let Ok(resolved) = path.canonicalize() else { return Some(path.to_owned()) };
    for above in resolved.ancestors().skip(1) {
        let passable = above.metadata().is_ok_and(|found| found.mode() & 0o001 != 0);
        if !passable {
            return Some(above.to_owned());
        }
    }
    (!is_open_to_others(&resolved)).then_some(resolved)
}

/// The first folder on the way to a resolved path, from the root, that such users could not pass.
pub(crate) fn first_barrier(resolved: &Path) -> Option<PathBuf> {
    let barriers = resolved
        .ancestors()
        .skip(1)
        .filter(|above| !above.metadata().is_ok_and(|found| found.mode() & 0o001 != 0));
    barriers.last().map(Path::to_owned)
}

/// Whether the mode of a file or a folder itself lets others read it.
pub(crate) fn is_open_to_others(path: &Path) -> bool {
    let Ok(found) = path.metadata() else { return false };
    let needed = if found.is_dir() { 0o005 } else { 0o004 };
    found.mode() & needed == needed
}

/// The first thing in a granted folder, or the path itself, whose own mode keeps others from reading it.
pub(crate) fn closed_inside(path: &Path) -> Option<PathBuf> {
    let mut waiting = vec![path.to_owned()];
    while let Some(next) = waiting.pop() {
        if !is_open_to_others(&next) {
            return Some(next);
        }
        let Ok(entries) = std::fs::read_dir(&next) else { continue };
        // What a link leads to is granted by itself, or not at all.
        let entries = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir() || kind.is_file()));
        waiting.extend(entries.map(|entry| entry.path()));
    }
    None
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    prefixes: Vec<String>,
    path: Vec<String>,
}

const QUESTION: &str = "import json, sys; print(json.dumps({'prefixes': [sys.prefix, sys.base_prefix, \
                        sys.exec_prefix, sys.base_exec_prefix], 'path': [entry for entry in sys.path if entry]}))";

/// Without the processor's description some libraries choose slower instructions and give other numbers.
const READABLE: &[&str] = &[
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
];

const LOADERS: &[&str] = &[
    "/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/ld-musl-aarch64.so.1",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_cannot_pass_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("inner.txt");
        std::fs::write(&file, "text").unwrap();
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(folder.path(), private).unwrap();
        assert_eq!(barred_to_others(&file), folder.path().canonicalize().ok());
        assert_eq!(barred_to_others(Path::new("/dev/null")), None);
        assert!(barred_to_others(Path::new("/nowhere/at/all")).is_some());
    }

    #[test]
    fn every_system_grant_is_there() {
        let grants = system();
        assert!(grants.iter().all(|(path, _)| path.exists()));
        assert!(grants.iter().any(|(path, _)| path == Path::new("/proc/cpuinfo")));
    }

    #[test]
    fn paths_below_other_paths_are_left_out() {
        let answer = Answer {
            prefixes: vec!["/usr".to_owned(), "/usr/lib".to_owned()],
            path: vec!["/usr/lib/x".to_owned(), "/usr/lib".to_owned()],
        };
        assert_eq!(
            paths_of(Path::new("/dev/null"), answer),
            [PathBuf::from("/dev/null"), PathBuf::from("/usr/lib")]
        );
    }
}
