//! The head of a safetensors file: eight bytes of length, then JSON.
//!
//! A file is accepted when its JSON is within the [`Limits`], names each tensor once, and the
//! tensors' places fill the rest of the file exactly: no gap, no overlap, no byte more or less,
//! each tensor at a multiple of its element size. Our own files keep one more promise, see
//! [`Header::is_canonical`].

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::{
    Dtype,
    schema::{self, METADATA_KEY, Schema, TensorSchema},
};

mod json;

/// Bounds what a file may make its reader allocate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest JSON header, in bytes.
    pub header_bytes: u64,
    /// The largest number of tensors.
    pub tensors: usize,
    /// The largest number of dimensions of one tensor.
    pub dimensions: usize,
    /// The largest number of data bytes.
    pub data_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { header_bytes: 8 << 20, tensors: 65_536, dimensions: 8, data_bytes: 1 << 40 }
    }
}

/// Holds a checked head: what the file holds and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    schema: Schema,
    offsets: Vec<u64>,
    data_start: u64,
    metadata: BTreeMap<String, String>,
    canonical: bool,
}

impl Header {
    /// Reads the length of the JSON from the first eight bytes of a file of this size.
    ///
    /// # Errors
    ///
    /// If the length is beyond the limit or the file.
    pub fn json_bytes(prefix: [u8; 8], file_bytes: u64, limits: &Limits) -> Result<usize, Error> {
        let length = u64::from_le_bytes(prefix);
        if length > limits.header_bytes {
            return Err(Error::HeaderTooLong { bytes: length, limit: limits.header_bytes });
        }
        if file_bytes.saturating_sub(PREFIX_BYTES) < length {
            return Err(Error::Truncated { needed: length + PREFIX_BYTES, bytes: file_bytes });
        }
        usize::try_from(length)
            .map_err(|_| Error::HeaderTooLong { bytes: length, limit: limits.header_bytes })
    }

    /// Parses the JSON of a file of this size.
    ///
    /// # Errors
    ///
    /// If the JSON is not of the expected form, breaks a limit, or does not describe this file.
    pub fn parse(json: &[u8], file_bytes: u64, limits: &Limits) -> Result<Self, Error> {
        if json.first() != Some(&b'{') {
            return Err(Error::NotAnObject);
        }
        let document = json::parse(json, limits.tensors)?;
        let data_start = PREFIX_BYTES + json.len() as u64;
        let data_bytes = file_bytes
            .checked_sub(data_start)
            .ok_or(Error::Truncated { needed: data_start, bytes: file_bytes })?;
        if data_bytes > limits.data_bytes {
            return Err(Error::DataTooLong { bytes: data_bytes, limit: limits.data_bytes });
        }
        let mut places = BTreeMap::new();
        let mut tensors = Vec::with_capacity(document.tensors.len());
        for (name, entry) in document.tensors {
            let tensor = entry.tensor(&name, limits)?;
            if places.insert(name.clone(), entry.data_offsets).is_some() {
                return Err(schema::Error::Duplicate { name }.into());
            }
            tensors.push(tensor);
        }
        let schema = Schema::new(tensors)?;
        check_places(&schema, &places, data_bytes)?;
        let offsets = places.values().map(|place| place[0]).collect();
        let mut header = Self {
            schema,
            offsets,
            data_start,
            metadata: document.metadata.unwrap_or_default(),
            canonical: false,
        };
        header.canonical = header.would_be_written_as(json);
        Ok(header)
    }

    /// Returns what the file holds.
    #[must_use]
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Returns where a tensor begins, in bytes from the begin of the file.
    ///
    /// # Panics
    ///
    /// If the place is outside [`Schema::tensors`].
    #[must_use]
    pub fn position(&self, index: usize) -> u64 {
        self.data_start + self.offsets[index]
    }

    /// Returns the file's metadata.
    #[must_use]
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Returns the one piece of metadata that our own files may carry.
    #[must_use]
    pub fn description(&self) -> Option<&str> {
        self.metadata.get(DESCRIPTION_KEY).map(String::as_str)
    }

