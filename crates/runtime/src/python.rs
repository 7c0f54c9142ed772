//! The Python runtime: plans that are Python classes, executed by workers in a confinement of their own.
//!
//! A worker is a process that the node shares a socket with. It is asked for one phase of a round after the other
//! ([`docs/protocol/worker.md`](https://github.com/wardround/wardround/blob/main/docs/protocol/worker.md)), and
//! nothing that it says is believed beyond its type: the node counts rows, cuts subsets, orders batches and
//! computes metrics by itself, and writes the update's file itself, once the worker is dead.

mod dialogue;
pub mod environment;
mod exception;
mod export;
mod files;
mod frame;
mod granted_view;
mod indices;
mod initial;
mod instance;
mod labels;
pub mod machine;
mod message;
mod optimizer_arguments;
mod sandboxed;
mod training;
mod validation;
mod warm;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use protocol::{Code, RuntimeKind};
use training_plan::Bundle;
use training_plan::bundle::PYTHON_FILE;

use crate::{Assignment, Failure, Instance, Monitor, Runtime};

pub use environment::Environment;
pub use files::{package_digest, write_package};
pub use initial::python_initial_parameters;
pub use machine::runtime_on;
pub use sandboxed::{Confining, SandboxedWorkers};
pub use worker::{Cause, Confinement, Ending, Job, Life, Limit, Worker, Workers};

/// Executes Python plans in workers.
#[derive(Clone)]
pub struct PythonRuntime {
    workers: Arc<dyn Workers>,
    time: Option<Duration>,
}

impl PythonRuntime {
    /// Executes plans in these workers, each for no longer than this.
    #[must_use]
    pub fn new(workers: Arc<dyn Workers>, time: Option<Duration>) -> Self {
        Self { workers, time }
    }
}

impl Runtime for PythonRuntime {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Python
    }

    fn instantiate(
        &self,
        bundle: &Bundle,
        assignment: Assignment,
        monitor: &mut dyn Monitor,
    ) -> Result<Box<dyn Instance>, Failure> {
        match bundle.runtime() {
            RuntimeKind::Python => {}
            RuntimeKind::Native | RuntimeKind::Statistics => {
                let local = "the Python runtime was given a native plan";
                return Err(Failure::new(Code::PlanUnsupportedRuntime, local));
            }
        }
        let text = bundle.file(PYTHON_FILE).ok_or_else(|| {
            Failure::new(Code::PlanNotLoadable, format!("the bundle has no {PYTHON_FILE}"))
        })?;
        let granted = assignment.granted();
        std::fs::create_dir_all(&granted).map_err(|error| {
            let local = format!("{} cannot be made: {error}", granted.display());
            Failure::new(Code::NodeInternal, local)
        })?;
        let mut readable = vec![granted];
        readable.extend_from_slice(&assignment.folders);
        let job = Job { readable, memory: assignment.memory_limit, disk: assignment.disk_limit };
        let worker = self.workers.start(&job, monitor)?;
        let source = instance::Source { text, file: PYTHON_FILE, time: self.time };
        let instance = instance::PythonInstance::build(worker, &source, assignment, monitor)?;
        Ok(Box::new(instance))
    }
}
