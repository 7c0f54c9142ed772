//! A Python interpreter with its packages, as it is found on this machine.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use protocol::{Digest, Digester};
use serde::{Deserialize, Serialize};

/// An interpreter, what it can do, and what of the file system it needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The interpreter as it was named, made absolute: an environment is found by this path.
    pub interpreter: PathBuf,
    /// The version of Python.
    pub python: String,
    /// The versions of the frameworks that plans use, by package; a package that is not there is left out.
    pub frameworks: Vec<(String, String)>,
    /// How many packages are installed.
    pub packages: usize,
    /// The digest of the installed packages' names and versions.
    pub digest: Digest,
    /// The files and folders that a worker reads.
    pub readable: Vec<PathBuf>,
}

/// Why an interpreter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The interpreter does not start.
    #[error("interpreter {} cannot be started", path.display())]
    Start {
        /// The interpreter.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The interpreter did not say what it is.
    #[error("{} is no Python that can be used: {message}", path.display())]
    NotPython {
        /// The interpreter.
        path: PathBuf,
        /// What it did instead.
        message: String,
    },
    /// The interpreter is too old.
    #[error("{} is Python {version}, at least 3.10 is needed", path.display())]
    TooOld {
        /// The interpreter.
        path: PathBuf,
        /// Its version.
        version: String,
    },
    /// No framework that a plan could use is there.
    #[error("{} has neither torch nor scikit-learn with numpy", path.display())]
    NoFramework {
        /// The interpreter.
        path: PathBuf,
    },
    /// The packages, or Python itself, are others than were registered.
    #[error("{} has other packages than when it was registered", path.display())]
    Changed {
        /// The interpreter.
        path: PathBuf,
    },
    /// Something that a worker needs cannot be read.
    #[error("{} cannot be read, which a worker of {} needs", path.display(), interpreter.display())]
    Unreadable {
        /// What cannot be read.
        path: PathBuf,
        /// The interpreter.
        interpreter: PathBuf,
    },
}

impl Environment {
    /// Asks an interpreter what it is; a name without a slash is looked for on the search path.
    ///
    /// It runs isolated from the user's settings, and imports nothing but what Python itself brings.
    ///
    /// # Errors
    ///
    /// [`Error`] says what is missing.
    pub fn inspect(interpreter: &Path) -> Result<Self, Error> {
        let path = locate(interpreter);
        let said = ask(&path)?;
        let version = (said.version[0], said.version[1]);
        if version < OLDEST {
            return Err(Error::TooOld { path, version: said.python });
        }
        let environment = Self {
            digest: digest(&said.packages),
            packages: said.packages.len(),
            frameworks: frameworks(&said.packages),
            readable: readable(&path)?,
            python: said.python,
            interpreter: path,
        };
        let has = |name: &str| environment.frameworks.iter().any(|(found, _)| found == name);
        if has("numpy") && (has("torch") || has("scikit-learn")) {
            Ok(environment)
        } else {
            Err(Error::NoFramework { path: environment.interpreter })
        }
    }

    /// Asks the interpreter again, and compares versions and packages: what a round records must be what it ran on.
    ///
    /// # Errors
    ///
    /// [`Error::Changed`], or what keeps the interpreter from being used at all.
    pub fn check_unchanged(&self) -> Result<(), Error> {
        let now = Self::inspect(&self.interpreter)?;
        if (&now.python, now.digest) == (&self.python, self.digest) {
            return Ok(());
        }
        Err(Error::Changed { path: self.interpreter.clone() })
    }
}

/// What the interpreter says of itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    python: String,
    version: [u32; 2],
    packages: Vec<(String, String)>,
}

/// The path by which an interpreter is started: links stay, because an environment is found by them.
fn locate(interpreter: &Path) -> PathBuf {
    if interpreter.components().count() > 1 {
        return std::path::absolute(interpreter).unwrap_or_else(|_| interpreter.to_owned());
    }
    let search = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&search).map(|folder| folder.join(interpreter));
    found.into_iter().find(|path| path.is_file()).unwrap_or_else(|| interpreter.to_owned())
}

