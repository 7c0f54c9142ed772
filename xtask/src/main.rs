//! The workspace's own checks and chores: `cargo xtask tidy`, `cargo xtask verify`, `cargo xtask dist`,
//! `cargo xtask package-test`.

mod dist;
mod package_test;
mod tidy;
mod verify;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    let root = root();
    match arguments {
        ["tidy"] => tidy::run(&root),
        ["verify"] => verify::run(&root),
        ["dist", "--help"] => {
            say(dist::HELP);
            Ok(())
        }
        ["dist", rest @ ..] => {
            let made = dist::run(&root, &dist::Arguments::parse(&root, rest)?)?;
            say(&format!("install it with: sudo apt-get install {}", made.package.display()));
            Ok(())
        }
        ["package-test", "--help"] => {
            say(package_test::HELP);
            Ok(())
        }
        ["package-test"] => package_test::run(&root, None),
        ["package-test", "--program", path] => package_test::run(&root, Some(Path::new(path))),
        _ => bail!(
            "usage: cargo xtask tidy | verify | dist | package-test; the last two explain themselves with --help"
        ),
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask lies one level below the workspace's root")
        .to_owned()
}

/// Where cargo builds.
fn target(root: &Path) -> PathBuf {
    let own = std::env::var_os("CARGO_TARGET_DIR").filter(|folder| !folder.is_empty());
    own.map_or_else(|| root.join("target"), |folder| root.join(folder))
}

/// What is made once for all checkouts: this folder in the user's cache.
fn cache(name: &str) -> Result<PathBuf> {
    let own = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    let folder = own.filter(|path| path.is_absolute()).or_else(home);
    Ok(folder.context("neither XDG_CACHE_HOME nor HOME is set")?.join("wardround").join(name))
}

/// Runs a command that must succeed.
fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?} does not start"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(())
}

#[expect(clippy::print_stderr, reason = "the one place where xtask speaks")]
fn say(line: &str) {
    eprintln!("{line}");
}
