//! Writing a parameters file from several threads at once.

use std::{
    os::unix::fs::FileExt,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    Durability, Error, follower::Follower, header, pending_file::PendingFile, schema::Schema,
};

/// Writes the same bytes as [`crate::Writer`], in pieces that may come in any order.
///
/// The pieces must cover every tensor exactly once. [`PositionedWriter::finish`] can only count
/// their bytes: a piece written twice in place of another is a mistake of the caller that no reader
/// can see.
#[derive(Debug)]
pub struct PositionedWriter<'a> {
    file: PendingFile,
    schema: Schema,
    offsets: Vec<u64>,
    head_bytes: u64,
    written: AtomicU64,
    follower: Option<Follower<'a>>,
}

impl<'a> PositionedWriter<'a> {
    /// Begins a file of these tensors.
    ///
    /// # Errors
    ///
    /// If the head would be too long for a reader, or the file cannot be written.
    pub fn create(path: &Path, schema: &Schema, description: Option<&str>) -> Result<Self, Error> {
        let head = header::encode(schema, description)?;
        let file = PendingFile::create(path)?;
        file.written(file.file().write_all_at(&head, 0))?;
        Ok(Self {
            file,
            schema: schema.clone(),
            offsets: header::data_offsets(schema),
            head_bytes: head.len() as u64,
            written: AtomicU64::new(0),
            follower: None,
        })
    }

    /// Begins a file whose bytes, head and all, are shown to `show` in their order while the
    /// threads write: so that a digest need not wait for the last of them.
    ///
    /// # Errors
    ///
    /// As [`PositionedWriter::create`].
    pub fn create_shown(
        path: &Path,
        schema: &Schema,
        description: Option<&str>,
        show: &'a mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Self, Error> {
        let mut writer = Self::create(path, schema, description)?;
        let follower = Follower::new(show);
        let head = header::encode(schema, description)?;
        writer.file.written(follower.wrote(writer.file.file(), 0, &head))?;
        writer.follower = Some(follower);
        Ok(writer)
    }

    /// Writes bytes of the tensor at this place of the schema, from this byte of it on.
    ///
    /// # Errors
    ///
    /// If the bytes leave the tensor, or the file cannot be written.
    ///
    /// # Panics
    ///
    /// If the place is outside [`Schema::tensors`].
    pub fn write_at(&self, index: usize, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let length = self.schema.bytes(index);
        let end = offset.saturating_add(bytes.len() as u64);
        if end > length {
            let name = self.schema.tensors()[index].name.clone();
            return Err(Error::OutOfRange { name, bytes: length, end });
        }
        let position = self.head_bytes + self.offsets[index] + offset;
        self.file.written(self.file.file().write_all_at(bytes, position))?;
        if let Some(follower) = &self.follower {
            self.file.written(follower.wrote(self.file.file(), position, bytes))?;
        }
        self.written.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Gives the finished file its name and returns its length.
    ///
    /// # Errors
    ///
    /// If not as many bytes were written as the tensors have, or pieces overlap in a file that is
    /// shown, or the file cannot be renamed or synced.
    pub fn finish(self, durability: Durability) -> Result<u64, Error> {
        let (written, needed) = (self.written.into_inner(), self.schema.data_bytes());
        if written != needed {
            return Err(Error::WrongDataLength { written, needed });
        }
        if let Some(follower) = &self.follower {
            let shown = self.file.written(follower.finish(self.file.file()))?;
            let written = shown.saturating_sub(self.head_bytes);
            if written != needed {
                return Err(Error::WrongDataLength { written, needed });
            }
        }
        self.file.publish(durability)?;
        Ok(self.head_bytes + written)
    }
}
