//! The program that is packed: how it is built, and what it needs from the machine that it runs on.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A program for Linux on x86-64.
pub(crate) struct Program {
    path: PathBuf,
    bytes: Vec<u8>,
    linkage: Linkage,
}

/// What a program needs beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Linkage {
    /// Nothing but the kernel.
    Static,
    /// The GNU C library of this version, 2.N, or a later one.
    Gnu(u32),
}

impl Program {
    /// Reads a program.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let is_ours = bytes.starts_with(b"\x7fELF\x02\x01") && bytes.get(18..20) == Some(&[62, 0]);
        ensure!(is_ours, "{} is no program for Linux on x86-64", path.display());
        let linkage = Linkage::of(&bytes)?;
        Ok(Self { path: fs::canonicalize(path)?, bytes, linkage })
    }

    /// Its bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Its size, to be read.
    pub(super) fn megabytes(&self) -> f64 {
        super::megabytes(self.bytes.len())
    }

    /// What it needs.
    pub(super) fn linkage(&self) -> Linkage {
        self.linkage
    }

    /// Checks that it is what the package will call it.
    pub(super) fn is_of_version(&self, version: &str) -> Result<()> {
        let said = self.say(&["--version"])?;
        let expected = format!("wardround {version}");
        ensure!(
            said.trim() == expected,
            "{} is {}, not {expected}",
            self.path.display(),
            said.trim()
        );
        Ok(())
    }

    /// Runs it and takes what it prints.
    pub(super) fn say(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.path);
        let output = command.args(arguments).output();
        let output = output.with_context(|| format!("{} does not start", self.path.display()))?;
        ensure!(output.status.success(), "{command:?} ended with {}", output.status);
        Ok(String::from_utf8(output.stdout)?)
    }
}

impl Linkage {
    /// The target that a program of this kind is built for.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Static => MUSL,
            Self::Gnu(_) => GNU,
        }
    }

    /// The C library in it or beside it, as the tarball's name says it.
    pub(super) fn library(self) -> &'static str {
        match self {
            Self::Static => "musl",
            Self::Gnu(_) => "gnu",
        }
    }

    fn of(bytes: &[u8]) -> Result<Self> {
        if !has_interpreter(bytes).context("its program headers are cut off")? {
            return Ok(Self::Static);
        }
        let newest = versions(bytes).max();
        Ok(Self::Gnu(newest.context("it is linked with another C library than GNU's")?))
    }
}

impl fmt::Display for Linkage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Static => formatter.write_str("static: it runs on any Linux"),
            Self::Gnu(minor) => write!(formatter, "dynamic: it needs glibc 2.{minor} or later"),
        }
    }
}

/// Builds the program in release mode, static where this machine can.
pub(super) fn build(root: &Path) -> Result<Program> {
    let mut command = Command::new("cargo");
    let package =
        ["build", "--release", "--locked", "--package", "wardround", "--bin", "wardround"];
    command.args(package).current_dir(root);
    let target = match missing_for_musl() {
        None => {
            command.args(["--target", MUSL]).env("CC_x86_64_unknown_linux_musl", "musl-gcc");
            crate::target(root).join(MUSL)
        }
        Some(missing) => {
            crate::say(&format!("dist: the program will be dynamic, because {missing}"));
            crate::target(root)
        }
    };
    crate::succeed(&mut command)?;
    Program::read(&target.join("release/wardround"))
}

/// Why no static program can be made here.
fn missing_for_musl() -> Option<&'static str> {
    // The compiler's own folder says it for every way in which Rust is installed.
    let library =
        Command::new("rustc").args(["--print", "target-libdir", "--target", MUSL]).output();
    let folder = library.ok().filter(|output| output.status.success());
    let has_library = folder
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .is_some_and(|path| Path::new(path.trim()).is_dir());
    if !has_library {
        return Some("Rust's target x86_64-unknown-linux-musl is not installed");
    }
    let compiler = Command::new("musl-gcc").arg("--version").output();
    let has_compiler = compiler.is_ok_and(|output| output.status.success());
    (!has_compiler).then_some("musl-gcc is not installed")
}

/// Whether the kernel starts the program through a loader of libraries.
fn has_interpreter(bytes: &[u8]) -> Option<bool> {
    let number = |at: usize, length: usize| -> Option<usize> {
        let mut value = [0; 8];
        value[..length].copy_from_slice(bytes.get(at..at.checked_add(length)?)?);
        usize::try_from(u64::from_le_bytes(value)).ok()
    };
    let (table, size, count) = (number(32, 8)?, number(54, 2)?, number(56, 2)?);
    for index in 0..count {
        let header = table.checked_add(index.checked_mul(size)?)?;
        if number(header, 4)? == PT_INTERP {
            return Some(true);
        }
    }
    Some(false)
}

/// The versions of the GNU C library, 2.N, whose symbols a program names.
fn versions(bytes: &[u8]) -> impl Iterator<Item = u32> {
    const MARK: &[u8] = b"\0GLIBC_2.";
    let starts = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(MARK));
    starts.filter_map(|at| {
        let rest = &bytes[at + MARK.len()..];
        let digits: Vec<u8> = rest.iter().copied().take_while(u8::is_ascii_digit).collect();
        String::from_utf8(digits).ok()?.parse().ok()
    })
}

const MUSL: &str = "x86_64-unknown-linux-musl";
const GNU: &str = "x86_64-unknown-linux-gnu";
/// The program header that names a loader.
const PT_INTERP: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_arch = "x86_64", target_env = "gnu"))]
    #[test]
    fn a_program_that_was_built_here_is_recognised() {
        let program = Program::read(&std::env::current_exe().unwrap()).unwrap();
        match program.linkage() {
            Linkage::Static => {
                panic!("tests are built for this machine, which has a GNU C library")
            }
            Linkage::Gnu(minor) => assert!((17..100).contains(&minor), "2.{minor}"),
        }
    }

    #[test]
    fn a_program_without_a_loader_is_static() {
        let mut bytes = vec![0; 64 + 56];
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64] = 1;
        assert_eq!(Linkage::of(&bytes).unwrap(), Linkage::Static);
        bytes[64] = 3;
        bytes.extend_from_slice(b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.2.5\0");
        assert_eq!(Linkage::of(&bytes).unwrap(), Linkage::Gnu(34));
        (bytes[56], bytes[64]) = (200, 1);
        assert!(Linkage::of(&bytes).is_err(), "a table that is cut off");
    }

    #[test]
    fn what_is_no_program_is_refused() {
        let error = Program::read(Path::new(env!("CARGO_MANIFEST_PATH"))).err().unwrap();
        assert!(error.to_string().ends_with("is no program for Linux on x86-64"), "{error}");
    }
}
