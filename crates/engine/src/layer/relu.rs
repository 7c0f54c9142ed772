//! Rectified linear unit: `max(x, 0)`, with derivative 0 at 0.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;

pub(super) const KIND: Kind = Kind { name: "relu", parse: |_| Ok(Box::new(Relu)) };

#[derive(Debug)]
struct Relu;

impl Layer for Relu {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        input.relu()
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(2)
    }
}
