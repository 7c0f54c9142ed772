//! A whole model held in memory, for models that fit there without thought.

use std::{collections::BTreeMap, path::Path};

use crate::{
    Durability, Error, Tensor, Writer,
    header::{self, Header, Limits, PREFIX_BYTES},
    inspect, schema,
    schema::{Schema, TensorSchema},
};

/// Maps names to tensors, sorted bytewise by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parameters {
    tensors: BTreeMap<String, Tensor>,
}

impl Parameters {
    /// Makes an empty map.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a tensor under a new name.
    ///
    /// # Errors
    ///
    /// If the name is not acceptable or already there.
    pub fn insert(&mut self, name: &str, tensor: Tensor) -> Result<(), Error> {
        schema::check_name(name)?;
        if self.tensors.contains_key(name) {
            return Err(schema::Error::Duplicate { name: name.to_owned() }.into());
        }
        self.tensors.insert(name.to_owned(), tensor);
        Ok(())
    }

    /// Returns the tensor of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// Visits the tensors in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Returns the number of tensors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tensors.len()
    }

    /// Says whether there is no tensor.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tensors.is_empty()
    }

    /// Describes the tensors.
    ///
    /// # Errors
    ///
    /// If all together are too large for a file.
    pub fn schema(&self) -> Result<Schema, Error> {
        let describe = |(name, tensor): (&str, &Tensor)| {
            TensorSchema::new(name, tensor.dtype(), tensor.shape())
        };
        Ok(Schema::new(self.iter().map(describe).collect())?)
    }

    /// Parses the bytes of a file under the default [`Limits`].
    ///
    /// # Errors
    ///
    /// If the head is malformed or breaks a limit.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Self::from_bytes_within(bytes, &Limits::default()).map(|(parameters, _)| parameters)
    }

    /// Parses the bytes of a file under these limits and returns its head too.
    ///
    /// # Errors
    ///
    /// As [`Parameters::from_bytes`].
    pub fn from_bytes_within(bytes: &[u8], limits: &Limits) -> Result<(Self, Header), Error> {
        let file_bytes = bytes.len() as u64;
        let truncated = header::Error::Truncated { needed: PREFIX_BYTES, bytes: file_bytes };
        let (prefix, rest) = bytes.split_first_chunk().ok_or(truncated)?;
        let json_bytes = Header::json_bytes(*prefix, file_bytes, limits)?;
        let header = Header::parse(&rest[..json_bytes], file_bytes, limits)?;
        let mut parameters = Self::new();
        for (index, tensor) in header.schema().tensors().iter().enumerate() {
            let begin = usize::try_from(header.position(index)).expect("it lies in these bytes");
            let length = header.schema().elements(index) * tensor.dtype.size();
            let data = bytes[begin..begin + length].to_vec();
            parameters.insert(&tensor.name, Tensor::new(tensor.dtype, &tensor.shape, data)?)?;
        }
        Ok((parameters, header))
    }

    /// Gives the bytes of a file; the same content always gives the same bytes.
    ///
    /// # Errors
    ///
    /// If the head would be too long for a reader.
    pub fn to_bytes(&self, description: Option<&str>) -> Result<Vec<u8>, Error> {
        let schema = self.schema()?;
        let mut bytes = header::encode(&schema, description)?;
        for index in header::data_order(&schema) {
            bytes.extend_from_slice(self.tensors[&schema.tensors()[index].name].bytes());
        }
        Ok(bytes)
    }

    /// Writes a file, which appears whole or not at all, and returns its length.
    ///
    /// # Errors
    ///
    /// If the head would be too long for a reader, or the file cannot be written.
    pub fn write(
        &self,
        path: &Path,
        description: Option<&str>,
        durability: Durability,
    ) -> Result<u64, Error> {
        let schema = self.schema()?;
        let mut writer = Writer::create(path, &schema, description)?;
        for index in header::data_order(&schema) {
            writer.append(self.tensors[&schema.tensors()[index].name].bytes())?;
        }
        writer.finish(durability)
    }

    /// Checks that every value is finite, and every boolean is 0 or 1.
    ///
    /// # Errors
    ///
    /// [`Error::NotFinite`] names the first value that is not.
    pub fn check_finite(&self) -> Result<(), Error> {
        self.iter().try_for_each(|(name, tensor)| {
            let schema = TensorSchema::new(name, tensor.dtype(), tensor.shape());
            inspect::check_chunk(&schema, 0, tensor.bytes())
        })
    }

    /// Computes the same norm as [`crate::Reader::l2_norm`] does over the file, to the bit.
    #[must_use]
    pub fn l2_norm(&self) -> f64 {
        let mut norm = inspect::Norm::default();
        for (_, tensor) in self.iter() {
            norm.add(tensor.dtype(), tensor.bytes());
        }
        norm.value()
    }
}
