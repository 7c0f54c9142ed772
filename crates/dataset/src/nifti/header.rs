//! The header of a volume.

use super::Error;
use crate::limits::{VOLUME_BYTES, VOLUME_HEADER_BYTES};

/// What a volume's header says, as far as it matters for reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The version of the format.
    pub version: Version,
    /// The volume's size along each of its axes, 1 to 7 of them.
    pub shape: Vec<u64>,
    /// The distance of two voxels along each axis, in the units that the file states.
    pub spacing: Vec<f64>,
    /// What a voxel is in the file.
    pub data_type: DataType,
    /// What a voxel is multiplied with, and then added; nothing where the file does not scale.
    pub scaling: Option<(f64, f64)>,
    /// Where the first voxel is.
    pub offset: u64,
    pub(super) order: Order,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// NIfTI-1.
    One,
    /// NIfTI-2.
    Two,
}

/// What a voxel is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum DataType {
    Uint8,
    Int8,
    Int16,
    Uint16,
    Int32,
    Uint32,
    Int64,
    Uint64,
    Float32,
    Float64,
}

/// The order of the bytes of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

impl Header {
    /// Parses the first bytes of a file, of which [`Header::LONGEST`] are enough.
    ///
    /// # Errors
    ///
    /// The bytes are no header of a single-file volume, or break a rule.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let Some(size) = bytes.first_chunk::<4>() else { return Err(truncated()) };
        let (version, order) = match (i32::from_le_bytes(*size), i32::from_be_bytes(*size)) {
            (348, _) => (Version::One, Order::Little),
            (_, 348) => (Version::One, Order::Big),
            (540, _) => (Version::Two, Order::Little),
            (_, 540) => (Version::Two, Order::Big),
            _ => return Err(Error::Unknown),
        };
        if bytes.len() < version.header_bytes() {
            return Err(truncated());
        }
        let fields = Fields { bytes, order };
        let header = match version {
            Version::One => fields.first()?,
            Version::Two => fields.second()?,
        };
        header.check()
    }

    /// The bytes of the longest header.
    pub const LONGEST: usize = 540;

    /// The number of voxels.
    pub fn voxels(&self) -> u64 {
        self.shape.iter().product()
    }

    /// The bytes of all voxels in the file.
    pub fn data_bytes(&self) -> u64 {
        self.voxels() * self.data_type.bytes()
    }

    fn check(self) -> Result<Self, Error> {
        let voxels = self.shape.iter().try_fold(1_u64, |voxels, size| voxels.checked_mul(*size));
        let bytes = voxels.and_then(|voxels| voxels.checked_mul(self.data_type.bytes()));
        if bytes.is_none_or(|bytes| bytes > VOLUME_BYTES) {
            return Err(Error::TooLarge);
        }
        if self.offset > VOLUME_HEADER_BYTES {
            return Err(Error::TooFar);
        }
        // The four bytes after a header announce its extensions.
        let first = self.version.header_bytes() as u64 + 4;
        if self.offset < first {
            let value = self.offset.to_string();
            return Err(Error::Field {
                field: "vox_offset",
                value,
                rule: "which is in the header",
            });
        }
        Ok(self)
    }
}

impl Version {
    const fn header_bytes(self) -> usize {
        match self {
            Self::One => 348,
            Self::Two => Header::LONGEST,
        }
    }
}

impl DataType {
    /// The bytes of a voxel.
    pub const fn bytes(self) -> u64 {
        match self {
            Self::Uint8 | Self::Int8 => 1,
            Self::Int16 | Self::Uint16 => 2,
            Self::Int32 | Self::Uint32 | Self::Float32 => 4,
            Self::Int64 | Self::Uint64 | Self::Float64 => 8,
        }
    }

    /// The type's name as numpy writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Uint8 => "uint8",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Uint16 => "uint16",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
            Self::Int64 => "int64",
            Self::Uint64 => "uint64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
        }
    }

    fn of(code: i16) -> Result<Self, Error> {
        Ok(match code {
            2 => Self::Uint8,
            4 => Self::Int16,
            8 => Self::Int32,
            16 => Self::Float32,
            64 => Self::Float64,
            256 => Self::Int8,
            512 => Self::Uint16,
            768 => Self::Uint32,
            1024 => Self::Int64,
            1280 => Self::Uint64,
            code => return Err(Error::DataType(code)),
        })
    }
}

/// The fields of a header that is long enough for its version.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    order: Order,
}

