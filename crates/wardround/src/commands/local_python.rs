//! Python plans on the machine at which a command is typed.

use std::path::{Path, PathBuf};

use runtime::PythonRuntime;
use runtime::python::{machine, runtime_on};
use sandbox::Launcher;
use training_plan::Bundle;

use crate::failure::Failure;

/// The interpreter of Python plans.
#[derive(Debug, clap::Args)]
pub(crate) struct Interpreter {
    /// The Python interpreter that runs a Python plan on this machine, confined as at a node.
    #[arg(long = "python", value_name = "PATH", default_value = "python3")]
    path: PathBuf,
}

impl Interpreter {
    /// A runtime as nodes have it, for a plan; what it needs is written into the folder.
    pub(crate) fn runtime(&self, folder: &Path, plan: &Bundle) -> Result<PythonRuntime, Failure> {
        let program = std::env::current_exe()
            .map_err(|error| Failure::failed(format!("this program is not found: {error}")))?;
        let launcher = Launcher::new(program).argument("sandbox").argument("launch");
        runtime_on(&self.path, launcher, folder, plan).map_err(|error| {
            let failure = Failure::from_error(&error);
            match error {
                machine::Error::Environment(_) => failure.hint(
                    "name another with --python: Python 3.10 or later with numpy, and torch or scikit-learn",
                ),
                machine::Error::Files(_) => failure,
            }
        })
    }
}
