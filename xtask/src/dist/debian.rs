//! The Debian package: an archive of three members, as `deb(5)` describes it.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::archive::{self, Entry};
use super::content::Files;
use super::program::{Linkage, Program};

/// The package's bytes.
pub(super) fn package(
    root: &Path,
    files: &Files,
    program: &Program,
    version: &str,
    moment: u64,
) -> Result<Vec<u8>> {
    let installed = files.installed()?;
    let bytes: usize = installed.iter().map(|entry| entry.bytes.len()).sum();
    let control = control(version, program.linkage(), bytes.div_ceil(1024));
    let configuration: String = files.configuration().map(|path| format!("{path}\n")).collect();
    let mut about = vec![
        Entry { path: "control".to_owned(), mode: 0o644, bytes: control.into_bytes() },
        Entry { path: "conffiles".to_owned(), mode: 0o644, bytes: configuration.into_bytes() },
    ];
    for script in SCRIPTS {
        let path = root.join("packaging/debian").join(script);
        let bytes = fs::read(&path).with_context(|| format!("{} is missing", path.display()))?;
        about.push(Entry { path: (*script).to_owned(), mode: 0o755, bytes });
    }
    let about = archive::compressed(&about, moment)?;
    let data = archive::compressed(&installed, moment)?;
    // The order is the format's.
    let members: [(&str, &[u8]); 3] =
        [("debian-binary", b"2.0\n"), ("control.tar.gz", &about), ("data.tar.gz", &data)];
    archive::ar(&members, moment)
}

fn control(version: &str, linkage: Linkage, kibibytes: usize) -> String {
    let depends = match linkage {
        Linkage::Static => "systemd".to_owned(),
        Linkage::Gnu(minor) => format!("systemd, libc6 (>= 2.{minor}), libgcc-s1"),
    };
    format!(
        "Package: wardround\n\
         Version: {version}\n\
         Architecture: amd64\n\
         Maintainer: The Wardround maintainers <maintainers@wardround.example>\n\
         Installed-Size: {kibibytes}\n\
         Depends: {depends}\n\
         Section: science\n\
         Priority: optional\n\
         Homepage: https://github.com/wardround/wardround\n\
         Description: federated learning for hospitals\n \
         A training plan makes its rounds over the wards, and the data stays in bed.\n \
         .\n \
         One program is a hospital's node, the consortium's coordinator and the\n \
         researcher's command line. The package has a service for each of the first\n \
         two; neither starts before it has been told whom it belongs to.\n"
    )
}

const SCRIPTS: &[&str] = &["postinst", "prerm", "postrm"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_static_program_asks_for_no_c_library() {
        assert!(control("0.1.0", Linkage::Static, 7).contains("\nDepends: systemd\n"));
        let control = control("0.1.0", Linkage::Gnu(34), 7);
        assert!(control.contains("\nDepends: systemd, libc6 (>= 2.34), libgcc-s1\n"), "{control}");
        let unfolded = control.lines().filter(|line| !line.starts_with(' '));
        assert!(unfolded.clone().all(|line| line.contains(": ")), "{control}");
    }
}
