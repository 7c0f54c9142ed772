//! How the launcher is started.

use std::ffi::OsString;
use std::path::PathBuf;

/// A program that calls [`launch`](crate::launch), and what it wants to hear first.
///
/// In production it is the product's own executable with the words of a hidden command; the crate's
/// tests use the crate's own binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launcher {
    /// A program and its arguments that start the launcher, for instance as another user; mostly empty.
    pub before: Vec<OsString>,
    /// The program's absolute path.
    pub program: PathBuf,
    /// Its arguments, before those of the launcher itself.
    pub arguments: Vec<OsString>,
}

impl Launcher {
    /// A program without arguments of its own.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { before: Vec::new(), program: program.into(), arguments: Vec::new() }
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Has the launcher started by another program, given with its arguments.
    #[must_use]
    pub fn started_by<T: Into<OsString>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.before = words.into_iter().map(Into::into).collect();
        self
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> std::process::Command {
        let mut words = self.before.iter().cloned();
        let Some(first) = words.next() else {
            let mut command = std::process::Command::new(&self.program);
            command.args(&self.arguments);
            return command;
        };
        let mut command = std::process::Command::new(first);
        command.args(words).arg(&self.program).args(&self.arguments);
        command
    }
}