    /// Says whether these are the very bytes that our writer gives a file of this content.
    ///
    /// Then nothing can hide in the order of keys, in white space, in the order of the data or in
    /// metadata other than the description.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        self.canonical
    }

    fn would_be_written_as(&self, json: &[u8]) -> bool {
        let only_description = self.metadata.keys().all(|key| key == DESCRIPTION_KEY);
        only_description
            && encode(&self.schema, self.description()).is_ok_and(|head| head[8..] == *json)
    }
}

/// Gives the head of a file that holds these tensors, with at most one piece of metadata.
///
/// The keys are sorted bytewise after the metadata, and spaces fill the head to a multiple of eight
/// bytes. The data lies in [`data_order`].
///
/// # Errors
///
/// If the head is longer than [`Limits::default`] lets a reader accept, or holds more tensors or
/// dimensions.
pub fn encode(schema: &Schema, description: Option<&str>) -> Result<Vec<u8>, Error> {
    let limits = Limits::default();
    if schema.tensors().len() > limits.tensors {
        return Err(Error::TooManyTensors { limit: limits.tensors });
    }
    let offsets = data_offsets(schema);
    let mut head = vec![0; 8];
    head.push(b'{');
    if let Some(description) = description {
        push_key(&mut head, METADATA_KEY);
        head.push(b'{');
        push_key(&mut head, DESCRIPTION_KEY);
        push_json(&mut head, description);
        head.push(b'}');
    }
    for (index, tensor) in schema.tensors().iter().enumerate() {
        check_dimensions(&tensor.name, tensor.shape.len(), &limits)?;
        push_key(&mut head, &tensor.name);
        let end = offsets[index] + schema.bytes(index);
        head.extend_from_slice(b"{\"dtype\":");
        push_json(&mut head, tensor.dtype.as_str());
        head.extend_from_slice(b",\"shape\":");
        push_json(&mut head, &tensor.shape);
        head.extend_from_slice(b",\"data_offsets\":");
        push_json(&mut head, &[offsets[index], end]);
        head.push(b'}');
    }
    head.push(b'}');
    head.resize(head.len().next_multiple_of(8), b' ');
    let length = head.len() as u64 - PREFIX_BYTES;
    if length > limits.header_bytes {
        return Err(Error::HeaderTooLong { bytes: length, limit: limits.header_bytes });
    }
    head[..8].copy_from_slice(&length.to_le_bytes());
    Ok(head)
}

/// Returns the places of [`Schema::tensors`] in the order in which our files hold their data.
///
/// Wider elements come first, then names decide: so every tensor is aligned to its element size,
/// and a file of one element type is in the order of its names.
#[must_use]
pub fn data_order(schema: &Schema) -> Vec<usize> {
    let mut order: Vec<usize> = (0..schema.tensors().len()).collect();
    order.sort_by_key(|index| std::cmp::Reverse(schema.tensors()[*index].dtype.size()));
    order
}

/// Returns, for each place of [`Schema::tensors`], where our files hold it after the head.
pub(crate) fn data_offsets(schema: &Schema) -> Vec<u64> {
    let mut offsets = vec![0; schema.tensors().len()];
    let mut end = 0;
    for index in data_order(schema) {
        offsets[index] = end;
        end += schema.bytes(index);
    }
    offsets
}

