//! What is in a release, and where each file lies in the tarball and on a Debian machine.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};

use super::archive::Entry;
use super::program::Program;

/// Every file of a release.
pub(super) struct Files(Vec<File>);

struct File {
    kind: Kind,
    name: String,
    bytes: Vec<u8>,
}

/// What a file is, which says where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Program,
    Unit,
    Users,
    Configuration,
    Page,
    BashCompletion,
    ZshCompletion,
    FishCompletion,
    Document,
    /// The licence, which Debian calls by another name.
    Licence,
}

/// Collects the files: some lie in the tree, some the program writes.
pub(super) fn gather(root: &Path, program: &Program, bill: &[u8]) -> Result<Files> {
    let mut files = vec![
        File::new(Kind::Program, "wardround", program.bytes()),
        File::new(Kind::Document, "wardround.cdx.json", bill),
    ];
    for (kind, name, source) in SOURCES {
        let bytes = fs::read(root.join(source)).with_context(|| format!("{source} is missing"))?;
        files.push(File::new(*kind, name, &bytes));
    }
    for (kind, name, shell) in SHELLS {
        let text = program.say(&["completions", shell])?;
        files.push(File::new(*kind, name, text.as_bytes()));
    }
    files.extend(manual(root, program)?);
    Ok(Files(files))
}

impl Files {
    /// The files as they lie in the tarball, below a folder of this name.
    pub(super) fn in_tarball(&self, name: &str) -> Vec<Entry> {
        let placed = self.0.iter().map(|file| Entry {
            path: format!("{name}/{}{}", file.kind.in_tarball(), file.name),
            mode: file.kind.mode(),
            bytes: file.bytes.clone(),
        });
        placed.collect()
    }

    /// The files as they lie on a Debian machine.
    pub(super) fn installed(&self) -> Result<Vec<Entry>> {
        let placed = self.0.iter().map(|file| {
            let folder = file.kind.installed();
            let (name, bytes) = match file.kind {
                Kind::Page => (format!("{}.gz", file.name), zipped(&file.bytes)?),
                Kind::Licence => ("copyright".to_owned(), copyright(&file.bytes)),
                Kind::Document if file.name == "CHANGELOG.md" => {
                    ("changelog.gz".to_owned(), zipped(&file.bytes)?)
                }
                _ => (file.name.clone(), file.bytes.clone()),
            };
            Ok(Entry { path: format!("{folder}{name}"), mode: file.kind.mode(), bytes })
        });
        placed.collect()
    }

    /// The paths of what an administrator may change, and an upgrade keeps.
    pub(super) fn configuration(&self) -> impl Iterator<Item = String> {
        let files = self.0.iter().filter(|file| file.kind == Kind::Configuration);
        files.map(|file| format!("/{}{}", file.kind.installed(), file.name))
    }
}

impl File {
    fn new(kind: Kind, name: &str, bytes: &[u8]) -> Self {
        Self { kind, name: name.to_owned(), bytes: bytes.to_vec() }
    }
}

impl Kind {
    fn in_tarball(self) -> &'static str {
        match self {
            Self::Program => "bin/",
            Self::Unit => "lib/systemd/system/",
            Self::Users => "lib/sysusers.d/",
            Self::Configuration => "etc/wardround/",
            Self::Page => "share/man/man1/",
            Self::BashCompletion => "share/bash-completion/completions/",
            Self::ZshCompletion => "share/zsh/site-functions/",
            Self::FishCompletion => "share/fish/vendor_completions.d/",
            Self::Document | Self::Licence => "",
        }
    }

    fn installed(self) -> &'static str {
        match self {
            Self::Program => "usr/bin/",
            Self::Unit => "usr/lib/systemd/system/",
            Self::Users => "usr/lib/sysusers.d/",
            Self::Configuration => "etc/wardround/",
            Self::Page => "usr/share/man/man1/",
            Self::BashCompletion => "usr/share/bash-completion/completions/",
            Self::ZshCompletion => "usr/share/zsh/vendor-completions/",
            Self::FishCompletion => "usr/share/fish/vendor_completions.d/",
            Self::Document | Self::Licence => "usr/share/doc/wardround/",
        }
    }

    fn mode(self) -> u32 {
        match self {
            Self::Program => 0o755,
            // The address of a proxy may have a password in it.
            Self::Configuration => 0o600,
            _ => 0o644,
        }
    }
}

/// Lets the program write its manual, and reads it.
fn manual(root: &Path, program: &Program) -> Result<Vec<File>> {
    let folder = crate::target(root).join("manual");
    drop(fs::remove_dir_all(&folder));
    program.say(&["manual", &folder.to_string_lossy()])?;
    let pages = fs::read_dir(&folder).context("the program wrote no manual")?;
    let read = pages.map(|page| {
        let path = page?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Ok(File::new(Kind::Page, &name, &fs::read(&path)?))
    });
    read.collect()
}

/// A compressed file without a name and a time.
fn zipped(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().write(Vec::new(), Compression::best());
    std::io::Write::write_all(&mut encoder, bytes)?;
    Ok(encoder.finish()?)
}

/// Debian's file about rights: whose it is, then the licence.
fn copyright(licence: &[u8]) -> Vec<u8> {
    let mut text = b"Wardround is under the Apache License 2.0, which follows. What it is made of, and under which\n\
        licence each part is, stands in wardround.cdx.json beside this file.\n\n"
        .to_vec();
    text.extend_from_slice(licence);
    text
}

const SOURCES: &[(Kind, &str, &str)] = &[
    (Kind::Unit, "wardround-node.service", "packaging/wardround-node.service"),
    (Kind::Unit, "wardround-coordinator.service", "packaging/wardround-coordinator.service"),
    (Kind::Users, "wardround.conf", "packaging/sysusers.conf"),
    (Kind::Configuration, "node.env", "packaging/node.env"),
    (Kind::Configuration, "coordinator.env", "packaging/coordinator.env"),
    (Kind::Document, "README.md", "README.md"),
    (Kind::Document, "INSTALL.md", "docs/guides/install.md"),
    (Kind::Document, "CHANGELOG.md", "CHANGELOG.md"),
    (Kind::Licence, "LICENSE", "LICENSE"),
];

const SHELLS: &[(Kind, &str, &str)] = &[
    (Kind::BashCompletion, "wardround", "bash"),
    (Kind::ZshCompletion, "_wardround", "zsh"),
    (Kind::FishCompletion, "wardround.fish", "fish"),
];
