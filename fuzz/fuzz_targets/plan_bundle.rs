//! Plan bundles as they travel: a bundle has one spelling, and its plan parses or says why not.

#![no_main]

use libfuzzer_sys::fuzz_target;
use training_plan::{Bundle, Plan};

fuzz_target!(|bytes: &[u8]| {
    let Ok(bundle) = Bundle::parse(bytes) else { return };
    assert_eq!(bundle.bytes(), bytes);
    if let Err(error) = Plan::parse(&bundle) {
        assert!(!error.to_string().is_empty());
    }
});
