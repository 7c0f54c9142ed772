//! A folder in which commands are typed, and what they answer.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// How long anything that a test waits for may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder of a test's own.
pub(crate) struct Place {
    folder: TempDir,
    /// The coordinator that commands find in their environment.
    pub(crate) coordinator: Option<String>,
}

/// How a command ended, and what it wrote.
pub(crate) struct Answer {
    typed: String,
    pub(crate) status: i32,
    pub(crate) output: String,
    pub(crate) errors: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), coordinator: None }
    }

    /// A place that has the example's files.
    pub(crate) fn with_examples() -> Self {
        let place = Self::new();
        for name in ["north.csv", "south.csv", "logistic.toml", "mlp.toml", "scale.toml"] {
            std::fs::copy(examples().join(name), place.path(name)).expect("the example is shipped");
        }
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).expect("the folder can be written");
    }

    /// The command line, not started yet. Its environment is the same wherever the tests run.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wardround"));
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null()).env_clear();
        command.env("WARDROUND_HOME", "home").env("USER", "ada").env("COLUMNS", "100");
        command.env("TMPDIR", std::env::temp_dir());
        if let Some(url) = &self.coordinator {
            command.env("WARDROUND_COORDINATOR", url);
        }
        command
    }

    /// Types a command and waits until it has ended.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str]) -> Answer {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().expect("the program starts");
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("is positive");
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        let Ok(ended) = receiver.recv_timeout(PATIENCE) else {
            let _ = kill_process(pid, Signal::KILL);
            panic!("`wardround {}` does not end within {PATIENCE:?}", arguments.join(" "));
        };
        Answer::of(arguments, &ended.expect("the program was started"))
    }

    /// Types a command that must succeed.
    #[track_caller]
    pub(crate) fn done(&self, arguments: &[&str]) -> String {
        let answer = self.run(arguments);
        assert_eq!(answer.status, 0, "{}", answer.transcript());
        answer.output
    }

    /// Types a command that must succeed, with `--json`, and reads its document.
    #[track_caller]
    pub(crate) fn document(&self, arguments: &[&str]) -> Value {
        let output = self.done(&[arguments, &["--json"]].concat());
        serde_json::from_str(&output).unwrap_or_else(|error| panic!("{error}: {output}"))
    }

    /// Types a command and compares everything that it answers with the snapshot of this name.
    #[track_caller]
    pub(crate) fn snapshot(&self, name: &str, arguments: &[&str]) -> Answer {
        let answer = self.run(arguments);
        self.compare(name, &answer.transcript());
        answer
    }

    /// Compares a text with the snapshot of this name.
    #[track_caller]
    pub(crate) fn compare(&self, name: &str, text: &str) {
        let root = self.folder.path().to_string_lossy();
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.add_filter(&format!("(/private)?{}", literal(&root)), "[FOLDER]");
        for (pattern, replacement) in FILTERS {
            settings.add_filter(pattern, *replacement);
        }
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

impl Answer {
    pub(crate) fn of(arguments: &[&str], ended: &Output) -> Self {
        Self {
            typed: arguments.join(" "),
            status: ended.status.code().unwrap_or(-1),
            output: String::from_utf8(ended.stdout.clone()).expect("UTF-8"),
            errors: String::from_utf8(ended.stderr.clone()).expect("UTF-8"),
        }
    }

    /// What was typed and what came back, as one text.
    pub(crate) fn transcript(&self) -> String {
        format!(
            "$ wardround {}\nexit status: {}\n----- stdout -----\n{}----- stderr -----\n{}",
            self.typed, self.status, self.output, self.errors
        )
    }

    /// The same answer with only the first lines of its output.
    pub(crate) fn shortened(mut self, lines: usize) -> Self {
        let rest = self.output.lines().count().saturating_sub(lines);
        let first: String =
            self.output.lines().take(lines).map(|line| format!("{line}\n")).collect();
        self.output = if rest > 0 { format!("{first}…\n") } else { first };
        self
    }
}

/// The folder of the shipped example.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer")
}

/// A regular expression that matches a text and nothing else.
fn literal(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") })
        .collect()
}

/// What differs between two runs, in the order in which it is replaced.
const FILTERS: &[(&str, &str)] = &[
    ("[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", "[ID]"),
    ("sha256:[0-9a-f]{64}", "sha256:[DIGEST]"),
    ("ed25519:[0-9a-f]{64}", "ed25519:[KEY]"),
    ("key_signature=[0-9a-f]{128}", "key_signature=[SIGNATURE]"),
    (r"owner:\d+(:[A-Za-z0-9._$-]+)? *", "owner:[USER] "),
    ("ACTOR +ACTION", "ACTOR  ACTION"),
    (r"127\.0\.0\.1:[2-9][0-9]{4}\b|127\.0\.0\.1:1[0-9]{4}\b", "127.0.0.1:[PORT]"),
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "[TIME]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[TIME]"),
    (r"by ([A-Za-z0-9._$-]+ \(\d+\)|user \d+)", "by [USER]"),
    (r#""user": \d+(,\s*"name": "[^"]*")?"#, "\"user\": [USER]"),
    (r#""(at|[a-z_]+_at|deadline|modified)": ?\d{13}"#, r#""$1": [TIME]"#),
    (r" +\d+\.\d{3} ms", " [DURATION]"),
    (r", \d+(\.\d)? (bytes|KiB|MiB), (for ever|each)", ", [SIZE], $3"),
    (r"backup: \d+\.\d KiB", "backup: [SIZE]"),
    (r#""bytes": \d+(,\s+"contents")"#, r#""bytes": [SIZE]$1"#),
    (r#"("name": "(?:node|policy|audit|identity)[^"]*",\s+"bytes": )\d+"#, "$1[SIZE]"),
    (r"replaced-\d{13}", "replaced-[TIME]"),
    (r#""(refused_until)": \d{13}"#, r#""$1": [TIME]"#),
    (r"the oldest goes \S+Z", "the oldest goes [TIME]"),
    (r"process \d+", "process [PID]"),
    (r"-?\b\d+\.\d{3,}(e-?\d+)?\b", "[NUMBER]"),
    (r"\b\d+(\.\d+)?e-?\d+\b", "[NUMBER]"),
    (r#"("(rtime_training|ptime_training)": )[0-9.e-]+"#, "$1[DURATION]"),
];
