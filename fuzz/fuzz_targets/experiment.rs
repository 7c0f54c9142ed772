//! The text of an experiment file: its training arguments were judged when it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use training_plan::experiment::Experiment;

fuzz_target!(|text: &str| {
    match Experiment::parse("experiment.toml", text) {
        Ok(experiment) => {
            let _ = experiment.training_arguments();
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
