//! NIfTI volumes, plain and compressed: a volume has the voxels that its header declares, or there is one error.

#![no_main]

use dataset::nifti::{inspect, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match read(bytes) {
        Ok(volume) => {
            assert_eq!(volume.voxels.len() as u64, volume.header.voxels());
            assert_eq!(inspect(bytes).as_ref(), Ok(&volume.header));
        }
        Err(error) => {
            assert_eq!(error.to_string().lines().count(), 1);
            assert!(inspect(bytes).is_err());
        }
    }
});
