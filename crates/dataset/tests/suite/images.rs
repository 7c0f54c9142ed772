//! Single images: those that others wrote are read, and every broken one ends in one error.

use dataset::image::{Error, Format, Image, inspect};
use dataset::limits::IMAGE_PIXELS;
use proptest::prelude::*;

use crate::fixture;

#[test]
fn images_of_another_writer_are_what_they_are() {
    let jpeg =
        |width, height, colours| Image { width, height, format: Format::Jpeg, colours, depth: 8 };
    let png = |width, height, colours, depth| Image {
        width,
        height,
        format: Format::Png,
        colours,
        depth,
    };
    let cases = [
        ("grey.jpg", jpeg(8, 8, "grey")),
        ("colour.jpg", jpeg(8, 8, "rgb")),
        ("progressive.jpg", jpeg(40, 24, "rgb")),
        ("cmyk.jpg", jpeg(8, 8, "cmyk")),
        ("palette.png", png(8, 8, "palette", 4)),
        ("grey16.png", png(8, 4, "grey", 16)),
        ("alpha.png", png(8, 8, "rgba", 8)),
    ];
    for (name, expected) in cases {
        assert_eq!(inspect(&fixture(name)), Ok(expected), "{name}");
    }
}

#[test]
fn an_image_that_ends_early_is_said_to() {
    for name in
        ["grey.jpg", "colour.jpg", "progressive.jpg", "cmyk.jpg", "alpha.png", "palette.png"]
    {
        let whole = fixture(name);
        for length in 12..whole.len() {
            let outcome = inspect(&whole[..length]);
            assert!(outcome.is_err(), "{name} is read from {length} of {} bytes", whole.len());
        }
        assert_eq!(inspect(&whole[..whole.len() / 2]), Err(Error::Truncated), "{name}");
    }
}

#[test]
fn a_header_that_lies_about_the_size_is_refused_before_memory_is_taken() {
    let mut huge = Vec::new();
    let mut info = png::Info::with_size(200_000, 200_000);
    info.color_type = png::ColorType::Rgba;
    drop(png::Encoder::with_info(&mut huge, info).unwrap().write_header().unwrap());
    let error = inspect(&huge).unwrap_err();
    assert_eq!(error, Error::Pixels { width: 200_000, height: 200_000 });
    assert!(u64::from(u16::MAX) * u64::from(u16::MAX) > IMAGE_PIXELS);
    let mut jpeg = fixture("colour.jpg");
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(inspect(&jpeg), Err(Error::Pixels { width: 65_535, height: 65_535 }));
}

#[test]
fn a_bomb_of_pixels_is_not_unpacked_beyond_its_rows() {
    // A header of 8 x 8 pixels before data that unpack to a gibibyte of zeros.
    let mut bomb = Vec::new();
    let mut encoder = flate2::write::ZlibEncoder::new(&mut bomb, flate2::Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        std::io::Write::write_all(&mut encoder, &zeros).unwrap();
    }
    encoder.finish().unwrap();
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    chunk(&mut file, b"IHDR", &[0, 0, 0, 8, 0, 0, 0, 8, 8, 0, 0, 0, 0]);
    chunk(&mut file, b"IDAT", &bomb);
    chunk(&mut file, b"IEND", &[]);
    // The rows are there; what follows them is of no interest, as every reader of PNG has it.
    assert!(inspect(&file).is_ok());
}

#[test]
fn another_format_is_none_whatever_its_name() {
    for bytes in [&b"GIF89a"[..], b"", b"\x89PN", b"BM", b"\xff\xd8"] {
        assert_eq!(inspect(bytes), Err(Error::Unknown));
    }
}

fn chunk(file: &mut Vec<u8>, name: &[u8; 4], data: &[u8]) {
    file.extend(u32::try_from(data.len()).unwrap().to_be_bytes());
    file.extend(name);
    file.extend(data);
    let mut check = flate2::Crc::new();
    check.update(name);
    check.update(data);
    file.extend(check.sum().to_be_bytes());
}

proptest! {
    #[test]
    fn a_damaged_image_gives_a_value_or_an_error(
        name in prop::sample::select(vec!["grey.jpg", "progressive.jpg", "cmyk.jpg", "palette.png", "grey16.png"]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = fixture(name);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Err(error) = inspect(&bytes) {
            prop_assert!(!error.to_string().is_empty() && error.to_string().lines().count() == 1);
        }
    }
}
