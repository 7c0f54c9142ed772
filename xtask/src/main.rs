//! The workspace's own checks and chores: `cargo xtask tidy`, `cargo xtask verify`.

mod tidy;
mod verify;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match arguments.as_slice() {
        ["tidy"] => tidy::run(&root()),
        ["verify"] => verify::run(&root()),
        _ => Err(anyhow::anyhow!("usage: cargo xtask tidy | verify")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies one level below the workspace's root")
        .to_owned()
}

#[expect(clippy::print_stderr, reason = "the one place where xtask speaks")]
fn say(line: &str) {
    eprintln!("{line}");
}
