//! Writing a parameters file from its first byte to its last.

use std::{io::Write, path::Path};

use crate::{
    Durability, Error, header,
    pending_file::PendingFile,
    schema::{Schema, TensorSchema},
};

/// Writes a file whose bytes depend on nothing but its schema, description and values.
///
/// The head is written at once, then the data in the order of [`Writer::order`], in pieces of any
/// length. The file appears under its name when [`Writer::finish`] succeeds; a writer that is
/// dropped before leaves nothing behind. Pieces are handed to the system as they come: give large
/// ones.
#[derive(Debug)]
pub struct Writer {
    file: PendingFile,
    schema: Schema,
    written: u64,
    head_bytes: u64,
}

impl Writer {
    /// Begins a file of these tensors.
    ///
    /// # Errors
    ///
    /// If the head would be too long for a reader, or the file cannot be written.
    pub fn create(path: &Path, schema: &Schema, description: Option<&str>) -> Result<Self, Error> {
        let head = header::encode(schema, description)?;
        let file = PendingFile::create(path)?;
        file.written(file.file().write_all(&head))?;
        Ok(Self { file, schema: schema.clone(), written: 0, head_bytes: head.len() as u64 })
    }

    /// Lists the tensors in the order in which their data is expected.
    #[must_use]
    pub fn order(&self) -> Vec<&TensorSchema> {
        let tensors = self.schema.tensors();
        header::data_order(&self.schema).into_iter().map(|index| &tensors[index]).collect()
    }

    /// Appends the next bytes of the data.
    ///
    /// # Errors
    ///
    /// If there are more bytes than the schema announces, or the file cannot be written.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let needed = self.schema.data_bytes();
        let written = self.written + bytes.len() as u64;
        if written > needed {
            return Err(Error::WrongDataLength { written, needed });
        }
        self.file.written(self.file.file().write_all(bytes))?;
        self.written = written;
        Ok(())
    }

    /// Gives the finished file its name and returns its length.
    ///
    /// # Errors
    ///
    /// If data is missing, or the file cannot be renamed or synced.
    pub fn finish(self, durability: Durability) -> Result<u64, Error> {
        let (written, needed) = (self.written, self.schema.data_bytes());
        if written != needed {
            return Err(Error::WrongDataLength { written, needed });
        }
        self.file.publish(durability)?;
        Ok(self.head_bytes + written)
    }
}
