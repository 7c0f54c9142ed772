//! The first parameters of a Python plan, made on the researcher's machine.

use std::path::Path;

use protocol::{Digest, Mode};
use runtime::{Assignment, PythonRuntime, Unfollowed, python_initial_parameters};

use crate::{Error, Resolved};

/// Has a Python plan make the parameters that its experiment starts from, in the sandbox of `runtime`.
///
/// The same plan, arguments and seed give the same bytes. `scratch` is a folder for what the plan may read: nothing.
///
/// # Errors
///
/// [`Error::FirstParameters`] with the code of the phase that fails, and with the plan's own words: the machine is
/// the researcher's.
pub fn first_parameters(
    resolved: &Resolved,
    runtime: &PythonRuntime,
    scratch: &Path,
    path: &Path,
) -> Result<(), Error> {
    let experiment = resolved.definition().experiment();
    let assignment = Assignment {
        mode: Mode::Train,
        seed: resolved.seed,
        round: 1,
        node: "researcher".parse().expect("is a proper name"),
        dataset: "none".parse().expect("is a proper name"),
        dataset_digest: Digest::of(b""),
        columns: resolved.columns.clone(),
        memory_limit: None,
        disk_limit: None,
        class: experiment.class.clone(),
        scratch: scratch.to_owned(),
        folders: Vec::new(),
        state: None,
    };
    let arguments = experiment.training_arguments();
    let given = (&experiment.model_args, &arguments);
    let bundle = resolved.definition().bundle();
    python_initial_parameters(runtime, bundle, assignment, given, path, &mut Unfollowed)?;
    Ok(())
}
