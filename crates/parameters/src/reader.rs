//! Reading a parameters file in pieces, with bounded memory.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use crate::{
    Dtype, Error, Parameters, Tensor,
    header::{self, Header, Limits, PREFIX_BYTES},
    inspect,
    schema::{Schema, TensorSchema},
};

/// Reads a parameters file whose head was checked when it was opened.
///
/// Reads are positional: several threads can share one reader, nothing is cached, and a file that
/// shrinks under the reader gives an error, where a memory map would kill the process.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    header: Header,
}

impl Reader {
    /// Opens a file under the default [`Limits`].
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or its head is malformed or breaks a limit.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::open_within(path, &Limits::default())
    }

    /// Opens a file under these limits.
    ///
    /// # Errors
    ///
    /// As [`Reader::open`].
    pub fn open_within(path: &Path, limits: &Limits) -> Result<Self, Error> {
        let file = File::open(path).map_err(|source| Error::io("open", path, source))?;
        let read = |source| Error::io("read", path, source);
        let file_bytes = file.metadata().map_err(read)?.len();
        if file_bytes < PREFIX_BYTES {
            let truncated = header::Error::Truncated { needed: PREFIX_BYTES, bytes: file_bytes };
            return Err(truncated.into());
        }
        let mut prefix = [0; 8];
        file.read_exact_at(&mut prefix, 0).map_err(read)?;
        let mut json = vec![0; Header::json_bytes(prefix, file_bytes, limits)?];
        file.read_exact_at(&mut json, PREFIX_BYTES).map_err(read)?;
        let header = Header::parse(&json, file_bytes, limits)?;
        Ok(Self { file, path: path.to_owned(), header })
    }

    /// Returns what the file holds.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        self.header.schema()
    }

    /// Returns the checked head of the file.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the file's description, if it carries one.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.header.description()
    }

    /// Returns the path that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Fills the buffer from the tensor at this place of the schema, from this byte of it on.
    ///
    /// # Errors
    ///
    /// If the range leaves the tensor or the file cannot be read.
    ///
    /// # Panics
    ///
    /// If the place is outside [`Schema::tensors`].
    pub fn read_at(&self, index: usize, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let bytes = self.schema().bytes(index);
        let end = offset.saturating_add(buffer.len() as u64);
        if end > bytes {
            let name = self.schema().tensors()[index].name.clone();
            return Err(Error::OutOfRange { name, bytes, end });
        }
        self.file
            .read_exact_at(buffer, self.header.position(index) + offset)
            .map_err(|source| Error::io("read", &self.path, source))
    }

    /// Visits all data in the order of the schema, in chunks of whole elements.
    ///
    /// The visitor gets the tensor, the index of the chunk's first element and its bytes. Every
    /// chunk but a tensor's last begins at a multiple of 65,536 elements, whatever the type.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or what the visitor returns.
    pub fn visit_chunks<E: From<Error>>(
        &self,
        mut visitor: impl FnMut(&TensorSchema, usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut buffer = vec![0; CHUNK_ELEMENTS * Dtype::F64.size()];
        for (index, tensor) in self.schema().tensors().iter().enumerate() {
            let elements = self.schema().elements(index);
            let size = tensor.dtype.size();
            for start in (0..elements).step_by(CHUNK_ELEMENTS) {
                let chunk = &mut buffer[..CHUNK_ELEMENTS.min(elements - start) * size];
                self.read_at(index, (start * size) as u64, chunk)?;
                visitor(tensor, start, chunk)?;
            }
        }
        Ok(())
    }

    /// Checks that every value is finite, and every boolean is 0 or 1.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] names the first value that is not; else if the file cannot be read.
    pub fn check_finite(&self) -> Result<(), Error> {
        self.visit_chunks(inspect::check_chunk)
    }

    /// Computes the Euclidean norm over all elements of the float tensors.
    ///
    /// Integer tensors are counters, not influence, and are left out. The order of the additions is
    /// fixed, so the same file always gives the same bits.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn l2_norm(&self) -> Result<f64, Error> {
        let mut norm = inspect::Norm::default();
        self.visit_chunks(|tensor, _, bytes| {
            norm.add(tensor.dtype, bytes);
            Ok::<(), Error>(())
        })?;
        Ok(norm.value())
    }

    /// Computes the Euclidean distance to other parameters with the same tensors: the norm of their difference, over
    /// the same elements and in the same order as [`Reader::l2_norm`]. Both files are read once, in bounded memory.
    ///
    /// # Errors
    ///
    /// [`Error::OtherTensors`] where the tensors' names, types or shapes differ; else if a file cannot be read.
    pub fn l2_distance(&self, other: &Self) -> Result<f64, Error> {
        if self.schema() != other.schema() {
            return Err(Error::OtherTensors);
        }
        let mut norm = inspect::Norm::default();
        let mut others = vec![0; CHUNK_ELEMENTS * Dtype::F64.size()];
        self.visit_chunks(|tensor, start, bytes| {
            let unknown = || Error::UnknownTensor { name: tensor.name.clone() };
            let index = other.schema().position(&tensor.name).ok_or_else(unknown)?;
            let others = &mut others[..bytes.len()];
            other.read_at(index, (start * tensor.dtype.size()) as u64, others)?;
            norm.add_difference(tensor.dtype, bytes, others);
            Ok::<(), Error>(())
        })?;
        Ok(norm.value())
    }

    /// Reads one tensor into memory.
    ///
    /// # Errors
    ///
    /// If there is no such tensor or the file cannot be read.
    pub fn tensor(&self, name: &str) -> Result<Tensor, Error> {
        let unknown = || Error::UnknownTensor { name: name.to_owned() };
        let index = self.schema().position(name).ok_or_else(unknown)?;
        let tensor = &self.schema().tensors()[index];
        let mut bytes = vec![0; self.schema().elements(index) * tensor.dtype.size()];
        self.read_at(index, 0, &mut bytes)?;
        Tensor::new(tensor.dtype, &tensor.shape, bytes)
    }

    /// Reads the whole file into memory.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn parameters(&self) -> Result<Parameters, Error> {
        let mut parameters = Parameters::new();
        for tensor in self.schema().tensors() {
            parameters.insert(&tensor.name, self.tensor(&tensor.name)?)?;
        }
        Ok(parameters)
    }
}

/// The elements of one chunk: half a megabyte at the widest.
const CHUNK_ELEMENTS: usize = 65_536;
