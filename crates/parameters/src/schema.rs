//! What a parameters file holds, without its values.

use serde::{Deserialize, Serialize};

use crate::Dtype;

/// Describes one tensor: its name, element type and shape.
///
/// A shape without dimensions is a single number; a dimension may be zero.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TensorSchema {
    /// The tensor's name, unique in its file.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// The length of each dimension, outermost first.
    pub shape: Vec<usize>,
}

impl TensorSchema {
    /// Describes a tensor.
    #[must_use]
    pub fn new(name: &str, dtype: Dtype, shape: &[usize]) -> Self {
        Self { name: name.to_owned(), dtype, shape: shape.to_vec() }
    }

    /// Returns the number of elements, or nothing if their bytes cannot be counted in 64 bits.
    #[must_use]
    pub fn checked_elements(&self) -> Option<usize> {
        checked_elements(self.dtype, &self.shape)
    }
}

/// Describes all tensors of a file, sorted bytewise by name.
///
/// It cannot hold two tensors of one name, a name that no file may carry, or sizes that overflow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<TensorSchema>", into = "Vec<TensorSchema>")]
pub struct Schema {
    tensors: Vec<TensorSchema>,
}

impl Schema {
    /// Sorts and checks the tensors of a file.
    ///
    /// # Errors
    ///
    /// If a name is not acceptable or used twice, or a size does not fit in 63 bits.
    pub fn new(mut tensors: Vec<TensorSchema>) -> Result<Self, Error> {
        tensors.sort_by(|left, right| left.name.cmp(&right.name));
        let mut total = 0_u64;
        for tensor in &tensors {
            check_name(&tensor.name)?;
            total = tensor
                .checked_elements()
                .and_then(|elements| total.checked_add((elements * tensor.dtype.size()) as u64))
                .filter(|total| i64::try_from(*total).is_ok())
                .ok_or_else(|| Error::TooLarge { name: tensor.name.clone() })?;
        }
        if let Some(pair) = tensors.windows(2).find(|pair| pair[0].name == pair[1].name) {
            return Err(Error::Duplicate { name: pair[0].name.clone() });
        }
        Ok(Self { tensors })
    }

    /// Returns the tensors, sorted by name.
    #[must_use]
    pub fn tensors(&self) -> &[TensorSchema] {
        &self.tensors
    }

    /// Returns the description of one tensor.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&TensorSchema> {
        self.position(name).map(|index| &self.tensors[index])
    }

    /// Returns the place of a tensor in [`Schema::tensors`].
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.tensors.binary_search_by(|tensor| tensor.name.as_str().cmp(name)).ok()
    }

    /// Returns the number of elements of the tensor at this place.
    ///
    /// # Panics
    ///
    /// If the place is outside [`Schema::tensors`].
    #[must_use]
    pub fn elements(&self, index: usize) -> usize {
        self.tensors[index].checked_elements().expect("sizes were checked by Schema::new")
    }

    /// Returns the number of bytes of the tensor at this place.
    ///
    /// # Panics
    ///
    /// If the place is outside [`Schema::tensors`].
    #[must_use]
    pub fn bytes(&self, index: usize) -> u64 {
        (self.elements(index) * self.tensors[index].dtype.size()) as u64
    }

    /// Returns the number of bytes of all tensors together, without the header.
    #[must_use]
    pub fn data_bytes(&self) -> u64 {
        (0..self.tensors.len()).map(|index| self.bytes(index)).sum()
    }

    /// Lists where another schema departs from this one, by name; empty when both are equal.
    #[must_use]
    pub fn differences(&self, actual: &Self) -> Vec<Difference> {
        let missing_or_changed = self.tensors.iter().filter_map(|expected| {
            let found = actual.get(&expected.name);
            (found != Some(expected)).then(|| Difference {
                name: expected.name.clone(),
                expected: Some(expected.clone()),
                actual: found.cloned(),
            })
        });
        let unexpected = actual.tensors.iter().filter(|tensor| self.get(&tensor.name).is_none());
        let mut differences: Vec<_> = missing_or_changed
            .chain(unexpected.map(|tensor| Difference {
                name: tensor.name.clone(),
                expected: None,
                actual: Some(tensor.clone()),
            }))
            .collect();
        differences.sort_by(|left, right| left.name.cmp(&right.name));
        differences
    }
}

impl TryFrom<Vec<TensorSchema>> for Schema {
    type Error = Error;

    fn try_from(tensors: Vec<TensorSchema>) -> Result<Self, Error> {
        Self::new(tensors)
    }
}

impl From<Schema> for Vec<TensorSchema> {
    fn from(schema: Schema) -> Self {
        schema.tensors
    }
}

/// Tells how one tensor departs from what was expected.
///
/// At least one side is there: no `expected` means one tensor too many, no `actual` a missing one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// The tensor's name.
    pub name: String,
    /// What should be there.
    pub expected: Option<TensorSchema>,
    /// What is there.
    pub actual: Option<TensorSchema>,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = &self.name;
        match (&self.expected, &self.actual) {
            (Some(expected), Some(actual)) => write!(
                formatter,
                "tensor {name:?} is {} {:?}, expected {} {:?}",
                actual.dtype, actual.shape, expected.dtype, expected.shape
            ),
            (Some(_), None) => write!(formatter, "tensor {name:?} is missing"),
            (None, _) => write!(formatter, "tensor {name:?} is not expected"),
        }
    }
}

/// Says why a list of tensors is not a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Two tensors have the same name.
    #[error("tensor name {name:?} is used twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A name is empty or reserved, or holds a control character.
    #[error("tensor name {name:?} is empty, reserved, or holds a control character")]
    Name {
        /// The name.
        name: String,
    },
    /// A name is longer than [`MAXIMUM_NAME_BYTES`].
    #[error("a tensor name has {bytes} bytes, at most {MAXIMUM_NAME_BYTES} are allowed")]
    LongName {
        /// The length of the name.
        bytes: usize,
    },
    /// The bytes of a tensor, or of all up to it, do not fit in 63 bits.
    #[error("the size of tensor {name:?} overflows")]
    TooLarge {
        /// The tensor's name.
        name: String,
    },
}

/// The longest tensor name that a file may carry, in bytes.
pub const MAXIMUM_NAME_BYTES: usize = 256;

/// The header's key for metadata, which no tensor may be called.
pub(crate) const METADATA_KEY: &str = "__metadata__";

pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    if name.len() > MAXIMUM_NAME_BYTES {
        return Err(Error::LongName { bytes: name.len() });
    }
    if name.is_empty() || name == METADATA_KEY || name.chars().any(char::is_control) {
        return Err(Error::Name { name: name.to_owned() });
    }
    Ok(())
}

pub(crate) fn checked_elements(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    // With a zero among the dimensions there is nothing, however large the others are.
    if shape.contains(&0) {
        return Some(0);
    }
    let elements = shape.iter().try_fold(1_usize, |count, length| count.checked_mul(*length))?;
    elements.checked_mul(dtype.size()).and_then(|bytes| isize::try_from(bytes).ok())?;
    Some(elements)
}
