//! Single volumes: the same voxels as nibabel reads, and one error for every broken file.

use std::io::Write;

use dataset::nifti::{DataType, Error, Header, Version, inspect, read};
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use serde_json::Value;

use crate::fixture;

const VOLUMES: [&str; 4] = ["scaled.nii.gz", "big-endian.nii", "second.nii.gz", "labels.nii"];

/// A volume of bytes with this shape, as a plain file.
pub(crate) fn volume(shape: &[i16]) -> Vec<u8> {
    let mut file = vec![0; 352];
    file[..4].copy_from_slice(&348_i32.to_le_bytes());
    let axes = i16::try_from(shape.len()).unwrap();
    for (axis, size) in [axes].iter().chain(shape).enumerate() {
        file[40 + 2 * axis..42 + 2 * axis].copy_from_slice(&size.to_le_bytes());
    }
    file[70..72].copy_from_slice(&2_i16.to_le_bytes());
    file[72..74].copy_from_slice(&8_i16.to_le_bytes());
    for axis in 0..=shape.len() {
        file[76 + 4 * axis..80 + 4 * axis].copy_from_slice(&1_f32.to_le_bytes());
    }
    file[108..112].copy_from_slice(&352_f32.to_le_bytes());
    file[344..348].copy_from_slice(b"n+1\0");
    let voxels = shape.iter().map(|size| usize::try_from(*size).unwrap_or(0)).product();
    file.extend((0..voxels).map(|voxel| u8::try_from(voxel % 251).unwrap()));
    file
}

pub(crate) fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn volumes_of_another_writer_have_the_voxels_that_it_reads() {
    let golden: Value = serde_json::from_slice(&fixture("volumes.json")).unwrap();
    for name in VOLUMES {
        let volume = read(&fixture(name)[..]).unwrap();
        let expected = &golden[name];
        assert_eq!(serde_json::json!(volume.header.shape), expected["shape"], "{name}");
        assert_eq!(serde_json::json!(volume.header.spacing), expected["spacing"], "{name}");
        assert_eq!(volume.header.data_type.as_str(), expected["type"], "{name}");
        let voxels: Vec<f64> = volume.voxels.iter().map(|voxel| f64::from(*voxel)).collect();
        assert_eq!(serde_json::json!(voxels), expected["voxels"], "{name}");
        assert_eq!(inspect(&fixture(name)[..]).unwrap(), volume.header, "{name}");
    }
    let second = inspect(&fixture("second.nii.gz")[..]).unwrap();
    assert_eq!((second.version, second.data_type), (Version::Two, DataType::Float64));
}

#[test]
fn a_file_that_ends_early_or_goes_on_is_refused() {
    for name in VOLUMES {
        let whole = fixture(name);
        for length in 0..whole.len() {
            assert!(inspect(&whole[..length]).is_err(), "{name} is read from {length} bytes");
        }
        let mut more = whole.clone();
        more.extend_from_slice(b"more");
        let error = inspect(&more[..]).unwrap_err();
        assert!(
            matches!(error, Error::TooLong | Error::Gzip | Error::Truncated { .. }),
            "{name}: {error}"
        );
    }
    let whole = volume(&[4, 4, 4]);
    let error = inspect(&whole[..400]).unwrap_err();
    assert_eq!(error.to_string(), "the file ends before the last voxel does");
    let error = inspect(&packed(&whole)[..60]).unwrap_err();
    assert_eq!(error.to_string(), "the file ends before the compressed stream does");
}

#[test]
fn a_header_that_lies_is_refused_by_the_field() {
    let with = |at: usize, bytes: &[u8]| {
        let mut file = volume(&[4, 4, 4]);
        file[at..at + bytes.len()].copy_from_slice(bytes);
        inspect(&file[..]).unwrap_err().to_string()
    };
    let cases = [
        (with(40, &0_i16.to_le_bytes()), "the header's dim[0] is 0, a volume has 1 to 7 axes"),
        (with(40, &8_i16.to_le_bytes()), "the header's dim[0] is 8, a volume has 1 to 7 axes"),
        (
            with(42, &(-4_i16).to_le_bytes()),
            "the header's dim is -4, every axis must have a positive size",
        ),
        (with(70, &128_i16.to_le_bytes()), "the voxels are of type 128, which cannot be read"),
        (
            with(72, &16_i16.to_le_bytes()),
            "the header's bitpix is 16, it must be the number of bits of the voxels' type",
        ),
        (
            with(108, &f32::NAN.to_le_bytes()),
            "the header's vox_offset is NaN, it must be a place in the file",
        ),
        (
            with(108, &100_f32.to_le_bytes()),
            "the header's vox_offset is 100, which is in the header",
        ),
        (with(108, &1e9_f32.to_le_bytes()), "the first voxel is declared beyond byte 67108864"),
        (
            with(344, b"ni1\0"),
            "the volume is split into a header and an image file, only single files can be read",
        ),
        (with(344, b"what"), "the file is not NIfTI"),
        (with(0, &[1, 2, 3, 4]), "the file is not NIfTI"),
    ];
    for (found, expected) in cases {
        assert_eq!(found, expected);
    }
    let mut large = volume(&[1]);
    large[40..50].copy_from_slice(&[4, 0, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f]);
    assert_eq!(inspect(&large[..]), Err(Error::TooLarge));
    assert_eq!(read(&large[..]), Err(Error::TooLarge));
}

#[test]
fn a_bomb_is_unpacked_no_further_than_its_header_says() {
    // 64 voxels are declared, and a quarter of a gibibyte follows.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&volume(&[4, 4, 4])).unwrap();
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let mut counted = Counted { bytes: &bomb, read: 0 };
    assert_eq!(inspect(&mut counted), Err(Error::TooLong));
    assert!(counted.read < bomb.len(), "{} of {}", counted.read, bomb.len());
}

#[test]
fn a_lying_header_takes_no_memory_for_voxels_that_are_not_there() {
    let mut file = volume(&[1]);
    file[40..48].copy_from_slice(&[3, 0, 0xff, 0x7f, 0xff, 0x7f, 4, 0]);
    assert_eq!(read(&file[..]), Err(Error::Truncated { part: "last voxel" }));
}

struct Counted<'a> {
    bytes: &'a [u8],
    read: usize,
}

impl std::io::Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.bytes.read(buffer)?;
        self.read += count;
        Ok(count)
    }
}

proptest! {
    #[test]
    fn a_damaged_volume_gives_a_value_or_an_error(
        name in prop::sample::select(VOLUMES.to_vec()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = fixture(name);
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Ok(volume) = read(&bytes[..]) {
            prop_assert_eq!(volume.voxels.len() as u64, volume.header.voxels());
        }
    }

    #[test]
    fn any_bytes_are_a_header_or_an_error(mut bytes in prop::collection::vec(any::<u8>(), 540..600)) {
        for start in [348_i32.to_le_bytes(), 540_i32.to_be_bytes()] {
            bytes[..4].copy_from_slice(&start);
            bytes[344..348].copy_from_slice(b"n+1\0");
            if let Ok(header) = Header::parse(&bytes) {
                prop_assert!(!header.shape.is_empty() && header.voxels() > 0);
            }
        }
    }
}
