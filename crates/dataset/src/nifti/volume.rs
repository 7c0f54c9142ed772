//! The voxels of a volume, plain or compressed.

use std::io::{self, BufReader, Read};

use flate2::bufread::MultiGzDecoder;

use super::Error;
use super::header::{DataType, Header, Order};

/// A volume in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Volume {
    /// What the file says of it.
    pub header: Header,
    /// The voxels in the file's order, the first axis running fastest, scaled where the file scales.
    pub voxels: Vec<f32>,
}

/// Reads a file to its end and forgets the voxels.
///
/// # Errors
///
/// The bytes are no whole volume, or more than one.
pub fn inspect(file: impl Read) -> Result<Header, Error> {
    let mut input = Input::open(file)?;
    let header = input.header()?;
    input.pass(header.data_bytes(), "last voxel")?;
    input.end()?;
    Ok(header)
}

/// Reads a volume into memory, four bytes a voxel.
///
/// Numbers that single precision cannot hold are rounded to it.
///
/// # Errors
///
/// As [`inspect`].
pub fn read(file: impl Read) -> Result<Volume, Error> {
    let mut input = Input::open(file)?;
    let header = input.header()?;
    let mut voxels = Vec::new();
    let bytes = usize::try_from(header.data_type.bytes()).expect("a voxel has at most 8 bytes");
    let mut left = header.data_bytes();
    let mut buffer = vec![0; BUFFER];
    while left > 0 {
        // The buffer is a multiple of every voxel's bytes, so no voxel is cut.
        let wanted = usize::try_from(left.min(BUFFER as u64)).expect("a buffer's size is a usize");
        input.fill(&mut buffer[..wanted], "last voxel")?;
        left -= wanted as u64;
        voxels.extend(buffer[..wanted].chunks_exact(bytes).map(|raw| voxel(&header, raw)));
    }
    input.end()?;
    Ok(Volume { header, voxels })
}

/// A file, unpacked where it is packed.
struct Input<R> {
    source: Source<R>,
}

enum Source<R> {
    Plain(Start<R>),
    Gzip(Box<MultiGzDecoder<BufReader<Start<R>>>>),
}

/// A reader with its first bytes before it again.
type Start<R> = io::Chain<io::Cursor<Vec<u8>>, R>;

impl<R: Read> Input<R> {
    fn open(mut file: R) -> Result<Self, Error> {
        let mut start = Vec::with_capacity(2);
        file.by_ref().take(2).read_to_end(&mut start).map_err(|error| reading(&error))?;
        let is_gzip = start == GZIP;
        let whole = io::Cursor::new(start).chain(file);
        Ok(Self {
            source: if is_gzip {
                let packed = BufReader::with_capacity(BUFFER, whole);
                Source::Gzip(Box::new(MultiGzDecoder::new(packed)))
            } else {
                Source::Plain(whole)
            },
        })
    }

    /// Reads the header, and on to the first voxel.
    fn header(&mut self) -> Result<Header, Error> {
        let mut start = Vec::with_capacity(Header::LONGEST);
        self.by_ref_take(FIRST_HEADER, &mut start)?;
        if start.len() >= 4 && matches!(start[..4], [0x1c, 2, 0, 0] | [0, 0, 2, 0x1c]) {
            self.by_ref_take((Header::LONGEST - start.len()) as u64, &mut start)?;
        }
        let header = Header::parse(&start)?;
        self.pass(header.offset - start.len() as u64, "header's extensions")?;
        Ok(header)
    }

    fn by_ref_take(&mut self, bytes: u64, buffer: &mut Vec<u8>) -> Result<(), Error> {
        self.take(bytes).read_to_end(buffer).map_err(|error| reading(&error))?;
        Ok(())
    }

    /// Reads over so many bytes.
    fn pass(&mut self, bytes: u64, part: &'static str) -> Result<(), Error> {
        let passed = io::copy(&mut self.take(bytes), &mut io::sink());
        match passed.map_err(|error| reading(&error))? {
            passed if passed == bytes => Ok(()),
            _ => Err(Error::Truncated { part }),
        }
    }

    fn fill(&mut self, buffer: &mut [u8], part: &'static str) -> Result<(), Error> {
        self.read_exact(buffer).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Error::Truncated { part },
            _ => reading(&error),
        })
    }

    /// Sees that nothing follows. Of a stream that goes on, one byte is unpacked and no more.
    fn end(&mut self) -> Result<(), Error> {
        let mut more = [0];
        loop {
            return match self.read(&mut more) {
                Ok(0) => Ok(()),
                Ok(_) => Err(Error::TooLong),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(reading(&error)),
            };
        }
    }
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::Plain(plain) => plain.read(buffer),
            Source::Gzip(gzip) => gzip.read(buffer),
        }
    }
}

impl<R: Read> Input<R> {
    fn take(&mut self, bytes: u64) -> io::Take<&mut Self> {
        Read::take(self, bytes)
    }
}

/// What reading says. A gzip stream that ends early or is damaged says so with these kinds.
fn reading(error: &io::Error) -> Error {
    if let Some(crate::Error::Interrupted) = error.get_ref().and_then(|inner| inner.downcast_ref())
    {
        return Error::Interrupted;
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::Truncated { part: "compressed stream" },
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => Error::Gzip,
        kind => Error::Read(kind),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to single precision is meant")]
fn voxel(header: &Header, raw: &[u8]) -> f32 {
    let number = number(header.data_type, header.order, raw);
    match header.scaling {
        Some((slope, intercept)) => (number * slope + intercept) as f32,
        None => number as f32,
    }
}

#[expect(clippy::cast_precision_loss, reason = "voxels become single precision")]
fn number(data_type: DataType, order: Order, raw: &[u8]) -> f64 {
    match data_type {
        DataType::Uint8 => f64::from(raw[0]),
        DataType::Int8 => f64::from(i8::from_ne_bytes([raw[0]])),
        DataType::Int16 => f64::from(i16::from_le_bytes(little(order, raw))),
        DataType::Uint16 => f64::from(u16::from_le_bytes(little(order, raw))),
        DataType::Int32 => f64::from(i32::from_le_bytes(little(order, raw))),
        DataType::Uint32 => f64::from(u32::from_le_bytes(little(order, raw))),
        DataType::Int64 => i64::from_le_bytes(little(order, raw)) as f64,
        DataType::Uint64 => u64::from_le_bytes(little(order, raw)) as f64,
        DataType::Float32 => f64::from(f32::from_le_bytes(little(order, raw))),
        DataType::Float64 => f64::from_le_bytes(little(order, raw)),
    }
}

/// The bytes of a number, the least significant first.
fn little<const N: usize>(order: Order, raw: &[u8]) -> [u8; N] {
    let mut bytes: [u8; N] = raw.try_into().expect("a voxel has the bytes of its type");
    if order == Order::Big {
        bytes.reverse();
    }
    bytes
}

const GZIP: &[u8] = &[0x1f, 0x8b];
const FIRST_HEADER: u64 = 348;
/// How much is read at once; a multiple of every voxel's bytes.
const BUFFER: usize = 64 << 10;
