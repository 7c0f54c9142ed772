//! The optimizer group: the step size, and whatever else the plan's optimizer takes.

use serde_json::{Map, Value};

use super::reader::Reader;

/// The arguments of the optimizer.
///
/// Only the learning rate is judged here. The other members are kept as they were written: the
/// runtime, which knows the plan's optimizer, judges them when it initialises the plan.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Optimizer {
    /// The learning rate (`lr`), above 0; none means the optimizer's own default.
    pub learning_rate: Option<f64>,
    /// The members other than `lr`.
    pub rest: Map<String, Value>,
}

impl Optimizer {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let Some(mut members) = reader.member("optimizer_args") else { return Self::default() };
        let learning_rate = members.number("lr", "a number above 0", |rate| rate > 0.0);
        let mut rest = members.object().clone();
        // The order of the others must not depend on where `lr` stood.
        rest.shift_remove("lr");
        Self { learning_rate, rest }
    }
}
