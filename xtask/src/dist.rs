//! What is released: a tarball, a Debian package, a list of what the program is made of, and checksums.
//!
//! The same sources and the same program give the same bytes: times are the commit's (`SOURCE_DATE_EPOCH` wins over
//! it), entries are sorted, and everything is root's.

mod archive;
mod bill;
mod content;
mod debian;
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};

pub(crate) use program::Program;

/// What `cargo xtask dist --help` prints.
pub(crate) const HELP: &str = "\
cargo xtask dist [--program PATH] [--output FOLDER]

Builds the program in release mode and writes to target/dist, or to FOLDER:

  wardround-VERSION-x86_64-linux-musl.tar.gz   program, units, configuration, manual, completions, SBOM
  wardround_VERSION_amd64.deb                  the same as a Debian package
  wardround-VERSION.cdx.json                   the SBOM by itself, CycloneDX 1.6
  SHA256SUMS                                   checksums of the three

With --program nothing is built, and that program is packed.

The program is static where rustup has the target x86_64-unknown-linux-musl and musl-gcc is there
(`rustup target add x86_64-unknown-linux-musl`, `apt-get install musl-tools`). Else it needs the
C library of this machine or a later one: the tarball is then called -linux-gnu, the package asks
for that library, and the last line names its version. Nothing else is needed than what builds the workspace, and git for the commit's time.";

/// What was asked for.
pub(crate) struct Arguments {
    /// A program that is there already.
    pub(crate) program: Option<PathBuf>,
    /// Where the files go.
    pub(crate) output: PathBuf,
}

/// What was made.
pub(crate) struct Made {
    /// The Debian package.
    pub(crate) package: PathBuf,
}

impl Arguments {
    pub(crate) fn parse(root: &Path, words: &[&str]) -> Result<Self> {
        let mut arguments = Self { program: None, output: crate::target(root).join("dist") };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match *word {
                "--program" => arguments.program = Some(PathBuf::from(value()?)),
                "--output" => arguments.output = PathBuf::from(value()?),
                other => bail!("{other} is not known\n\n{HELP}"),
            }
        }
        Ok(arguments)
    }
}

/// Makes everything.
pub(crate) fn run(root: &Path, arguments: &Arguments) -> Result<Made> {
    let program = match &arguments.program {
        Some(path) => Program::read(path)?,
        None => program::build(root)?,
    };
    let version = version(root)?;
    program.is_of_version(&version)?;
    let moment = moment(root)?;
    let bill = bill::of(root, &program, &version, moment)?;
    let files = content::gather(root, &program, &bill)?;
    drop(fs::remove_dir_all(&arguments.output));
    fs::create_dir_all(&arguments.output)?;
    let name = format!("wardround-{version}-x86_64-linux-{}", program.linkage().library());
    let package = format!("wardround_{version}_amd64.deb");
    let made = [
        (format!("{name}.tar.gz"), archive::compressed(&files.in_tarball(&name), moment)?),
        (package.clone(), debian::package(root, &files, &program, &version, moment)?),
        (format!("wardround-{version}.cdx.json"), bill),
    ];
    let mut sums = String::new();
    for (name, bytes) in &made {
        let path = arguments.output.join(name);
        fs::write(&path, bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        sums.push_str(&format!("{}  {name}\n", hexadecimal(&Sha256::digest(bytes))));
        crate::say(&format!("dist: {}, {:.1} MB", path.display(), megabytes(bytes.len())));
    }
    fs::write(arguments.output.join("SHA256SUMS"), sums)?;
    crate::say(&format!(
        "dist: the program has {:.1} MB and is {}",
        program.megabytes(),
        program.linkage()
    ));
    Ok(Made { package: arguments.output.join(package) })
}

/// The workspace's version.
fn version(root: &Path) -> Result<String> {
    let manifest: toml::Table = fs::read_to_string(root.join("Cargo.toml"))?.parse()?;
    let version = manifest["workspace"]["package"]["version"].as_str();
    Ok(version.context("the workspace has a version")?.to_owned())
}

/// The time that everything is given, in seconds since 1970.
fn moment(root: &Path) -> Result<u64> {
    if let Ok(given) = std::env::var("SOURCE_DATE_EPOCH") {
        return given.parse().context("SOURCE_DATE_EPOCH is not a number of seconds");
    }
    let mut git = Command::new("git");
    let output = git.args(["log", "-1", "--format=%ct"]).current_dir(root).output();
    let output = output.context("git does not start; set SOURCE_DATE_EPOCH")?;
    ensure!(output.status.success(), "git knows no commit; set SOURCE_DATE_EPOCH");
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::cast_precision_loss, reason = "it is printed with one digit")]
fn megabytes(bytes: usize) -> f64 {
    bytes as f64 / 1e6
}
