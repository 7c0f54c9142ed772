//! The text of a native plan, with whatever scale file it names.

#![no_main]

use libfuzzer_sys::fuzz_target;
use training_plan::{Bundle, Plan};

fuzz_target!(|text: &str| {
    // What stands after the line is the text of every file that the plan names.
    let (plan, scale) = text.split_once(SEPARATOR).unwrap_or((text, ""));
    let Ok(bundle) = Bundle::native(plan, |_| Ok(scale.to_owned())) else { return };
    assert_eq!(Bundle::parse(bundle.bytes()).expect("our own bytes").digest(), bundle.digest());
    if let Err(error) = Plan::parse(&bundle) {
        assert!(!error.to_string().is_empty());
    }
});

const SEPARATOR: &str = "\n#####\n";
