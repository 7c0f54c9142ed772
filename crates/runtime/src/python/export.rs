//! What comes out of a worker: memory that is sealed, and read only once the worker is dead.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use dataset::Interrupt;
use parameters::header::Limits;
use parameters::{Durability, Reader, Schema, Writer, header};
use protocol::{Code, Digester};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};

use crate::failure::with_causes;
use crate::{ExportSummary, Failure};

/// Memory that a worker writes into.
pub(super) struct Outlet(OwnedFd);

impl Outlet {
    /// Makes empty memory that can be sealed.
    pub(super) fn new() -> Result<Self, Failure> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let made = memfd_create("wardround-export", flags);
        let failed = |error| Failure::new(Code::NodeInternal, format!("no memory: {error}"));
        made.map(Self).map_err(failed)
    }

    /// The descriptor that goes to the worker.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Seals the memory: not a byte of it changes from now on. The worker must be dead.
    pub(super) fn seal(self) -> Result<Sealed, Failure> {
        let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
        fcntl_add_seals(&self.0, seals).map_err(|error| {
            Failure::new(Code::PlanExportFailed, format!("the export cannot be sealed: {error}"))
        })?;
        Ok(Sealed(self.0))
    }
}

/// Memory that nobody can change any more.
pub(super) struct Sealed(OwnedFd);

impl Sealed {
    /// Judges the tensors, and writes them into a file of our own making: nothing else of what the worker wrote, no
    /// head, no text and no gap, gets into it.
    pub(super) fn write(
        &self,
        expected: &Schema,
        description: Option<&str>,
        path: &Path,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<ExportSummary, Failure> {
        let reader = self.reader()?;
        let differences = expected.differences(reader.schema());
        if !differences.is_empty() {
            let text: Vec<String> =
                differences.iter().take(MOST_SHOWN).map(ToString::to_string).collect();
            return Err(Failure::new(Code::PlanExportFailed, text.join("; ")));
        }
        reader.check_finite().map_err(|error| match error {
            error @ parameters::Error::NotFinite { .. } => {
                Failure::new(Code::TrainingDiverged, with_causes(&error))
            }
            error => refused(error),
        })?;
        let mut digester = Digester::new();
        digester.update(&header::encode(expected, description).map_err(|e| refused(e.into()))?);
        let mut writer = Writer::create(path, expected, description).map_err(refused)?;
        let names: Vec<String> = writer.order().iter().map(|tensor| tensor.name.clone()).collect();
        let mut buffer = vec![0; PIECE];
        for name in names {
            let index = reader.schema().position(&name).expect("the schemas are equal");
            let bytes = reader.schema().bytes(index);
            let mut offset = 0;
            while offset < bytes {
                interrupt.look()?;
                let length = usize::try_from(bytes - offset).unwrap_or(PIECE).min(PIECE);
                reader.read_at(index, offset, &mut buffer[..length]).map_err(refused)?;
                digester.update(&buffer[..length]);
                writer.append(&buffer[..length]).map_err(refused)?;
                offset += length as u64;
            }
        }
        // A file that a loss of power takes is made again: whoever wrote its digest down will miss it.
        let size = writer.finish(Durability::Renamed).map_err(refused)?;
        Ok(ExportSummary { digest: digester.finish(), size })
    }

    /// Keeps tensors that never leave the node: whatever well-formed tensors the plan chose.
    pub(super) fn keep(&self, path: &Path, interrupt: &mut Interrupt<'_>) -> Result<(), Failure> {
        let schema = self.reader()?.schema().clone();
        self.write(&schema, None, path, interrupt).map(drop)
    }

    fn reader(&self) -> Result<Reader, Failure> {
        let path = PathBuf::from(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        Reader::open_within(&path, &Limits::default()).map_err(refused)
    }
}

/// Opens a file for a worker, which gets a descriptor and no path.
pub(super) fn open(path: &Path, code: Code) -> Result<File, Failure> {
    File::open(path)
        .map_err(|error| Failure::new(code, format!("{} cannot be read: {error}", path.display())))
}

fn refused(error: parameters::Error) -> Failure {
    Failure::new(Code::PlanExportFailed, with_causes(&error))
}

/// Bytes that are copied at a time.
const PIECE: usize = 1 << 20;

/// Differences that a log's line lists.
const MOST_SHOWN: usize = 16;
