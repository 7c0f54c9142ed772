//! Whether a PNG or JPEG file decodes, to the last pixel, and what it is.

use std::io::Cursor;

use png::{BitDepth, ColorType, DecodingError};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::limits::IMAGE_PIXELS;

/// What an image is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Image {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// The format of the file.
    pub format: Format,
    /// What a pixel says: `grey`, `grey-alpha`, `rgb`, `rgba`, `palette` or `cmyk`.
    pub colours: &'static str,
    /// Bits of one value of a pixel.
    pub depth: u8,
}

/// The format of an image's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Portable Network Graphics.
    Png,
    /// JPEG, baseline or progressive.
    Jpeg,
}

/// Why a file is no image that can be used. No variant holds a pixel.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another format, whatever the file's name says.
    #[error("the file is neither PNG nor JPEG")]
    Unknown,
    /// More pixels than [`IMAGE_PIXELS`], or none.
    #[error(
        "the image says that it has {width} x {height} pixels, from 1 to {IMAGE_PIXELS} can be read"
    )]
    Pixels {
        /// Pixels in a row, as the file says.
        width: u64,
        /// Rows, as the file says.
        height: u64,
    },
    /// A file that ends in the middle of the image.
    #[error("the file ends before the image does")]
    Truncated,
    /// A file that breaks its format.
    #[error("the file is not a well-formed {format}: {rule}")]
    Malformed {
        /// The format.
        format: &'static str,
        /// What the decoder says.
        rule: String,
    },
}

/// Decodes an image and forgets the pixels.
///
/// A PNG is decoded row by row; a JPEG as a whole, in at most four bytes a pixel and as much again for a progressive
/// one. What a header says is judged before memory is taken.
///
/// # Errors
///
/// The bytes are no whole PNG or JPEG image.
pub fn inspect(bytes: &[u8]) -> Result<Image, Error> {
    if bytes.starts_with(PNG) {
        inspect_png(bytes)
    } else if bytes.starts_with(JPEG) {
        inspect_jpeg(bytes)
    } else {
        Err(Error::Unknown)
    }
}

impl Image {
    /// What a pixel is, for people: `rgb`, or `grey, 16 bits`.
    pub fn pixel(&self) -> String {
        if self.depth == 8 || self.colours == "palette" {
            self.colours.to_owned()
        } else {
            format!("{}, {} bits", self.colours, self.depth)
        }
    }
}

fn inspect_png(bytes: &[u8]) -> Result<Image, Error> {
    let limits = png::Limits { bytes: PNG_MEMORY };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(bytes), limits);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let header = decoder.read_header_info().map_err(|error| png_error(&error))?;
    let (width, height) = header.size();
    bounded(u64::from(width), u64::from(height))?;
    let (colours, depth) = (png_colours(header.color_type), png_depth(header.bit_depth));
    let mut reader = decoder.read_info().map_err(|error| png_error(&error))?;
    while reader.next_row().map_err(|error| png_error(&error))?.is_some() {}
    reader.finish().map_err(|error| png_error(&error))?;
    Ok(Image { width, height, format: Format::Png, colours, depth })
}

fn inspect_jpeg(bytes: &[u8]) -> Result<Image, Error> {
    let options = DecoderOptions::new_safe()
        .set_strict_mode(true)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let malformed = |rule: String| jpeg_error(bytes, &rule);
    decoder.decode_headers().map_err(|error| malformed(error.to_string()))?;
    let info = decoder.info().ok_or_else(|| malformed("it has no frame".to_owned()))?;
    bounded(u64::from(info.width), u64::from(info.height))?;
    let colours = jpeg_colours(decoder.input_colorspace());
    // Without a change of colours nothing is allocated beside the image.
    let options = decoder
        .options()
        .jpeg_set_out_colorspace(decoder.input_colorspace().unwrap_or(ColorSpace::RGB));
    decoder.set_options(options);
    decoder.decode().map_err(|error| malformed(error.to_string()))?;
    if !has_jpeg_end(bytes) {
        return Err(Error::Truncated);
    }
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    Ok(Image { width, height, format: Format::Jpeg, colours, depth: 8 })
}

fn bounded(width: u64, height: u64) -> Result<(), Error> {
    match width.checked_mul(height) {
        Some(1..=IMAGE_PIXELS) => Ok(()),
        _ => Err(Error::Pixels { width, height }),
    }
}

fn png_error(error: &DecodingError) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
            Error::Truncated
        }
        error => Error::Malformed { format: "PNG", rule: one_line(&error.to_string()) },
    }
}

/// A decoder of JPEG names the place where it stopped; that a file lacks its end is the better word for it.
fn jpeg_error(bytes: &[u8], rule: &str) -> Error {
    if has_jpeg_end(bytes) {
        Error::Malformed { format: "JPEG", rule: one_line(rule) }
    } else {
        Error::Truncated
    }
}

/// Whether an end marker follows the last scan. The decoder fills the last rows up where a file ends among them.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    let scan = bytes.windows(2).rposition(|marker| marker == JPEG_SCAN).unwrap_or(0);
    bytes[scan..].windows(2).any(|marker| marker == JPEG_END)
}

/// The first line of what a decoder says, as long as a line is.
fn one_line(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    line.chars().filter(|character| !character.is_control()).take(160).collect()
}

const fn png_colours(colours: ColorType) -> &'static str {
    match colours {
        ColorType::Grayscale => "grey",
        ColorType::GrayscaleAlpha => "grey-alpha",
        ColorType::Rgb => "rgb",
        ColorType::Rgba => "rgba",
        ColorType::Indexed => "palette",
    }
}

const fn png_depth(depth: BitDepth) -> u8 {
    match depth {
        BitDepth::One => 1,
        BitDepth::Two => 2,
        BitDepth::Four => 4,
        BitDepth::Eight => 8,
        BitDepth::Sixteen => 16,
    }
}

const fn jpeg_colours(colours: Option<ColorSpace>) -> &'static str {
    match colours {
        Some(ColorSpace::Luma) => "grey",
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => "cmyk",
        _ => "rgb",
    }
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const JPEG: &[u8] = b"\xff\xd8\xff";
const JPEG_SCAN: &[u8] = b"\xff\xda";
const JPEG_END: &[u8] = b"\xff\xd9";
/// What decoding a PNG may take beside its rows.
const PNG_MEMORY: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_decoder_says_is_one_short_line() {
        assert_eq!(one_line("\n a\tb\u{7}\nc"), "ab");
        assert_eq!(one_line(&"x".repeat(500)).len(), 160);
        assert_eq!(one_line(""), "");
    }
}
