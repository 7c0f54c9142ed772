//! Typed details: the only specifics of a failure that may leave a node.

use serde::{Deserialize, Serialize};

/// At most one of these accompanies a code. None of them can hold a free text of a plan or of the data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Detail {
    /// A training or model argument, as the researcher gave it.
    Argument {
        /// The argument's name, with its group: `loader_args.batch_size`.
        key: String,
        /// The value that was given.
        value: serde_json::Value,
        /// The rule that it breaks.
        rule: String,
    },
    /// Tensors that are not as they should be.
    Tensors {
        /// What the plan's model, or the declaration, has.
        expected: Vec<TensorDetail>,
        /// What was received.
        found: Vec<TensorDetail>,
    },
    /// A bound and the value that exceeds it.
    Bound {
        /// The bound's name.
        bound: String,
        /// Its limit.
        limit: f64,
        /// What was asked for.
        requested: f64,
    },
    /// A well-known class of exception at a line of the approved plan.
    Exception {
        /// The class, from the known list, else `Error`.
        class: String,
        /// The line inside the plan, from 1.
        line: Option<u32>,
    },
}

/// One tensor's name, shape and element type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorDetail {
    /// The tensor's name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Its element type as safetensors writes it: `F32`.
    pub dtype: String,
}