fn ask(path: &Path) -> Result<Said, Error> {
    let start = |source| Error::Start { path: path.to_owned(), source };
    let not_python = |message: String| Error::NotPython { path: path.to_owned(), message };
    let mut child = Command::new(path)
        .args(["-I", "-B", "-c", QUESTION])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(start)?;
    let mut output = child.stdout.take().ok_or_else(|| not_python("no output".to_owned()))?;
    let reading = std::thread::spawn(move || {
        let mut text = Vec::new();
        output.by_ref().take(LARGEST_ANSWER).read_to_end(&mut text).map(|_| text)
    });
    let until = Instant::now() + LONGEST_ANSWER;
    let status = loop {
        match child.try_wait().map_err(start)? {
            Some(status) => break status,
            None if Instant::now() >= until => {
                child.kill().map_err(start)?;
                child.wait().map_err(start)?;
                return Err(not_python("it does not answer".to_owned()));
            }
            None => std::thread::sleep(PAUSE),
        }
    };
    let text = reading.join().unwrap_or_else(|_| Ok(Vec::new())).map_err(start)?;
    if !status.success() {
        return Err(not_python(format!("it ended with {status}")));
    }
    serde_json::from_slice(&text).map_err(|error| not_python(format!("it answered {error}")))
}

fn frameworks(packages: &[(String, String)]) -> Vec<(String, String)> {
    let wanted = FRAMEWORKS.iter();
    wanted.filter_map(|name| packages.iter().find(|(found, _)| found == name)).cloned().collect()
}

/// Each name and version with its length, in order of the names.
fn digest(packages: &[(String, String)]) -> Digest {
    let mut digester = Digester::new();
    for (name, version) in packages {
        for part in [name, version] {
            digester.update(&(part.len() as u64).to_le_bytes());
            digester.update(part.as_bytes());
        }
    }
    digester.finish()
}

/// What a worker reads of an interpreter; each must be open to this user.
fn readable(interpreter: &Path) -> Result<Vec<PathBuf>, Error> {
    let paths = sandbox::interpreter_paths(interpreter).map_err(|error| Error::NotPython {
        path: interpreter.to_owned(),
        message: error.to_string(),
    })?;
    let closed = paths.iter().find(|path| match path.is_dir() {
        true => std::fs::read_dir(path).is_err(),
        false => std::fs::File::open(path).is_err(),
    });
    match closed {
        Some(path) => {
            Err(Error::Unreadable { path: path.clone(), interpreter: interpreter.to_owned() })
        }
        None => Ok(paths),
    }
}

/// Answered as one JSON object.
const QUESTION: &str = r#"
import json, sys
from importlib import metadata
names = {}
for found in metadata.distributions():
    name = found.metadata["Name"]
    if name:
        names[name.lower().replace("_", "-")] = found.version
print(json.dumps({
    "python": ".".join(map(str, sys.version_info[:3])),
    "version": list(sys.version_info[:2]),
    "packages": sorted(names.items()),
}))
"#;

/// The packages whose versions are shown.
const FRAMEWORKS: &[&str] = &["numpy", "pandas", "scikit-learn", "torch", "torchvision"];

/// The oldest version of Python.
const OLDEST: (u32, u32) = (3, 10);

/// Bytes of an answer.
const LARGEST_ANSWER: u64 = 4 << 20;

/// How long an interpreter may think about it.
const LONGEST_ANSWER: Duration = Duration::from_secs(60);

/// Between two looks whether it has ended.
const PAUSE: Duration = Duration::from_millis(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_no_python_is_refused() {
        let error = Environment::inspect(Path::new("/bin/false")).unwrap_err();
        assert!(matches!(error, Error::NotPython { .. }), "{error}");
        let error = Environment::inspect(Path::new("/no/such/python")).unwrap_err();
        assert!(matches!(error, Error::Start { .. }), "{error}");
    }
}
