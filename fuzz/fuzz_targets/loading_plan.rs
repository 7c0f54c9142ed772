//! Data loading plans: a text is a plan that keeps its meaning in a database, or there is one error with its line.

#![no_main]

use dataset::LoadingPlan;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| match LoadingPlan::parse(text) {
    Ok(plan) => {
        assert!(plan.fulfils(&plan.reference()));
        assert!(plan.lines().iter().all(|line| !line.is_empty()));
        let kept = serde_json::to_string(&plan).expect("a plan is plain data");
        assert_eq!(serde_json::from_str::<LoadingPlan>(&kept).expect("it was written here"), plan);
    }
    Err(error) => assert!(!error.to_string().is_empty()),
});
