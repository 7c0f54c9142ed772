//! The behaviour of the crate through its public surface.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod broken_files;
mod detection;
mod examples;
mod exclusions;
mod golden;
mod granted_folders;
mod granted_tables;
mod hostile_bytes;
mod image_folders;
mod images;
mod loading_plans;
mod medical_folders;
mod nifti_files;
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

/// A file that another program wrote.
fn fixture(name: &str) -> Vec<u8> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    std::fs::read(folder.join(name)).unwrap()
}

/// A folder with files in folders.
struct Laid(TempDir);

impl Laid {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &std::path::Path {
        self.0.path()
    }

    /// Puts a file somewhere, with the folders above it.
    fn put(&self, path: &str, bytes: impl AsRef<[u8]>) -> &Self {
        let path = self.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
        self
    }

    fn remove(&self, path: &str) {
        std::fs::remove_file(self.path().join(path)).unwrap();
    }

    /// Registers the folder as what it looks like.
    fn described(&self) -> Result<dataset::Registered, Error> {
        self.described_as(&dataset::Description::default(), None)
    }

    fn described_as(
        &self,
        description: &dataset::Description,
        plan: Option<&dataset::LoadingPlan>,
    ) -> Result<dataset::Registered, Error> {
        dataset::describe(self.path(), description, plan, &mut dataset::Watch::nobody())
    }

    /// The words of a refusal, with its causes.
    fn refused(&self) -> String {
        chain(&self.described().unwrap_err())
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}
