//! The program under test, and its commands that end by themselves.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use serde_json::Value;

use crate::PATIENCE;

/// How the `wardround` program is called: which environment it sees, and nothing of the user's own.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    home: PathBuf,
    variables: Vec<(String, String)>,
}

/// What a command left behind when it ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The exit status; 0 is success.
    pub status: i32,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub error: String,
}

impl Program {
    /// Finds the program that was built beside this test.
    ///
    /// # Panics
    ///
    /// Panics where it is missing.
    pub fn find(home: &Path) -> Self {
        let test = std::env::current_exe().expect("a running test has a file");
        let built = test.parent().and_then(Path::parent).expect("tests lie in the target folder");
        let path = built.join("wardround");
        assert!(
            path.exists(),
            "{} is missing: build it with `cargo build -p wardround` in the same profile",
            path.display()
        );
        Self { path, home: home.to_owned(), variables: Vec::new() }
    }

    /// The same program with one more environment variable.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A call that prints JSON and dies with the test.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Command {
        let mut command = Command::new(&self.path);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("WARDROUND_") {
                command.env_remove(name);
            }
        }
        command
            .args(["--json", "--exit-with", &std::process::id().to_string()])
            .args(arguments)
            .env("WARDROUND_HOME", &self.home)
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    ///
    /// # Panics
    ///
    /// Panics where it does not end in time.
    pub fn run<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Answer {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let output = collect(child.stdout.take().expect("standard output was piped"));
        let error = collect(child.stderr.take().expect("standard error was piped"));
        let (output, error) = match (output.recv_timeout(PATIENCE), error.recv_timeout(PATIENCE)) {
            (Ok(output), Ok(error)) => (output, error),
            _ => give_up(&mut child, &format!("{:?}", words(arguments))),
        };
        let status = child.wait().expect("the program was started");
        Answer { status: status.code().unwrap_or(-1), output, error }
    }

    /// Runs a command that must succeed, and gives the document that it prints.
    ///
    /// # Panics
    ///
    /// Panics where it fails, with what it said.
    pub fn document<S: AsRef<OsStr>>(&self, arguments: &[S]) -> Value {
        let answer = self.run(arguments);
        let words = words(arguments);
        assert_eq!(answer.status, 0, "{words:?} failed: {}", answer.error);
        answer.document()
    }
}

impl Answer {
    /// The one JSON document on standard output.
    ///
    /// # Panics
    ///
    /// Panics where there is none.
    pub fn document(&self) -> Value {
        serde_json::from_str(self.output.trim())
            .unwrap_or_else(|error| panic!("no JSON document ({error}): {:?}", self.output))
    }

    /// The code of a command that failed with one.
    pub fn code(&self) -> Option<String> {
        let last = self.output.lines().last()?;
        let document: Value = serde_json::from_str(last).ok()?;
        document["error"]["code"].as_str().map(str::to_owned)
    }
}

/// Reads to the end on a thread of its own, which ends with what is read.
fn collect(mut source: impl Read + Send + 'static) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = source.read_to_end(&mut bytes);
        let _ = sender.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receiver
}

fn give_up(child: &mut Child, what: &str) -> ! {
    let _ = child.kill();
    let _ = child.wait();
    panic!("{what} did not end within {PATIENCE:?}")
}

fn words<S: AsRef<OsStr>>(arguments: &[S]) -> Vec<String> {
    arguments.iter().map(|one| one.as_ref().to_string_lossy().into_owned()).collect()
}