/// Says what is wrong with a file's head.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file ends before its head or its data does.
    #[error("the file has {bytes} bytes, its head needs {needed}")]
    Truncated {
        /// How many bytes there should be.
        needed: u64,
        /// How many there are.
        bytes: u64,
    },
    /// The JSON is longer than the limit.
    #[error("the header has {bytes} bytes, at most {limit} are allowed")]
    HeaderTooLong {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The header does not begin with a brace.
    #[error("the header is not a JSON object")]
    NotAnObject,
    /// The JSON is malformed, or has other members than the format knows.
    #[error("the header is not the JSON of a safetensors file: {0}")]
    Json(String),
    /// There are more tensors than the limit.
    #[error("the file has more than {limit} tensors")]
    TooManyTensors {
        /// The limit.
        limit: usize,
    },
    /// A tensor has more dimensions than the limit.
    #[error("tensor {name:?} has {dimensions} dimensions, at most {limit} are allowed")]
    TooManyDimensions {
        /// The tensor's name.
        name: String,
        /// How many it has.
        dimensions: usize,
        /// The limit.
        limit: usize,
    },
    /// The data is longer than the limit.
    #[error("the file has {bytes} data bytes, at most {limit} are allowed")]
    DataTooLong {
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// An element type is not one of ours.
    #[error("the element type of tensor {name:?} is {source}")]
    Dtype {
        /// The tensor's name.
        name: String,
        /// What is allowed.
        source: crate::dtype::UnknownDtype,
    },
    /// A tensor's place has another length than its shape.
    #[error("tensor {name:?} lies at bytes {begin} to {end}, its shape needs {needed} bytes")]
    WrongLength {
        /// The tensor's name.
        name: String,
        /// Where it begins.
        begin: u64,
        /// Where it ends.
        end: u64,
        /// How long it should be.
        needed: u64,
    },
    /// A tensor does not begin where the one before it ends.
    #[error("tensor {name:?} begins at byte {begin}, the tensor before it ends at {expected}")]
    NotContiguous {
        /// The tensor's name.
        name: String,
        /// Where it begins.
        begin: u64,
        /// Where it should begin.
        expected: u64,
    },
    /// A tensor does not begin at a multiple of its element size.
    #[error("tensor {name:?} begins at byte {begin}, not at a multiple of {size}")]
    Misaligned {
        /// The tensor's name.
        name: String,
        /// Where it begins.
        begin: u64,
        /// The size of its elements.
        size: usize,
    },
    /// The tensors do not fill the file exactly.
    #[error("the tensors fill {filled} data bytes, the file has {bytes}")]
    WrongDataLength {
        /// How many bytes the tensors fill.
        filled: u64,
        /// How many the file has.
        bytes: u64,
    },
    /// The tensors are not a schema.
    #[error(transparent)]
    Schema(#[from] schema::Error),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl Entry {
    fn tensor(&self, name: &str, limits: &Limits) -> Result<TensorSchema, Error> {
        schema::check_name(name)?;
        check_dimensions(name, self.shape.len(), limits)?;
        let dtype: Dtype =
            self.dtype.parse().map_err(|source| Error::Dtype { name: name.to_owned(), source })?;
        let shape =
            self.shape.iter().map(|length| usize::try_from(*length)).collect::<Result<_, _>>();
        let shape = shape.map_err(|_| schema::Error::TooLarge { name: name.to_owned() })?;
        Ok(TensorSchema { name: name.to_owned(), dtype, shape })
    }
}

fn check_dimensions(name: &str, dimensions: usize, limits: &Limits) -> Result<(), Error> {
    let limit = limits.dimensions;
    if dimensions > limit {
        return Err(Error::TooManyDimensions { name: name.to_owned(), dimensions, limit });
    }
    Ok(())
}

/// Checks that the tensors lie one after the other from the first data byte to the last.
fn check_places(
    schema: &Schema,
    places: &BTreeMap<String, [u64; 2]>,
    data_bytes: u64,
) -> Result<(), Error> {
    let mut in_order: Vec<_> = places.iter().map(|(name, place)| (*place, name)).collect();
    in_order.sort();
    let mut expected = 0;
    for ([begin, end], name) in in_order {
        let name = || name.clone();
        let index = schema.position(&name()).expect("the schema was made from the same names");
        let needed = schema.bytes(index);
        if end.checked_sub(begin) != Some(needed) {
            return Err(Error::WrongLength { name: name(), begin, end, needed });
        }
        if begin != expected {
            return Err(Error::NotContiguous { name: name(), begin, expected });
        }
        let size = schema.tensors()[index].dtype.size();
        if !begin.is_multiple_of(size as u64) {
            return Err(Error::Misaligned { name: name(), begin, size });
        }
        expected = end;
    }
    if expected != data_bytes {
        return Err(Error::WrongDataLength { filled: expected, bytes: data_bytes });
    }
    Ok(())
}

fn push_key(head: &mut Vec<u8>, key: &str) {
    if head.last() != Some(&b'{') {
        head.push(b',');
    }
    push_json(head, key);
    head.push(b':');
}

fn push_json<T: serde::Serialize + ?Sized>(head: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(head, value).expect("text and numbers are JSON, and memory takes them");
}

/// The bytes before the JSON: its length.
pub(crate) const PREFIX_BYTES: u64 = 8;

const DESCRIPTION_KEY: &str = "description";
