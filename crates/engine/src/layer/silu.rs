//! Sigmoid linear unit: `x · sigmoid(x)`.

use super::{Kind, Layer, Pass, volume};
use crate::backend::Tensor;

pub(super) const KIND: Kind = Kind { name: "silu", parse: |_| Ok(Box::new(Silu)) };

#[derive(Debug)]
struct Silu;

impl Layer for Silu {
    fn forward(&self, input: Tensor, _parameters: &[Tensor], _pass: &mut Pass) -> Tensor {
        let gate = input.clone().sigmoid();
        input.multiply(gate)
    }

    fn footprint(&self, input: &[usize]) -> usize {
        volume(input).saturating_mul(5)
    }
}
