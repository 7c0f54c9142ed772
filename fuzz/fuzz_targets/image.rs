//! PNG and JPEG images: one has a size and decodes to its end, or there is one error.

#![no_main]

use dataset::image::inspect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match inspect(bytes) {
    Ok(image) => assert!(image.width > 0 && image.height > 0),
    Err(error) => assert_eq!(error.to_string().lines().count(), 1),
});
