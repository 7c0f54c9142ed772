//! The behaviour of the crate through its public surface.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod broken_files;
mod detection;
mod examples;
mod golden;
mod hostile_bytes;
mod parquet_files;
mod reading;
mod registering;
mod split;

use dataset::{Error, Options, Registration, register};
use tempfile::TempDir;

/// A file in a folder that goes when the value does.
struct Written {
    path: std::path::PathBuf,
    _folder: TempDir,
}

fn write(bytes: impl AsRef<[u8]>) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("table");
    std::fs::write(&path, bytes).unwrap();
    Written { path, _folder: folder }
}

fn registered(bytes: impl AsRef<[u8]>) -> Result<Registration, Error> {
    register(&write(bytes).path, &Options::default())
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    registered(bytes).unwrap_err().to_string()
}
