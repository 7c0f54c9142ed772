//! Safetensors files: what is read is written again as it was.

#![no_main]

use libfuzzer_sys::fuzz_target;
use parameters::{Limits, Parameters};

fuzz_target!(|bytes: &[u8]| {
    let Ok((parameters, header)) = Parameters::from_bytes_within(bytes, &Limits::default()) else {
        return;
    };
    assert_eq!(&parameters.schema().expect("it was read"), header.schema());
    let written = parameters.to_bytes(header.description()).expect("it was read");
    if header.is_canonical() {
        assert_eq!(written, bytes);
    }
    let again = Parameters::from_bytes(&written).expect("our own bytes");
    assert_eq!(again, parameters);
    let _ = parameters.check_finite();
    assert!(!parameters.l2_norm().is_sign_negative() || parameters.l2_norm().is_nan());
});
