//! The Python package that workers run: the program carries its own copy.

use std::io;
use std::path::{Path, PathBuf};

use protocol::{Digest, Digester};

/// The files of the package `wardround`, by their path in it.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/python_files.rs"));

/// The digest of the package's files: names and contents.
#[must_use]
pub fn package_digest() -> Digest {
    let mut digester = Digester::new();
    for (name, content) in FILES {
        for part in [name.as_bytes(), content] {
            digester.update(&(part.len() as u64).to_le_bytes());
            digester.update(part);
        }
    }
    digester.finish()
}

/// Writes the package below a folder, whole or not at all, and gives the folder that Python imports it from.
///
/// The folder is named after the package's digest, so versions of this program share no files.
///
/// # Errors
///
/// Where the folder cannot be written.
pub fn write_package(below: &Path) -> io::Result<PathBuf> {
    let digits: String = package_digest().hexadecimal().chars().take(DIGITS).collect();
    let folder = below.join(format!("wardround-{digits}"));
    if folder.join(PACKAGE).is_dir() {
        return Ok(folder);
    }
    std::fs::create_dir_all(below)?;
    let pending = below.join(format!(".wardround-{digits}-{}", std::process::id()));
    remove(&pending)?;
    for (name, content) in FILES {
        let path = pending.join(PACKAGE).join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(path, content)?;
    }
    match std::fs::rename(&pending, &folder) {
        Err(_) if folder.join(PACKAGE).is_dir() => remove(&pending)?,
        renamed => renamed?,
    }
    Ok(folder)
}

fn remove(folder: &Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The package's name.
const PACKAGE: &str = "wardround";

/// Hexadecimal digits of the digest in the folder's name.
const DIGITS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_is_written_whole_and_found_again() {
        let home = tempfile::tempdir().unwrap();
        let folder = write_package(home.path()).unwrap();
        for (name, content) in FILES {
            assert_eq!(std::fs::read(folder.join(PACKAGE).join(name)).unwrap(), *content, "{name}");
        }
        assert!(FILES.iter().any(|(name, _)| *name == "__init__.py"), "the package is carried");
        assert_eq!(write_package(home.path()).unwrap(), folder);
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 1);
    }
}