impl Fields<'_> {
    fn first(self) -> Result<Header, Error> {
        match &self.bytes[344..348] {
            b"n+1\0" => {}
            b"ni1\0" => return Err(Error::Split),
            _ => return Err(Error::Unknown),
        }
        let axes = i64::from(self.i16(40));
        let sizes = |axis: usize| i64::from(self.i16(40 + 2 * axis));
        let spacings = |axis: usize| f64::from(self.f32(76 + 4 * axis));
        let offset = f64::from(self.f32(108));
        Ok(Header {
            version: Version::One,
            shape: shape(axes, sizes)?,
            spacing: spacing(axes, spacings)?,
            data_type: self.data_type(70, 72)?,
            scaling: scaling(f64::from(self.f32(112)), f64::from(self.f32(116)))?,
            offset: whole_offset(offset)?,
            order: self.order,
        })
    }

    fn second(self) -> Result<Header, Error> {
        match &self.bytes[4..12] {
            b"n+2\0\r\n\x1a\n" => {}
            b"ni2\0\r\n\x1a\n" => return Err(Error::Split),
            _ => return Err(Error::Unknown),
        }
        let axes = self.i64(16);
        let sizes = |axis: usize| self.i64(16 + 8 * axis);
        let spacings = |axis: usize| self.f64(104 + 8 * axis);
        let offset = self.i64(168);
        let negative = |_| Error::Field {
            field: "vox_offset",
            value: offset.to_string(),
            rule: "it must be a place in the file",
        };
        Ok(Header {
            version: Version::Two,
            shape: shape(axes, sizes)?,
            spacing: spacing(axes, spacings)?,
            data_type: self.data_type(12, 14)?,
            scaling: scaling(self.f64(176), self.f64(184))?,
            offset: u64::try_from(offset).map_err(negative)?,
            order: self.order,
        })
    }

    /// The voxels' type, and whether the bits that the header declares beside it agree.
    fn data_type(self, code: usize, bits: usize) -> Result<DataType, Error> {
        let data_type = DataType::of(self.i16(code))?;
        let bits = i64::from(self.i16(bits));
        if bits == i64::try_from(8 * data_type.bytes()).unwrap_or(0) {
            return Ok(data_type);
        }
        let rule = "it must be the number of bits of the voxels' type";
        Err(Error::Field { field: "bitpix", value: bits.to_string(), rule })
    }

    fn i16(self, at: usize) -> i16 {
        number(self.bytes, at, self.order, i16::from_le_bytes, i16::from_be_bytes)
    }

    fn i64(self, at: usize) -> i64 {
        number(self.bytes, at, self.order, i64::from_le_bytes, i64::from_be_bytes)
    }

    fn f32(self, at: usize) -> f32 {
        number(self.bytes, at, self.order, f32::from_le_bytes, f32::from_be_bytes)
    }

    fn f64(self, at: usize) -> f64 {
        number(self.bytes, at, self.order, f64::from_le_bytes, f64::from_be_bytes)
    }
}

fn number<const N: usize, T>(
    bytes: &[u8],
    at: usize,
    order: Order,
    little: fn([u8; N]) -> T,
    big: fn([u8; N]) -> T,
) -> T {
    let bytes = bytes[at..at + N].try_into().expect("a slice of N bytes is an array of N bytes");
    match order {
        Order::Little => little(bytes),
        Order::Big => big(bytes),
    }
}

fn shape(axes: i64, size: impl Fn(usize) -> i64) -> Result<Vec<u64>, Error> {
    let sizes = (1..=self::axes(axes)?).map(|axis| match size(axis) {
        positive @ 1.. => Ok(positive.unsigned_abs()),
        other => {
            let rule = "every axis must have a positive size";
            Err(Error::Field { field: "dim", value: other.to_string(), rule })
        }
    });
    sizes.collect()
}

fn spacing(axes: i64, spacing: impl Fn(usize) -> f64) -> Result<Vec<f64>, Error> {
    // Writers leave the spacing of axes without a unit at anything; one that is not finite means none.
    let finite = |axis: usize| Some(spacing(axis)).filter(|value| value.is_finite());
    Ok((1..=self::axes(axes)?).map(|axis| finite(axis).unwrap_or(0.0)).collect())
}

fn axes(axes: i64) -> Result<usize, Error> {
    match axes {
        1..=7 => Ok(usize::try_from(axes).expect("a number from 1 to 7 is a usize")),
        other => {
            let rule = "a volume has 1 to 7 axes";
            Err(Error::Field { field: "dim[0]", value: other.to_string(), rule })
        }
    }
}

/// A slope of 0 means that nothing is scaled.
fn scaling(slope: f64, intercept: f64) -> Result<Option<(f64, f64)>, Error> {
    // As other readers do: a slope or intercept that is no number scales nothing.
    if slope == 0.0 || !slope.is_finite() {
        return Ok(None);
    }
    if !intercept.is_finite() {
        let rule = "it must be finite beside a slope";
        return Err(Error::Field { field: "scl_inter", value: intercept.to_string(), rule });
    }
    Ok(((slope, intercept) != (1.0, 0.0)).then_some((slope, intercept)))
}

/// The place of the first voxel, which version 1 keeps in a float.
fn whole_offset(offset: f64) -> Result<u64, Error> {
    if offset.fract() == 0.0 && (0.0..1e15).contains(&offset) {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "in range")]
        return Ok(offset as u64);
    }
    let rule = "it must be a place in the file";
    Err(Error::Field { field: "vox_offset", value: offset.to_string(), rule })
}

const fn truncated() -> Error {
    Error::Truncated { part: "header" }
}
